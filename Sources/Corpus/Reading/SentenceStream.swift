import CZlib
import Glibc

/// The sentences of a file, some at a time, in memory that does not grow with the file.
///
/// Reads what ``SentenceReader/read(_:columns:tagged:)`` reads, gzip included. The layout of a CoNLL file's rows is
/// taken from its first part.
@safe public struct SentenceStream: ~Copyable {
  public let path: String
  private let columns: ColumnChoice
  private let tagged: Bool
  private let file: gzFile
  private let partBytes: Int
  private var rest: [UInt8] = []
  private var line = 1
  private var isAtEnd = false
  private var layout: RowLayout?
  private var count = 0

  /// - Parameters:
  ///   - tagged: Whether words have tags, which are given as the file has them.
  ///   - partBytes: The bytes of text that are read at a time; a longer sentence is read whole, up to 64 times as
  ///     many.
  /// - Throws: ``CorpusError`` of code `missing` if the file cannot be opened.
  public init(
    _ path: String, columns: ColumnChoice = ColumnChoice(), tagged: Bool = false,
    partBytes: Int = 1 << 20
  ) throws(CorpusError) {
    var information = stat()
    guard unsafe stat(path, &information) == 0 else {
      throw CorpusError(.missing, path, "there is no such file; check the path")
    }
    guard information.st_mode & S_IFMT != S_IFDIR else {
      throw CorpusError(.missing, path, "is a directory; name a file in it")
    }
    // Reads a file that is not gzip as it is.
    guard let file = unsafe gzopen(path, "rb") else {
      throw CorpusError(.missing, path, "cannot be opened; check its permissions")
    }
    unsafe self.file = file
    unsafe gzbuffer(file, 1 << 17)
    self.path = path
    self.columns = columns
    self.tagged = tagged
    self.partBytes = partBytes
  }

  deinit { unsafe _ = gzclose(file) }

  /// The next sentences, at least one; nil after the last.
  ///
  /// - Throws: ``CorpusError`` as ``SentenceReader`` does, and for a file without any sentence.
  public mutating func next() throws(CorpusError) -> [Sentence]? {
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

  private mutating func sentences(of text: TextFile) throws(CorpusError) -> [Sentence] {
    if SentenceReader.isJSONLines(path) {
      return try SentenceReader.records(text, tagged: tagged)
    }
    if layout == nil { layout = RowLayout(of: text) }
    guard let layout else { return [] }
    return try SentenceReader.conll(text, columns: columns, tagged: tagged, layout)
  }

  /// Bytes that end where a sentence does; nil at the end of the file.
  private mutating func nextPart() throws(CorpusError) -> [UInt8]? {
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
        throw CorpusError(
          .data, path, line: line,
          "a sentence of more than \(rest.count) bytes; put blank lines between sentences")
      }
    }
  }

  private mutating func fill(to wanted: Int) throws(CorpusError) {
    var chunk = [UInt8](repeating: 0, count: 1 << 17)
    while rest.count < wanted, !isAtEnd {
      let read = unsafe chunk.withUnsafeMutableBytes { buffer in
        unsafe gzread(file, buffer.baseAddress, UInt32(buffer.count))
      }
      var status: Int32 = Z_OK
      _ = unsafe gzerror(file, &status)
      guard read >= 0, status == Z_OK || status == Z_STREAM_END else {
        throw CorpusError(
          status == Z_ERRNO ? .io : .data, path,
          status == Z_BUF_ERROR
            ? "the gzip file is cut short; fetch it again"
            : "reading failed after line \(line): damaged gzip, or an error of the disk")
      }
      isAtEnd = read == 0
      rest.append(contentsOf: chunk[..<Int(read)])
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
