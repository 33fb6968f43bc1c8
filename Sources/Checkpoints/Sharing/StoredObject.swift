import Files
import Foundation

/// A piece of a checkpoint in a file of its own, compressed by itself or as what it changes in another piece.
///
/// The file: 8 bytes of name and version, the piece's length, the bytes of an element and whether it is a float, how many
/// objects have to be read before this one, the SHA-256 of the piece it is a change of or zeros; then each block with
/// its length before it. The file is named by the SHA-256 of the piece itself.
enum StoredObject {
  static let mark = Array("isoobj1\n".utf8)
  static let headerBytes = 64
  /// How many changes are stacked on a piece at most, as far as the one who writes them knows.
  static let depthLimit = 8
  /// How many are followed by those who read: one piece may have been stored by two at once, over different ones.
  static let hopLimit = 64

  struct Header: Equatable {
    var byteCount: Int
    var kind: ElementKind
    var depth: Int
    /// 64 hexadecimal digits; nil for a piece compressed by itself.
    var base: String?

    var bytes: [UInt8] {
      var bytes = StoredObject.mark
      for place in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: byteCount >> (8 * place))) }
      bytes += [UInt8(kind.width), kind.isFloat ? 1 : 0, UInt8(depth), base == nil ? 0 : 1]
      bytes += [UInt8](repeating: 0, count: 12)
      bytes += base.flatMap { Hexadecimal.bytes($0) } ?? [UInt8](repeating: 0, count: 32)
      return bytes
    }

    /// - Throws: ``FileError`` of code `data` where the bytes are no header that could have been written.
    init(parsing bytes: [UInt8], path: String) throws(FileError) {
      guard bytes.count == StoredObject.headerBytes, bytes.starts(with: StoredObject.mark) else {
        throw FileError(.data, path, "is no object of a store, or of another version")
      }
      let length = bytes[8..<16].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let (width, depth) = (Int(bytes[16]), Int(bytes[18]))
      guard let byteCount = Int(exactly: length), [1, 2, 4, 8].contains(width), bytes[17] <= 1,
        depth <= StoredObject.depthLimit, bytes[19] <= 1, (bytes[19] == 1) == (depth > 0)
      else { throw FileError(.data, path, "has a header that no object has") }
      self.init(
        byteCount: byteCount, kind: ElementKind(width: width, isFloat: bytes[17] == 1),
        depth: depth, base: depth > 0 ? Hexadecimal.text(Array(bytes[32...])) : nil)
    }

    init(byteCount: Int, kind: ElementKind, depth: Int, base: String?) {
      self.byteCount = byteCount
      self.kind = kind
      self.depth = depth
      self.base = base
    }
  }

  /// Writes a piece to a file that does not exist yet.
  ///
  /// - Parameter base: The piece that it is stored as a change of, of the same length, and how deep that one is stacked.
  /// - Returns: The bytes of the file, and the hashes of what was read: of the piece, and of the base.
  static func write(
    _ piece: any BlockReader, _ kind: ElementKind,
    over base: (hash: String, depth: Int, reader: any BlockReader)? = nil, to path: String
  ) throws(FileError) -> (byteCount: Int, hash: String, baseHash: String?) {
    let file = try OpenFile(creating: path)
    let header = Header(
      byteCount: piece.byteCount, kind: kind, depth: base.map { $0.depth + 1 } ?? 0,
      base: base?.hash)
    try file.write(unsafe header.bytes.span.bytes, at: 0)
    var offset = headerBytes
    var hash = SHA256()
    var baseHash = SHA256()
    while true {
      let block = try piece.next()
      if block.isEmpty { break }
      let below = try base?.reader.next()
      hash.update(unsafe block.span.bytes)
      if let below { baseHash.update(unsafe below.span.bytes) }
      let encoded = BytePlanes.encode(block, over: below, kind)
      let length = (0..<4).map { UInt8(truncatingIfNeeded: encoded.count >> (8 * $0)) }
      let bytes = length + encoded
      try file.write(unsafe bytes.span.bytes, at: offset)
      offset += bytes.count
    }
    try file.sync()
    return (offset, hash.finish(), base == nil ? nil : baseHash.finish())
  }
}

/// The piece that an object holds, block by block. Memory: one block for each object it is stacked on.
final class ObjectReader: BlockReader {
  private let file: OpenFile
  private let header: StoredObject.Header
  private let base: (any BlockReader)?
  private var offset = StoredObject.headerBytes
  private var done = 0
  var byteCount: Int { header.byteCount }
  var depth: Int { header.depth }

  /// - Parameter find: Opens the piece of a hash, which the object at `path` is a change of.
  init(
    _ path: String, find: (String) throws(FileError) -> any BlockReader
  ) throws(FileError) {
    file = try OpenFile(reading: path)
    header = try StoredObject.Header(
      parsing: file.read(StoredObject.headerBytes, at: 0), path: path)
    if let hash = header.base {
      let base = try find(hash)
      guard base.byteCount == header.byteCount else {
        throw FileError(.data, path, "is a change of a piece of another length, \(hash)")
      }
      self.base = base
    } else {
      base = nil
    }
  }

  func next() throws(FileError) -> [UInt8] {
    let count = min(blockBytes, header.byteCount - done)
    if count == 0 { return [] }
    let below = try base?.next()
    let prefix = try file.read(4, at: offset)
    let length = prefix.reversed().reduce(0) { $0 << 8 | Int($1) }
    // Planes that do not shrink are stored as they are, each with 5 bytes before it.
    guard prefix.count == 4, length <= count + 64 else {
      throw FileError(.data, file.path, "is cut short, or has a block of \(length) bytes")
    }
    let encoded = try file.read(length, at: offset + 4)
    guard encoded.count == length else { throw FileError(.data, file.path, "is cut short") }
    offset += 4 + length
    done += count
    return try BytePlanes.decode(
      encoded[...], count: count, over: below, header.kind, path: file.path)
  }
}
