public import Files

/// Which columns of a CoNLL file hold the token and the tag.
///
/// Columns count from 0; negative ones count from the end of the row, so −1 is the last.
public struct ColumnChoice: Sendable, Equatable, Codable {
  public var token: Int
  public var tag: Int

  public init(token: Int = 0, tag: Int = -1) {
    self.token = token
    self.tag = tag
  }

  /// The place of a column in a row of `count`, or nil if the row has no such column.
  static func place(_ column: Int, of count: Int) -> Int? {
    let place = column < 0 ? count + column : column
    return (0..<count).contains(place) ? place : nil
  }
}

/// Reads files of sentences, tagged or not.
public enum SentenceReader {
  /// The sentences of a file, in order, with the tags as the file spells them.
  ///
  /// A name that ends in `.jsonl`, `.jsonl.gz` or `.jsonl.zst` is JSON lines (``jsonLines(_:tagged:)``),
  /// any other CoNLL (``conll(_:columns:tagged:)``). A file that begins with the magic bytes of gzip or
  /// Zstandard is inflated, whatever its name. The file is held in memory while it is read.
  ///
  /// - Parameters:
  ///   - path: The file. Messages name it in these words.
  ///   - columns: The columns of a CoNLL file that hold token and tag.
  ///   - tagged: False to read words only, as for prediction: tags may then be absent and are ignored.
  /// - Throws: ``FileError`` with path and line: the file is missing or unreadable (`missing`,
  ///   `io`); is not UTF-8, has a row without a tag, or holds no sentence (`data`).
  public static func read(
    _ path: String, columns: ColumnChoice = ColumnChoice(), tagged: Bool = true
  ) throws(FileError) -> [Sentence] {
    let file = try TextFile(reading: path)
    return try isJSONLines(path)
      ? jsonLines(file, tagged: tagged) : conll(file, columns: columns, tagged: tagged)
  }

  static func isJSONLines(_ path: String) -> Bool {
    [".jsonl", ".jsonl.gz", ".jsonl.zst"].contains { path.hasSuffix($0) }
  }

  /// A word of a file for a message: in quotes, on one line, cut after 40 characters.
  static func quoted(_ text: String) -> String {
    var shown = ""
    for scalar in text.unicodeScalars.prefix(40) {
      shown.unicodeScalars.append(
        scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar)
    }
    return text.unicodeScalars.count > 40 ? "'\(shown)…'" : "'\(shown)'"
  }
}
