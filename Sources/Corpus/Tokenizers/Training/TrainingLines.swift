import CZlib
import Glibc

/// The lines of a text file that are not blank, one at a time, in memory that does not grow with the file.
///
/// Plain text or gzip, UTF-8. A line is given without its end, a line feed that a carriage return may precede.
@safe struct TrainingLines: ~Copyable {
  /// The bytes of the longest line that is taken.
  static let byteLimit = 1 << 20

  let path: String
  /// The number of the line given last, from 1.
  private(set) var number = 0
  private let file: gzFile
  private var buffer = [UInt8](repeating: 0, count: 1 << 17)
  /// What of the buffer is not given yet.
  private var rest = 0..<0

  /// - Throws: ``CorpusError`` of code `missing` if the file cannot be opened.
  init(_ path: String) throws(CorpusError) {
    var information = stat()
    guard unsafe stat(path, &information) == 0 else {
      throw CorpusError(.missing, path, "there is no such file; check the path")
    }
    guard information.st_mode & S_IFMT != S_IFDIR else {
      throw CorpusError(.missing, path, "is a directory; name the files in it")
    }
    // Reads a file that is not gzip as it is.
    guard let file = unsafe gzopen(path, "rb") else {
      throw CorpusError(.missing, path, "cannot be opened; check its permissions")
    }
    unsafe self.file = file
    unsafe gzbuffer(file, 1 << 17)
    self.path = path
  }

  deinit { unsafe _ = gzclose(file) }

  /// The next line that is not blank; nil after the last.
  ///
  /// - Throws: ``CorpusError``: `io` or `data` if reading fails, `data` if a line is not UTF-8 or too long.
  mutating func next() throws(CorpusError) -> [UInt8]? {
    while let line = try nextOfAll() {
      number += 1
      if line.allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) { continue }
      guard String(validating: line, as: UTF8.self) != nil else {
        throw CorpusError(.data, path, line: number, "is not UTF-8; convert the file to UTF-8")
      }
      return line.last == 0x0D ? line.dropLast() : line
    }
    return nil
  }

  private mutating func nextOfAll() throws(CorpusError) -> [UInt8]? {
    var line: [UInt8] = []
    while true {
      if rest.isEmpty {
        try fill()
        if rest.isEmpty { return line.isEmpty ? nil : line }
      }
      let feed = buffer[rest].firstIndex(of: 0x0A)
      line += buffer[rest.lowerBound..<(feed ?? rest.upperBound)]
      guard line.count <= Self.byteLimit else {
        throw CorpusError(
          .data, path, line: number + 1,
          "is longer than \(Self.byteLimit) bytes; put each sentence or paragraph on a line")
      }
      rest = (feed.map { $0 + 1 } ?? rest.upperBound)..<rest.upperBound
      if feed != nil { return line }
    }
  }

  private mutating func fill() throws(CorpusError) {
    let read = unsafe buffer.withUnsafeMutableBytes { buffer in
      unsafe gzread(file, buffer.baseAddress, UInt32(buffer.count))
    }
    var status: Int32 = Z_OK
    _ = unsafe gzerror(file, &status)
    guard read >= 0, status == Z_OK || status == Z_STREAM_END else {
      throw CorpusError(
        status == Z_ERRNO ? .io : .data, path,
        status == Z_BUF_ERROR
          ? "the gzip file is cut short; fetch it again"
          : "reading failed after line \(number): damaged gzip, or an error of the disk")
    }
    rest = 0..<Int(read)
  }
}
