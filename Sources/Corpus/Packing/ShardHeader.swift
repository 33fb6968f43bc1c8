import Files

/// The first 64 bytes of a shard of token ids.
///
/// Numbers are little-endian: the magic (8 bytes), version (4), bytes an id (4), vocabulary size (8),
/// tokens (8), documents that end here (8), lines (8), CRC-32 of the ids (4), the id that ends documents
/// (4), zeros (4), CRC-32 of the 60 bytes before (4).
struct ShardHeader: Equatable {
  static let byteCount = 64
  static let version: UInt32 = 1
  private static let magic = Array("ISOGTOKS".utf8)

  var vocabularySize: Int
  var documentEnd: Int32
  var tokens: Int
  var documents: Int
  var lines: Int
  /// CRC-32 of the ids' bytes.
  var checksum: UInt32

  /// 2 if every id of the vocabulary fits, else 4.
  static func elementBytes(vocabularySize: Int) -> Int { vocabularySize <= 1 << 16 ? 2 : 4 }

  var bytes: [UInt8] {
    var bytes = ShardHeader.magic
    func add<Number: FixedWidthInteger>(_ number: Number) {
      for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: number >> shift))
      }
    }
    add(ShardHeader.version)
    add(UInt32(ShardHeader.elementBytes(vocabularySize: vocabularySize)))
    for count in [vocabularySize, tokens, documents, lines] { add(UInt64(count)) }
    add(checksum)
    add(UInt32(bitPattern: documentEnd))
    add(UInt32(0))
    add(Checksum.crc32(bytes.span))
    return bytes
  }

  /// Takes the first bytes of a file apart.
  ///
  /// - Throws: ``FileError`` of code `data` that says what is wrong; `path` is for the message.
  init(_ bytes: [UInt8], path: String) throws(FileError) {
    func wrong(_ message: String) -> FileError {
      FileError(.data, path, "\(message); pack the text again")
    }
    guard bytes.count >= ShardHeader.byteCount else {
      throw wrong(
        "is cut short: \(bytes.count) bytes where a header takes \(ShardHeader.byteCount)")
    }
    guard bytes.starts(with: ShardHeader.magic) else { throw wrong("is no shard of token ids") }
    func number(_ offset: Int, _ count: Int) -> UInt64 {
      bytes[offset..<(offset + count)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    let version = number(8, 4)
    guard version == ShardHeader.version else {
      throw FileError(
        .data, path,
        "is a shard of version \(version), and this program reads version \(ShardHeader.version); use the program that wrote it, or pack the text again"
      )
    }
    guard UInt32(number(60, 4)) == Checksum.crc32(bytes.span.extracting(0..<60)) else {
      throw wrong("was altered: its header does not have the checksum it tells")
    }
    guard let vocabularySize = Int(exactly: number(16, 8)), (1...Int(Int32.max)) ~= vocabularySize,
      let tokens = Int(exactly: number(24, 8)), let documents = Int(exactly: number(32, 8)),
      let lines = Int(exactly: number(40, 8)), let end = Int32(exactly: number(52, 4)),
      end < vocabularySize, documents <= tokens, number(56, 4) == 0
    else { throw wrong("has a header with impossible counts") }
    guard number(12, 4) == ShardHeader.elementBytes(vocabularySize: vocabularySize) else {
      throw wrong("has ids of \(number(12, 4)) bytes for a vocabulary of \(vocabularySize)")
    }
    self.init(
      vocabularySize: vocabularySize, documentEnd: end, tokens: tokens, documents: documents,
      lines: lines, checksum: UInt32(number(48, 4)))
  }

  init(
    vocabularySize: Int, documentEnd: Int32, tokens: Int, documents: Int, lines: Int,
    checksum: UInt32
  ) {
    self.vocabularySize = vocabularySize
    self.documentEnd = documentEnd
    self.tokens = tokens
    self.documents = documents
    self.lines = lines
    self.checksum = checksum
  }
}
