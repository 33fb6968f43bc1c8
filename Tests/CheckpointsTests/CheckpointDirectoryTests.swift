import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

@discardableResult
private func save(
  _ path: String, _ content: String = "content", replacing: Bool = false
) throws(FileError) -> CheckpointManifest {
  try CheckpointDirectory.write(
    to: path, replacing: replacing, neededBytes: 100, programVersion: "0.1",
    facts: ["parent": .null, "seed": 7]
  ) { partial throws(FileError) in
    try WholeFile.write(content, to: partial + "/a.txt")
    try SafetensorsWriter.write(to: partial + "/model.safetensors", [.init("x", [2])]) {
      writer throws(FileError) in try writer.append("x", ([1, 2] as [Float]).span)
    }
  }
}

private func content(_ path: String) throws -> String {
  try String(contentsOfFile: path + "/a.txt", encoding: .utf8)
}

@Test func writtenDirectoryVerifies() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("runs/checkpoint-5")
  let manifest = try save(path)
  #expect(manifest.files.map(\.name) == ["a.txt", "model.safetensors"])
  #expect(manifest.files[0].size == 8)
  #expect(manifest.files[0].sha256 == SHA256.digest(Array("content\n".utf8)))
  #expect(try CheckpointDirectory.verify(path) == manifest)
  #expect(try CheckpointDirectory.verify(path + "/") == manifest)
  #expect(manifest.facts["seed"]?.int == 7)
  #expect(try FileManager.default.contentsOfDirectory(atPath: directory.file("runs")).count == 1)
}

@Test func failureLeavesNothing() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("checkpoint-5")
  let error = checkpointError { () throws(FileError) in
    try CheckpointDirectory.write(to: path, programVersion: "0.1") {
      partial throws(FileError) in
      try WholeFile.write("half", to: partial + "/a.txt")
      throw FileError(.io, "source", "the source failed")
    }
  }
  #expect(error?.message == "the source failed")
  #expect(try directory.names() == [])
}

@Test func failedReplacementLeavesTheOlder() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("best")
  let older = try save(path, "older")
  #expect(throws: FileError.self) {
    try CheckpointDirectory.write(to: path, replacing: true, programVersion: "0.1") {
      _ throws(FileError) in throw FileError(.io, "source", "the source failed")
    }
  }
  #expect(try CheckpointDirectory.verify(path) == older)
  #expect(try directory.names() == ["best"])
}

@Test func replacementReplacesOnlyCheckpoints() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("best")
  try save(path, "older")
  let refused = checkpointError { () throws(FileError) in try save(path, "newer") }
  #expect(refused?.message.contains("exists already") == true)
  #expect(try content(path) == "older\n")
  try save(path, "newer", replacing: true)
  #expect(try content(path) == "newer\n")
  #expect(try directory.names() == ["best"])

  let home = directory.file("home")
  try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
  try directory.write("precious", to: "home/a.txt")
  let kept = checkpointError { () throws(FileError) in
    try save(home, "newer", replacing: true)
  }
  #expect(kept?.message.contains("is no checkpoint") == true)
  #expect(try content(home) == "precious")
}

@Test func whatDiffersIsNamed() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("c")
  func fault(_ change: () throws -> Void) throws -> FileError? {
    try? FileManager.default.removeItem(atPath: path)
    try save(path)
    try change()
    return checkpointError { () throws(FileError) in try CheckpointDirectory.verify(path) }
  }
  let flipped = try fault { try directory.write("contenT\n", to: "c/a.txt") }
  #expect(flipped?.field == "a.txt" && flipped?.message.contains("SHA-256") == true)
  let shorter = try fault { try directory.write("content", to: "c/a.txt") }
  #expect(shorter?.field == "a.txt" && shorter?.message.contains("7 bytes") == true)
  let missing = try fault { try FileManager.default.removeItem(atPath: path + "/a.txt") }
  #expect(missing?.field == "a.txt" && missing?.message.contains("is missing") == true)
  let extra = try fault { try directory.write("", to: "c/b.txt") }
  #expect(extra?.field == "b.txt" && extra?.message.contains("is extra") == true)
  let link = try fault {
    try FileManager.default.createSymbolicLink(
      atPath: path + "/l", withDestinationPath: "/etc/passwd")
  }
  #expect(link?.message.contains("neither a file nor a directory") == true)
  let bare = try fault { try FileManager.default.removeItem(atPath: path + "/isogloss.json") }
  #expect(bare?.code == .missing)
  let later = try fault {
    let text = try String(contentsOfFile: path + "/isogloss.json", encoding: .utf8)
    let changed = text.replacingOccurrences(
      of: "\"format_version\": 1", with: "\"format_version\": 2")
    try directory.write(changed, to: "c/isogloss.json")
  }
  #expect(later?.field == "format_version" && later?.message.contains("is 2") == true)
}

@Test(arguments: [
  ("{}", "format"), ("[]", "format"), ("{\"format\": \"other\"}", "format"),
  ("{\"format\": \"isogloss-checkpoint\"}", "format_version"),
  ("{\"format\": \"isogloss-checkpoint\", \"format_version\": 1}", "program_version"),
  (
    "{\"format\": \"isogloss-checkpoint\", \"format_version\": 1, \"program_version\": \"0\"}",
    "files"
  ),
  (
    "{\"format\": \"isogloss-checkpoint\", \"format_version\": 1, \"program_version\": \"0\", "
      + "\"files\": {\"a\": {\"size\": -1, \"sha256\": \"\"}}}", "a"
  ),
  (
    "{\"format\": \"isogloss-checkpoint\", \"format_version\": 1, \"program_version\": \"0\", "
      + "\"files\": {\"../b\": {\"size\": 0, \"sha256\": \"\(String(repeating: "0", count: 64))\"}}}",
    "../b"
  ),
])
func manifestThatLiesIsRefused(text: String, field: String) throws {
  let directory = try TemporaryDirectory()
  try directory.write(text, to: "isogloss.json")
  let path = directory.path
  let error = checkpointError { () throws(FileError) in
    try CheckpointDirectory.verify(path)
  }
  #expect(error?.code == .data)
  #expect(error?.field == field)
}

