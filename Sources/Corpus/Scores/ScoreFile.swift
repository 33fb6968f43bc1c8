public import Files
import Foundation

/// A file of tokens with gold and predicted tags, as the conlleval script reads it.
///
/// Columns are separated by tabs if the line has one, else by spaces; the last two are the gold and the
/// predicted tag. All lines have equally many columns. A blank line, or one whose first column is `-X-`,
/// ends a sentence; two in a row leave an empty sentence between them, which changes no score.
public struct ScoreFile: Sendable {
  public var path: String
  /// The gold tags of each sentence.
  public var gold: [[String]] = [[]]
  /// The predicted tags of each sentence.
  public var predicted: [[String]] = [[]]
  /// The line in the file, from 1, of each tag.
  private var lines: [[Int]] = [[]]

  /// Reads the file at `path`, which is UTF-8, with or without a byte-order mark, with any line ends.
  ///
  /// - Throws: ``FileError`` with the line: missing file, invalid UTF-8, a line with too few or with
  ///   other columns than the first, an empty tag, or no line of tags at all.
  public init(path: String) throws(FileError) {
    try self.init(bytes: try TextFile(reading: path).bytes, path: path)
  }

  /// Reads `bytes` as the content of a file, which errors call `path`.
  public init(bytes: [UInt8], path: String) throws(FileError) {
    self.path = path
    var content = bytes[...]
    if content.starts(with: [0xEF, 0xBB, 0xBF]) { content = content.dropFirst(3) }
    if content.last == UInt8(ascii: "\n") { content.removeLast() }
    var columnCount: Int?
    var tagCount = 0
    let rows = content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, var row) in rows.enumerated() {
      let line = index + 1
      if row.last == UInt8(ascii: "\r") { row.removeLast() }
      guard let text = String(validating: row, as: UTF8.self) else {
        throw FileError(.data, path, line: line, "is not UTF-8; convert the file")
      }
      let hasTab = row.contains(UInt8(ascii: "\t"))
      let columns = text.utf8.split(
        separator: UInt8(ascii: hasTab ? "\t" : " "), omittingEmptySubsequences: !hasTab)
      if columns.allSatisfy(\.isEmpty)
        || columns.first.map({ $0.elementsEqual("-X-".utf8) }) == true
      {
        gold.append([])
        predicted.append([])
        lines.append([])
        continue
      }
      let expected = columnCount ?? columns.count
      guard columns.count == expected, columns.count >= 2 else {
        let wanted = columnCount.map { "as the lines before, \($0)" } ?? "two or more"
        throw FileError(
          .data, path, line: line,
          "has \(columns.count) columns, and not \(wanted): a token, its gold tag, its predicted tag"
        )
      }
      columnCount = expected
      let tags = columns.suffix(2).map { String(decoding: $0, as: UTF8.self) }
      guard let goldTag = tags.first, let predictedTag = tags.last, !goldTag.isEmpty,
        !predictedTag.isEmpty
      else {
        throw FileError(.data, path, line: line, "has an empty tag; write O outside of spans")
      }
      gold[gold.count - 1].append(goldTag)
      predicted[predicted.count - 1].append(predictedTag)
      lines[lines.count - 1].append(line)
      tagCount += 1
    }
    guard tagCount > 0 else {
      throw FileError(.data, path, "has no line with a gold and a predicted tag")
    }
  }

  /// The scores of the file's predicted tags.
  ///
  /// - Throws: ``FileError`` at the first line with a tag that `mode` does not know.
  public func scores(mode: SpanMode) throws(FileError) -> SpanScores {
    do {
      return try SpanScores.score(gold: gold, predicted: predicted, mode: mode)
    } catch {
      throw FileError(
        .data, path, line: lines[error.sentence][error.token], "tag “\(error.tag)” \(error.message)"
      )
    }
  }

  /// The file scored in every mode: by conlleval, by seqeval, and by seqeval's strict mode with the
  /// scheme found in the gold tags (IOB2 where they do not tell).
  ///
  /// Strict scores are left out if a tag does not fit.
  ///
  /// - Returns: The text for people, the reports in that order, and at which line and why one is missing, as the text says
  ///   too.
  public func summary() throws(FileError) -> (
    text: String, reports: [SpanReport], missing: String?
  ) {
    let detected = SpanScheme.detected(in: gold)
    let conlleval = try scores(mode: .conlleval)
    let lenient = try scores(mode: .default)
    let scheme = detected?.rawValue
    var text = "conlleval\n\(conlleval.counts.conllevalText)\nseqeval, default\n\(lenient.table())"
    var reports = [
      SpanReport(conlleval, mode: .conlleval, scheme: scheme, file: path),
      SpanReport(lenient, mode: .default, scheme: scheme, file: path),
    ]
    var missing: String?
    let mode = SpanMode.strict(detected ?? .iob2)
    do {
      let strict = try scores(mode: mode)
      text += "\nseqeval, strict \((detected ?? .iob2).rawValue)\n\(strict.table())"
      reports.append(SpanReport(strict, mode: mode, file: path))
    } catch {
      let reason = "seqeval, strict: not scored, \(error)"
      text += "\n\(reason)\n"
      missing = reason
    }
    return (text, reports, missing)
  }
}
