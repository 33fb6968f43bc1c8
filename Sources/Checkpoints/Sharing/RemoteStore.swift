import Files
import Foundation

/// A ``CheckpointStore`` on another machine, reached by `ssh` and copied by `rsync`.
///
/// Objects go through a store of this machine's own, the cache, which keeps them: what it lacks of the other is fetched, what
/// it has more is sent. `rsync` keeps what a cut connection left of a file, goes on from there, and gives a file its name when
/// it is whole; objects go before recipes. The other side has nothing of this program; what it sends is not believed.
struct RemoteStore: Sendable {
  private static let outputLimit = 64 << 20

  private let host: String
  private let folder: String
  private let cache: String

  init(host: String, folder: String) throws(FileError) {
    guard !host.isEmpty, !host.hasPrefix("-"), !folder.isEmpty, !folder.hasPrefix(":"),
      !folder.hasPrefix("//")
    else {
      throw FileError(
        .data, "\(host):\(folder)", "is not HOST:FOLDER; other forms of addresses are not known")
    }
    self.host = host
    self.folder = folder
    let environment = ProcessInfo.processInfo.environment
    let root =
      environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 }
      ?? (environment["HOME"] ?? ".") + "/.cache"
    let name = SHA256.digest(Array("\(host):\(folder)".utf8)).prefix(16)
    cache = root + "/isogloss/stores/" + name
  }

  private var address: String { "\(host):\(folder)" }
  private var objects: ObjectFolder { ObjectFolder(in: cache) }

  func entries() throws(FileError) -> [CheckpointStore.Entry] {
    try withRecipes { (store) throws(FileError) in try store.entries() }
  }

  func push(
    _ directory: String, as name: String, parent: String?
  ) throws(FileError) -> CheckpointStore.Push {
    try prepare()
    return try withRecipes { (store) throws(FileError) in
      let known = Set(
        try ssh("cd \(quoted(folder))/\(ObjectFolder.name) && find . -type f")
          .split(separator: "\n").map { String($0.dropFirst(2).filter { $0 != "/" }) })
      let pieces = try DirectoryPieces(hashing: directory)
      let plan = try store.plan(pieces, as: name, parent: parent) { known.contains($0) }
      // Only over what the other side has: it never changes there.
      let bases = plan.new.compactMap(\.base?.sha256).filter(known.contains)
      try fetch(Set(bases))
      let push = try store.write(plan, pieces)
      let sent = try stacks(of: plan.new.map(\.piece.sha256), without: known)
      try rsync(
        sent.map(path),
        ["--ignore-existing", objects.path + "/", address + "/\(ObjectFolder.name)/"])
      let recipe = cache + "/.recipe-\(UInt64.random(in: 0 ... .max))"
      defer { unsafe unlink(recipe) }
      try WholeFile.write(Array((plan.recipe.text + "\n").utf8), to: recipe)
      let partial = ".\(name).partial-\(UInt64.random(in: 0 ... .max))"
      try rsync([recipe, address + "/refs/" + partial])
      let (from, to) = (quoted("\(folder)/refs/\(partial)"), quoted("\(folder)/refs/\(name).json"))
      if plan.isNamed {
        try ssh("mv -f \(from) \(to)")
      } else {
        let answer = try ssh(
          "ln \(from) \(to) 2>/dev/null || cmp -s \(from) \(to) || echo taken; rm -f \(from)")
        guard !answer.hasPrefix("taken") else { throw store.taken(name) }
      }
      return push
    }
  }

  func pull(_ name: String, to directory: String) throws(FileError) {
    try withRecipes { (store) throws(FileError) in
      let recipe = try store.recipe(of: name)
      try fetch(Set(recipe.distinctPieces.map(\.sha256)))
      do throws(FileError) {
        try store.pull(name, to: directory)
      } catch {
        // A piece that is broken here is fetched anew the next time.
        if error.code == .data, error.path.hasPrefix(objects.path + "/") {
          unsafe unlink(error.path)
        }
        throw error
      }
    }
  }

  // MARK: Copying

  /// Makes the other folder a store, if it is none and empty.
  private func prepare() throws(FileError) {
    let mark = quoted("\(folder)/\(CheckpointStore.markName)")
    let text = try ssh(
      "if test -e \(mark); then cat \(mark); else ls -A \(quoted(folder)) 2>/dev/null; fi; true")
    if text.allSatisfy(\.isWhitespace) {
      try ssh("mkdir -p \(quoted(folder))/refs \(quoted(folder))/\(ObjectFolder.name)")
      _ = try CheckpointStore(cache, creating: true)
      try rsync(["--ignore-existing", cache + "/" + CheckpointStore.markName, address + "/"])
    } else {
      guard text.hasPrefix("{") else {
        throw FileError(
          .data, address, "is no store and not empty; give a folder of its own")
      }
      try CheckpointStore.checkMark(Array(text.utf8), path: address)
    }
  }

  /// Calls `body` with a store of the cache's objects and of the recipes that the other side has now.
  private func withRecipes<Result>(
    _ body: (CheckpointStore) throws(FileError) -> Result
  ) throws(FileError) -> Result {
    try FileTree.makeDirectory(cache)
    let text = try ssh("cat \(quoted("\(folder)/\(CheckpointStore.markName)"))")
    try CheckpointStore.checkMark(Array(text.utf8), path: address)
    let recipes = cache + "/.refs-\(UInt64.random(in: 0 ... .max))"
    try FileTree.makeDirectory(recipes)
    defer { try? CheckpointDirectory.remove(recipes) }
    try rsync([
      "--include=*.json", "--exclude=*", "--max-size=\(Self.outputLimit)", address + "/refs/",
      recipes + "/",
    ])
    return try body(try CheckpointStore(cache, references: recipes, creating: true))
  }

  /// Fetches objects that the cache does not have, and those that they are changes of.
  private func fetch(_ hashes: Set<String>) throws(FileError) {
    var wanted = hashes
    // What an object is a change of is known when it has come.
    for _ in 0...StoredObject.hopLimit where !wanted.isEmpty {
      let missing = wanted.filter { !objects.contains($0) }.sorted()
      try rsync(
        missing.map(path),
        ["--ignore-existing", address + "/\(ObjectFolder.name)/", objects.path + "/"])
      var bases: Set<String> = []
      for hash in wanted {
        if let base = try base(of: hash) { bases.insert(base) }
      }
      wanted = bases
    }
  }

  /// Objects of the cache and all that they are changes of, without those that are known on the other side.
  private func stacks(
    of hashes: [String], without known: Set<String>
  ) throws(FileError) -> [String] {
    var all: Set<String> = []
    for hash in hashes {
      var next: String? = hash
      while let hash = next, !known.contains(hash), all.insert(hash).inserted {
        next = try base(of: hash)
      }
    }
    return all.sorted()
  }

  /// What an object of the cache is a change of; nil for a piece compressed by itself.
  private func base(of hash: String) throws(FileError) -> String? {
    let path = objects.path(of: hash)
    let bytes = try OpenFile(reading: path).read(StoredObject.headerBytes, at: 0)
    return try StoredObject.Header(parsing: bytes, path: path).base
  }

  private func path(of hash: String) -> String { "\(hash.prefix(2))/\(hash.dropFirst(2))" }

  // MARK: Programs

  /// Text as one word of a shell, whatever is in it; a `~/` before it stays what it means.
  private func quoted(_ text: String) -> String {
    if text.hasPrefix("~/") { return "~/" + quoted(String(text.dropFirst(2))) }
    var word = "'"
    for scalar in text.unicodeScalars {
      if scalar == "'" { word += "'\\''" } else { word.unicodeScalars.append(scalar) }
    }
    return word + "'"
  }

  @discardableResult
  private func ssh(_ command: String) throws(FileError) -> String {
    try run("ssh", ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", host, command])
  }

  /// Copies some files of one folder to another.
  private func rsync(_ files: [String], _ arguments: [String]) throws(FileError) {
    if files.isEmpty { return }
    try FileTree.makeDirectory(objects.path)
    let list = cache + "/.files-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(list) }
    try WholeFile.write(Array(files.map { $0 + "\n" }.joined().utf8), to: list)
    try rsync(["--files-from=\(list)"] + arguments)
  }

  private func rsync(_ arguments: [String]) throws(FileError) {
    try run(
      "rsync",
      [
        "-rt", "--no-links", "--protect-args", "--partial-dir=.rsync-partial", "--timeout=60",
        "--rsh=ssh -o BatchMode=yes -o ServerAliveInterval=15",
      ] + arguments)
  }

  /// Runs a program and waits for it; its last line on standard error is the error's.
  @discardableResult
  private func run(_ program: String, _ arguments: [String]) throws(FileError) -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let output = Pipe()
    let errors = cache + "/.errors-\(UInt64.random(in: 0 ... .max))"
    try FileTree.makeDirectory(cache)
    try WholeFile.write([UInt8](), to: errors)
    defer { unsafe unlink(errors) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = FileHandle(forWritingAtPath: errors) ?? FileHandle.nullDevice
    do {
      try process.run()
    } catch {
      throw FileError(.io, address, "\(program) cannot be run: \(error); install it")
    }
    var data = Data()
    while data.count <= Self.outputLimit {
      let piece = output.fileHandleForReading.availableData
      if piece.isEmpty { break }
      data += piece
    }
    if data.count > Self.outputLimit { process.terminate() }
    process.waitUntilExit()
    guard data.count <= Self.outputLimit else {
      throw FileError(.data, address, "\(program) says more than \(Self.outputLimit) bytes")
    }
    guard process.terminationStatus == 0 else {
      let said = (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
      let line = said.split(separator: "\n").last.map { ": " + $0 } ?? ""
      let advice =
        process.terminationStatus == 127 ? "; install it" : "; run it again to go on"
      throw FileError(
        .io, address, "\(program) ended with \(process.terminationStatus)\(line)\(advice)")
    }
    return String(decoding: data, as: UTF8.self)
  }
}
