import Checkpoints
import Files
import Foundation
import Testing

/// A file of this folder's fixtures.
func fixture(_ name: String) -> String {
  URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name)").path
}

/// The error that `body` throws; a failed test when it throws none.
func checkpointError<Value>(
  _ body: () throws(FileError) -> Value, sourceLocation: SourceLocation = #_sourceLocation
) -> FileError? {
  do throws(FileError) {
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
