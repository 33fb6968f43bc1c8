import Checkpoints
import Foundation
import Testing

/// An empty directory for one test, removed at the end of its life.
struct TemporaryDirectory: ~Copyable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "isogloss-\(UUID())").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }

  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: URL(filePath: file(name)))
  }

  func write(_ text: String, to name: String) throws {
    try write(Array(text.utf8), to: name)
  }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }

  func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).sorted()
  }
}

/// A file of this folder's fixtures.
func fixture(_ name: String) -> String {
  URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name)").path
}

/// The error that `body` throws; a failed test when it throws none.
func checkpointError<Value>(
  _ body: () throws(CheckpointError) -> Value, sourceLocation: SourceLocation = #_sourceLocation
) -> CheckpointError? {
  do throws(CheckpointError) {
    _ = try body()
    Issue.record("no error is thrown", sourceLocation: sourceLocation)
    return nil
  } catch {
    #expect(!error.description.contains("\n"), sourceLocation: sourceLocation)
    return error
  }
}

/// All elements of a tensor as floats.
func floats(_ name: String, of file: SafetensorsFile) throws -> [Float] {
  let count = try #require(file[name]).count
  var values = [Float](repeating: -.infinity, count: count)
  var span = values.mutableSpan
  try file.read(name, into: &span)
  return values
}