// MARK: Finding and recovering

@Test func newestCompleteIgnoresWhatIsNotWhole() throws {
  let directory = try TemporaryDirectory()
  #expect(try CheckpointDirectory.newestComplete(in: directory.file("absent")) == nil)
  #expect(try CheckpointDirectory.newestComplete(in: directory.path) == nil)
  for step in [9, 10, 200] { try save(directory.file("checkpoint-\(step)")) }
  #expect(try CheckpointDirectory.newestComplete(in: directory.path)?.step == 200)
  try FileManager.default.removeItem(atPath: directory.file("checkpoint-200/isogloss.json"))
  try save(directory.file("checkpoint-300"))
  try directory.write("short", to: "checkpoint-300/model.safetensors")
  let empty = directory.file("checkpoint-400")
  try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
  try save(directory.file("checkpoint-x500"))
  try save(directory.file(".checkpoint-600.partial-1"))
  try directory.write("a file", to: "checkpoint-700")
  let newest = try CheckpointDirectory.newestComplete(in: directory.path)
  #expect(newest?.step == 10)
  #expect(newest?.path == directory.file("checkpoint-10"))
  let steps = try CheckpointDirectory.numbered(in: directory.path).map(\.step)
  #expect(steps == [700, 400, 300, 200, 10, 9])
}

@Test func recoveryFinishesOrUndoesAReplacement() throws {
  let directory = try TemporaryDirectory()
  // Cut between the renames, the successor whole.
  try save(directory.file(".a.replaced"), "older")
  try save(directory.file(".a.partial-12"), "newer")
  // Cut between the renames, the successor not whole: its manifest is written last.
  try save(directory.file(".b.replaced"), "older")
  try save(directory.file(".b.partial-12"), "newer")
  try FileManager.default.removeItem(atPath: directory.file(".b.partial-12/isogloss.json"))
  // Cut before the old one was removed.
  try save(directory.file(".c.replaced"), "older")
  try save(directory.file("c"), "newer")
  // Cut while writing.
  try save(directory.file(".d.partial-12"), "newer")
  // Others' hidden files.
  try directory.write("", to: ".hidden")
  try directory.write("", to: ".e.partial-x")
  let log = try CheckpointDirectory.recover(in: directory.path)
  #expect(try directory.names() == [".e.partial-x", ".hidden", "a", "b", "c"])
  #expect(try content(directory.file("a")) == "newer\n")
  #expect(try content(directory.file("b")) == "older\n")
  #expect(try content(directory.file("c")) == "newer\n")
  for name in ["a", "b", "c"] { try CheckpointDirectory.verify(directory.file(name)) }
  #expect(log.count == 5)
  #expect(try CheckpointDirectory.recover(in: directory.path) == [])
}

// MARK: A full disk

@Test func spaceIsCheckedBeforeWriting() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("c")
  let error = checkpointError { () throws(FileError) in
    try CheckpointDirectory.write(to: path, neededBytes: 1 << 60, programVersion: "0.1") {
      _ throws(FileError) in Issue.record("nothing should be written")
    }
  }
  #expect(error?.code == .io)
  #expect(error?.message.contains("\(1 << 60) bytes needed") == true)
  #expect(try directory.names() == [])
}

/// Whether this process may mount, found out by doing so: a container may forbid it even to root.
private let mayMount: Bool = {
  guard getuid() == 0, let directory = try? TemporaryDirectory() else { return false }
  let path = directory.path
  return run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path) == 0
    && run("umount", path) == 0
}()

private func run(_ arguments: String...) -> Int32 {
  let process = Process()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = arguments
  process.standardOutput = FileHandle.nullDevice
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return -1 }
  process.waitUntilExit()
  return process.terminationStatus
}

@Test(.enabled(if: mayMount, "needs root, to mount a small file system"))
func fullDiskKeepsWhatWasComplete() throws {
  let directory = try TemporaryDirectory()
  let disk = directory.path
  try #require(run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk) == 0)
  defer { #expect(run("umount", disk) == 0) }
  let path = disk + "/best"
  let older = try save(path, "older")
  let big = [Float](repeating: 1, count: 1 << 19)
  let error = checkpointError { () throws(FileError) in
    try CheckpointDirectory.write(to: path, replacing: true, neededBytes: 0, programVersion: "0.1")
    { partial throws(FileError) in
      try SafetensorsWriter.write(to: partial + "/model.safetensors", [.init("x", [big.count])]) {
        writer throws(FileError) in try writer.append("x", big.span)
      }
    }
  }
  #expect(error?.code == .io)
  #expect(error?.path == path)
  #expect(error?.message.contains("no space left on device writing") == true)
  #expect(error?.message.contains("model.safetensors") == true)
  #expect(error?.message.contains("set output_dir") == true)
  #expect(try CheckpointDirectory.verify(path) == older)
  #expect(try directory.names() == ["best"])
}
