/// A text file in memory: inflated if it was gzip or Zstandard, without byte order mark, valid UTF-8.
package struct TextFile {
  package let path: String
  package let bytes: [UInt8]
  /// The number of the first line; 1 but for a part of a file.
  package let firstLine: Int

  /// Reads the file at `path` whole.
  ///
  /// - Throws: ``FileError``, `missing` if the file cannot be opened, `io` if reading fails, `data`
  ///   if it is a damaged gzip or Zstandard file or not UTF-8.
  package init(reading path: String) throws(FileError) {
    var bytes = try TextFile.contents(of: path)
    if let compression = Compression(of: bytes) {
      bytes = try compression.inflate(bytes, path: path)
    }
    try self.init(path: path, bytes: bytes)
  }

  /// Takes bytes that were read already; `path` and `firstLine` are for messages.
  package init(path: String, bytes: [UInt8], firstLine: Int = 1) throws(FileError) {
    self.path = path
    self.firstLine = firstLine
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    self.bytes =
      firstLine == 1 && bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
    do throws(UTF8.ValidationError) {
      _ = try UTF8Span(validating: self.bytes.span)
    } catch {
      let offset = error.byteOffsets.lowerBound
      let line =
        firstLine + self.bytes[..<offset].reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
      let byte = String(self.bytes[offset], radix: 16, uppercase: true)
      throw FileError(
        .data, path, line: line,
        "byte 0x\(byte) at offset \(offset) is not UTF-8; convert the file to UTF-8, for example with iconv"
      )
    }
  }

  /// The lines, in order.
  package var lines: Lines { Lines(bytes: bytes, firstLine: firstLine) }

  /// The text of a range of bytes that begins and ends between characters.
  package func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  /// The lines of a text: ranges of its bytes without line feed and without a carriage return before it.
  package struct Lines: Sequence, IteratorProtocol {
    private let bytes: [UInt8]
    /// The number of the line last returned, from 1.
    package private(set) var number = 0
    private var start = 0

    fileprivate init(bytes: [UInt8], firstLine: Int) {
      self.bytes = bytes
      number = firstLine - 1
    }

    package mutating func next() -> Range<Int>? {
      guard start < bytes.count else { return nil }
      var end = start
      while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
      let line = start
      start = end + 1
      number += 1
      if end > line, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
      return line..<end
    }
  }

  private static func contents(of path: String) throws(FileError) -> [UInt8] {
    let file = try OpenFile(input: path, allowsPipes: true)
    var bytes: [UInt8] = []
    while true {
      let part = try file.readOn(1 << 20)
      if part.isEmpty { return bytes }
      bytes += part
    }
  }
}
