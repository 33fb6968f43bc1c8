import Files
import Foundation

/// How a trained tokenizer cuts the languages it was trained on.
public struct TokenizerReport: Sendable, Equatable {
  /// The lines of each language that are measured: the first of so many.
  public static let measuredLines = 20_000

  /// A language, or all.
  public struct Row: Sendable, Equatable, Encodable {
    /// The language's code; `all` for the sum.
    public var language: String
    /// The lines there are that are not blank.
    public var lines = 0
    /// The lines that were drawn, each as often as it was.
    public var drawn = 0
    /// Of the measured lines: what stands between blanks, pieces, and those of them that are `<unk>`.
    public var words = 0
    public var pieces = 0
    public var unknown = 0

    public var piecesPerWord: Double { Double(pieces) / Double(max(words, 1)) }
    /// The share of pieces that are `<unk>`.
    public var unknownRate: Double { Double(unknown) / Double(max(pieces, 1)) }

    private enum CodingKeys: String, CodingKey {
      case language, lines, drawn, words, pieces, unknown, piecesPerWord, unknownRate
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(language, forKey: .language)
      try container.encode(lines, forKey: .lines)
      try container.encode(drawn, forKey: .drawn)
      try container.encode(words, forKey: .words)
      try container.encode(pieces, forKey: .pieces)
      try container.encode(unknown, forKey: .unknown)
      try container.encode(piecesPerWord, forKey: .piecesPerWord)
      try container.encode(unknownRate, forKey: .unknownRate)
    }

    mutating func add(_ other: Row) {
      lines += other.lines
      drawn += other.drawn
      words += other.words
      pieces += other.pieces
      unknown += other.unknown
    }
  }

  /// The languages in the order of their codes, and `all` at the end.
  public let rows: [Row]

  /// Measures a tokenizer on the first lines of each language.
  init(
    of tokenizer: any Tokenizer, on texts: [TrainingText], lines: [Int], drawn: [Int]
  ) throws(FileError) {
    var rows: [Row] = []
    var all = Row(language: "all")
    for (index, text) in texts.enumerated() {
      var row = Row(language: text.language, lines: lines[index], drawn: drawn[index])
      var left = Self.measuredLines
      for file in text.files where left > 0 {
        var open = try TrainingLines(file)
        while left > 0, let line = try open.next() {
          left -= 1
          row.words += line.split { [0x20, 0x09, 0x0D].contains($0) }.count
          let ids = tokenizer.encode(String(decoding: line, as: UTF8.self))
          row.pieces += ids.count
          row.unknown += ids.count { $0 == tokenizer.specials.unknown }
        }
      }
      rows.append(row)
      all.add(row)
    }
    self.rows = rows + [all]
  }

  /// The rows as a table.
  public var text: String {
    let cells =
      [["language", "lines", "drawn", "words", "pieces", "pieces/word", "unknown"]]
      + rows.map { row in
        let unknown = String(format: "%.3f %%", 100 * row.unknownRate)
        return [
          row.language, "\(row.lines)", "\(row.drawn)", "\(row.words)", "\(row.pieces)",
          String(format: "%.2f", row.piecesPerWord), unknown,
        ]
      }
    return TextTable(cells).text
  }
}
