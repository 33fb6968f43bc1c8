import Files

/// The lines of a text file that are not blank, one at a time, in memory that does not grow with the file.
///
/// Plain text, gzip or Zstandard, UTF-8. A line is given without its end, a line feed that a carriage return may precede.
struct TrainingLines: ~Copyable {
  /// The number of the line given last, from 1.
  private(set) var number = 0
  private let stream: TextStream
  private var buffer: [UInt8] = []
  /// Where what is not given yet begins in the buffer.
  private var start = 0

  /// - Throws: ``FileError`` of code `missing` if the file cannot be opened.
  init(_ path: String) throws(FileError) { stream = try TextStream(path) }

  var path: String { stream.path }

  /// The next line that is not blank; nil after the last.
  ///
  /// - Throws: ``FileError``: `io` or `data` if reading fails, `data` if a line is not UTF-8 or too long.
  mutating func next() throws(FileError) -> [UInt8]? {
    while let line = try nextOfAll() {
      number += 1
      if line.allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) { continue }
      guard String(validating: line, as: UTF8.self) != nil else {
        throw FileError(.data, path, line: number, "is not UTF-8; convert the file to UTF-8")
      }
      return line.last == 0x0D ? line.dropLast() : line
    }
    return nil
  }

  private mutating func nextOfAll() throws(FileError) -> [UInt8]? {
    var searched = start
    while true {
      if let feed = buffer[searched...].firstIndex(of: 0x0A) {
        defer { start = feed + 1 }
        return Array(buffer[start..<feed])
      }
      guard buffer.count - start <= TextStream.lineByteLimit else {
        throw FileError(
          .data, path, line: number + 1,
          "is longer than \(TextStream.lineByteLimit) bytes; put each sentence or paragraph on a line"
        )
      }
      buffer.removeFirst(start)
      start = 0
      searched = buffer.count
      try stream.read(into: &buffer)
      if buffer.count > searched { continue }
      defer { buffer = [] }
      return buffer.isEmpty ? nil : buffer
    }
  }
}
