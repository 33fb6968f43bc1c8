import Files

/// Bytes that come in blocks of ``blockBytes``, the last one shorter: of a file, or of what is packed in an object.
protocol BlockReader: AnyObject {
  /// The bytes that all blocks have together.
  var byteCount: Int { get }

  /// The next block; empty after the last.
  func next() throws(FileError) -> [UInt8]
}

/// The length of a block: all that is kept in memory of a piece of any size.
let blockBytes = 1 << 22

/// A range of a file.
final class FileReader: BlockReader {
  private let file: OpenFile
  private var offset: Int
  private let end: Int
  let byteCount: Int

  init(_ path: String, _ range: Range<Int>) throws(FileError) {
    file = try OpenFile(reading: path)
    (offset, end, byteCount) = (range.lowerBound, range.upperBound, range.count)
  }

  func next() throws(FileError) -> [UInt8] {
    let count = min(blockBytes, end - offset)
    let bytes = try file.read(count, at: offset)
    guard bytes.count == count else {
      throw FileError(.data, file.path, "ended at byte \(offset + bytes.count) of \(end)")
    }
    offset += count
    return bytes
  }
}
