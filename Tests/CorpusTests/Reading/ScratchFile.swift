import Corpus
import Files
import Foundation
import Testing

/// Writes `bytes` to a new file whose name ends as told, gives its path to `body`, and removes it.
func withFile<Result>(
  _ bytes: [UInt8], ending: String = ".conll", _ body: (String) throws -> Result
) throws -> Result {
  let file = FileManager.default.temporaryDirectory
    .appending(path: "isogloss-\(UUID().uuidString)\(ending)")
  try Data(bytes).write(to: file)
  defer { try? FileManager.default.removeItem(at: file) }
  return try body(file.path)
}

/// The sentences of a file with this text, as words and tags.
func read(
  _ text: String, ending: String = ".conll", columns: ColumnChoice = ColumnChoice(),
  tagged: Bool = true
) throws -> [Sentence] {
  try withFile(Array(text.utf8), ending: ending) { path in
    try SentenceReader.read(path, columns: columns, tagged: tagged)
  }
}

/// The error that reading this text throws; its path is left out.
func failure(
  _ bytes: [UInt8], ending: String = ".conll", columns: ColumnChoice = ColumnChoice(),
  tagged: Bool = true
) throws -> FileError {
  try withFile(bytes, ending: ending) { path in
    var error = try #require(throws: FileError.self) {
      try SentenceReader.read(path, columns: columns, tagged: tagged)
    }
    #expect(error.path == path)
    error.path = ""
    return error
  }
}

func failure(
  _ text: String, ending: String = ".conll", columns: ColumnChoice = ColumnChoice(),
  tagged: Bool = true
) throws -> FileError {
  try failure(Array(text.utf8), ending: ending, columns: columns, tagged: tagged)
}
