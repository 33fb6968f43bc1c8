import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// Stores behind `ssh`: here a script that runs the command on this machine.
@Suite(
  .serialized,
  .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/rsync"), "needs rsync"))
struct RemoteStoreTests {
  /// A folder with an `ssh` in it, before all others in PATH, and a cache of its own; one for all tests.
  private static let place: String = {
    let folder = FileManager.default.temporaryDirectory.appending(path: "isogloss-ssh-\(UUID())")
      .path
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let script = """
      #!/bin/sh
      while [ "$1" = -o ]; do shift 2; done
      [ "$1" = elsewhere ] || { echo "ssh: no host $1" >&2; exit 255; }
      shift
      exec sh -c "$*"
      """
    _ = FileManager.default.createFile(
      atPath: folder + "/ssh", contents: Data(script.utf8), attributes: [.posixPermissions: 0o755])
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    unsafe setenv("PATH", folder + ":" + path, 1)
    unsafe setenv("XDG_CACHE_HOME", folder + "/cache", 1)
    return folder
  }()

  private func address(_ path: String) throws -> StoreAddress {
    _ = Self.place
    return try StoreAddress("elsewhere:" + path)
  }

  private func forget() throws {
    try? FileManager.default.removeItem(atPath: Self.place + "/cache")
  }

  @Test func whatIsPushedIsPulled() throws {
    let directory = try TemporaryDirectory()
    // A name that means much to a shell.
    let path = directory.file("a store; 'of' $HOME")
    let store = try address(path)
    try SampleModel.write(to: directory.file("parent"))
    try SampleModel.write(to: directory.file("child"), parents: [directory.file("parent")]) {
      name, values in
      if !name.hasSuffix("word_embeddings.weight") { values = values.map { $0 * 1.0001 } }
    }
    _ = try store.push(directory.file("parent"), as: "parent")
    // From a machine that has never seen the parent.
    try forget()
    let push = try store.push(directory.file("child"), as: "child")
    #expect(push.parent == "parent" && push.storedBytes < push.byteCount / 50)
    #expect(try store.entries().map(\.name) == ["child", "parent"])
    try forget()
    try store.pull("child", to: directory.file("out"))
    #expect(
      try SampleModel.files(directory.file("out")) == SampleModel.files(directory.file("child")))
    // The other folder is a store like any.
    try CheckpointStore(path).pull("parent", to: directory.file("local"))
    #expect(
      try SampleModel.files(directory.file("local")) == SampleModel.files(directory.file("parent")))
    #expect(try SampleModel.files(path).keys.filter { $0.contains("partial") } == [])
  }

  /// What the cache has already is sent, and counted, like what it has not.
  @Test func whatIsSentIsCounted() throws {
    let directory = try TemporaryDirectory()
    try SampleModel.write(to: directory.file("model"))
    let path = directory.file("store")
    let store = try address(path)
    let first = try store.push(directory.file("model"), as: "model")
    // The other side loses all of it.
    for part in [path + "/objects", path + "/refs"] {
      try FileManager.default.removeItem(atPath: part)
      try FileManager.default.createDirectory(atPath: part, withIntermediateDirectories: true)
    }
    let again = try store.push(directory.file("model"), as: "model")
    #expect(first.storedBytes > 0 && first.newPieces > 0)
    #expect(again.storedBytes == first.storedBytes && again.newPieces == first.newPieces)
  }

  /// What the cache keeps as a change of a piece that the other side has lost is of use there with that piece alone.
  @Test func whatSentPiecesAreChangesOfIsSent() throws {
    let directory = try TemporaryDirectory()
    try SampleModel.write(to: directory.file("parent"))
    try SampleModel.write(to: directory.file("child"), parents: [directory.file("parent")]) {
      _, values in values = values.map { $0 * 1.0001 }
    }
    let path = directory.file("store")
    let store = try address(path)
    _ = try store.push(directory.file("parent"), as: "parent")
    let push = try store.push(directory.file("child"), as: "child")
    #expect(push.parent == "parent")
    for part in [path + "/objects", path + "/refs"] {
      try FileManager.default.removeItem(atPath: part)
      try FileManager.default.createDirectory(atPath: part, withIntermediateDirectories: true)
    }
    _ = try store.push(directory.file("child"), as: "child")
    try forget()
    try store.pull("child", to: directory.file("out"))
    #expect(
      try SampleModel.files(directory.file("out")) == SampleModel.files(directory.file("child")))
  }

  @Test func aTakenNameIsToldAndNothingIsLost() throws {
    let directory = try TemporaryDirectory()
    let store = try address(directory.file("store"))
    for (name, value) in [("a", 1), ("b", 2)] as [(String, Float)] {
      try SampleModel.write(to: directory.file(name)) { _, values in values[0] = value }
    }
    _ = try store.push(directory.file("a"), as: "model")
    _ = try store.push(directory.file("a"), as: "model")
    let error = checkpointError { () throws(FileError) in
      try store.push(directory.file("b"), as: "model")
    }
    #expect(error?.message.hasPrefix("is the name of another") == true)
    try store.pull("model", to: directory.file("out"))
    #expect(
      try SampleModel.files(directory.file("out")) == SampleModel.files(directory.file("a")))
  }

  /// A copy that broke off: what came is kept, what is broken in the cache is fetched anew.
  @Test func aPullGoesOn() throws {
    let directory = try TemporaryDirectory()
    let store = try address(directory.file("store"))
    try SampleModel.write(to: directory.file("a"))
    _ = try store.push(directory.file("a"), as: "a")
    try forget()
    let objects = try SampleModel.files(directory.file("store")).filter {
      $0.key.hasPrefix("objects/")
    }
    let largest = try #require(objects.max { $0.value.count < $1.value.count }).key
    let whole = directory.file("store/" + largest)
    try FileManager.default.moveItem(atPath: whole, toPath: whole + ".away")
    #expect(throws: FileError.self) { try store.pull("a", to: directory.file("out")) }
    let isThere = directory.exists("out")
    #expect(!isThere)
    try FileManager.default.moveItem(atPath: whole + ".away", toPath: whole)
    try store.pull("a", to: directory.file("out"))
    #expect(try SampleModel.files(directory.file("out")) == SampleModel.files(directory.file("a")))
    let cached = try #require(
      try FileManager.default.subpathsOfDirectory(atPath: Self.place + "/cache").first {
        $0.hasSuffix(largest)
      })
    try flip(byte: 5000, of: Self.place + "/cache/" + cached)
    let error = checkpointError { () throws(FileError) in
      try store.pull("a", to: directory.file("again"))
    }
    #expect(error?.path.hasSuffix(largest) == true)
    try store.pull("a", to: directory.file("again"))
  }

  @Test func addressesAndFoldersThatAreNoneAreRefused() throws {
    let directory = try TemporaryDirectory()
    for text in ["-oProxyCommand=x:/a", ":/a", "host:", "rsync://host/a", "host::module"] {
      let error = checkpointError { () throws(FileError) in try StoreAddress(text) }
      #expect(error?.message.hasPrefix("is not HOST:FOLDER") == true, "\(text)")
    }
    try directory.write("text", to: "notes.txt")
    try SampleModel.write(to: directory.file("a"))
    let store = try address(directory.path)
    let error = checkpointError { () throws(FileError) in
      try store.push(directory.file("a"), as: "a")
    }
    #expect(error?.message.hasPrefix("is no store and not empty") == true)
    _ = Self.place
    let nobody = try StoreAddress("nowhere:/a")
    let gone = checkpointError { () throws(FileError) in try nobody.entries() }
    #expect(gone?.message.contains("ssh: no host nowhere") == true)
  }
}
