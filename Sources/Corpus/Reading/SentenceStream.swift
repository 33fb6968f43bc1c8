public import Files

/// The sentences of a file, some at a time, in memory that does not grow with the file.
///
/// Reads what ``SentenceReader/read(_:columns:tagged:)`` reads, gzip and Zstandard included. The layout of a CoNLL
/// file's rows is taken from its first part.
public struct SentenceStream: ~Copyable {
  private let columns: ColumnChoice
  private let tagged: Bool
  private let file: TextStream
  private let partBytes: Int
  private var rest: [UInt8] = []
  private var line = 1
  private var isAtEnd = false
  private var layout: RowLayout?
  private var count = 0

  public var path: String { file.path }

  /// - Parameters:
  ///   - tagged: Whether words have tags, which are given as the file has them.
  ///   - partBytes: The bytes of text that are read at a time; a longer sentence is read whole, up to 64 times as
  ///     many.
  /// - Throws: ``FileError``: `missing` if the file cannot be opened, `io` if reading fails.
  public init(
    _ path: String, columns: ColumnChoice = ColumnChoice(), tagged: Bool = false,
    partBytes: Int = 1 << 20
  ) throws(FileError) {
    file = try TextStream(path, allowsPipes: true)
    self.columns = columns
    self.tagged = tagged
    self.partBytes = partBytes
  }

  /// The next sentences, at least one; nil after the last.
  ///
  /// - Throws: ``FileError`` as ``SentenceReader`` does, and for a file without any sentence.
  public mutating func next() throws(FileError) -> [Sentence]? {
    while let part = try nextPart() {
      let text = try TextFile(path: path, bytes: part, firstLine: line)
      for byte in part where byte == UInt8(ascii: "\n") { line += 1 }
      let sentences = try sentences(of: text)
      count += sentences.count
      if !sentences.isEmpty { return sentences }
    }
    if count == 0 { throw SentenceReader.empty(try TextFile(path: path, bytes: [])) }
    return nil
  }

  private mutating func sentences(of text: TextFile) throws(FileError) -> [Sentence] {
    if SentenceReader.isJSONLines(path) {
      return try SentenceReader.records(text, tagged: tagged)
    }
    if layout == nil { layout = RowLayout(of: text) }
    guard let layout else { return [] }
    return try SentenceReader.conll(text, columns: columns, tagged: tagged, layout)
  }

  /// Bytes that end where a sentence does; nil at the end of the file.
  private mutating func nextPart() throws(FileError) -> [UInt8]? {
    var wanted = partBytes
    while true {
      try fill(to: wanted)
      if isAtEnd {
        defer { rest = [] }
        return rest.isEmpty ? nil : rest
      }
      if let end = lastBoundary() {
        defer { rest.removeFirst(end) }
        return Array(rest[..<end])
      }
      wanted *= 2
      guard wanted <= 64 * partBytes else {
        throw FileError(
          .data, path, line: line,
          "a sentence of more than \(rest.count) bytes; put blank lines between sentences")
      }
    }
  }

  private mutating func fill(to wanted: Int) throws(FileError) {
    while rest.count < wanted, !isAtEnd {
      let before = rest.count
      try file.read(into: &rest)
      isAtEnd = rest.count == before
    }
  }

  /// Where the last whole sentence of `rest` ends: after a line feed of JSON lines, after a blank line of
  /// CoNLL.
  private func lastBoundary() -> Int? {
    let isJSON = SentenceReader.isJSONLines(path)
    var end = rest.count
    while let feed = rest[..<end].lastIndex(of: UInt8(ascii: "\n")) {
      if isJSON { return feed + 1 }
      let start = rest[..<feed].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
      if rest[start..<feed].allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) { return feed + 1 }
      end = feed
    }
    return nil
  }
}
