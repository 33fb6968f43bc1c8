import Files
import Glibc

/// The token ids of a shard, mapped from its file: documents one after the other, each ended by the
/// end-of-sequence id.
///
/// Pages that are not in use take no memory. The file must not be cut while it is mapped.
@safe public final class TokenShard: TokenSource, @unchecked Sendable {
  public let count: Int
  public let path: String
  /// The id that ends every document.
  public let documentEnd: Int32
  /// The mapping of the whole file, header included.
  private let mapping: UnsafeRawBufferPointer
  private let isNarrow: Bool

  /// Maps the file at `path` and checks all of it.
  ///
  /// - Throws: ``FileError`` that names the file: `missing` if it cannot be opened, `data` if it is not
  ///   the shard that is expected.
  /// - Complexity: O(`count`): the whole file is read once.
  init(
    path: String, expected: PackedCorpus.Shard, vocabularySize: Int, documentEnd: Int32
  ) throws(FileError) {
    let file = try OpenFile(input: path)
    let size = try file.size()
    guard size >= ShardHeader.byteCount else {
      throw FileError(.data, path, "is cut short: \(size) bytes; pack the text again")
    }
    guard let start = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, file.descriptor, 0),
      unsafe start != MAP_FAILED
    else { throw FileError(.io, path, "cannot be mapped: \(systemErrorText(errno))") }
    unsafe mapping = unsafe UnsafeRawBufferPointer(start: start, count: size)
    isNarrow = ShardHeader.elementBytes(vocabularySize: vocabularySize) == 2
    count = expected.tokens
    self.path = path
    self.documentEnd = documentEnd
    let header = try ShardHeader(
      unsafe Array(mapping.prefix(ShardHeader.byteCount)), path: path)
    let told = ShardHeader(
      vocabularySize: vocabularySize, documentEnd: documentEnd, tokens: expected.tokens,
      documents: expected.documents, lines: expected.lines, checksum: expected.checksum)
    guard header == told else {
      throw FileError(
        .data, path,
        "is not the shard that index.json tells of (\(header.tokens) tokens, checksum \(header.checksum), where \(told.tokens) and \(told.checksum) are told); pack the text again"
      )
    }
    guard size == PackedCorpus.fileBytes(tokens: count, vocabularySize: vocabularySize) else {
      throw FileError(
        .data, path, "has \(size) bytes, which are not \(count) ids; pack the text again")
    }
    let ids = unsafe Span<UInt8>(
      _unsafeElements: mapping.bindMemory(to: UInt8.self)
    ).extracting(ShardHeader.byteCount..<size)
    guard Checksum.crc32(ids) == header.checksum else {
      throw FileError(
        .data, path, "was altered: its ids do not have the checksum it tells; pack the text again")
    }
    var greatest: UInt32 = 0
    for index in 0..<count {
      let id = UInt32(bitPattern: id(at: index))
      if id > greatest { greatest = id }
    }
    guard greatest < vocabularySize else {
      throw FileError(
        .data, path,
        "has the id \(greatest) of a vocabulary of \(vocabularySize); pack the text again")
    }
    unsafe _ = madvise(start, size, MADV_DONTNEED)
  }

  deinit {
    unsafe _ = munmap(UnsafeMutableRawPointer(mutating: mapping.baseAddress), mapping.count)
  }

  /// The id at a place from 0.
  ///
  /// - Precondition: `index` is in `0 ..< count`.
  public subscript(_ index: Int) -> Int32 {
    precondition(index >= 0 && index < count, "id \(index) of a shard of \(count)")
    return id(at: index)
  }

  @inline(__always) private func id(at index: Int) -> Int32 {
    if isNarrow {
      let bits = unsafe mapping.loadUnaligned(
        fromByteOffset: ShardHeader.byteCount + 2 * index, as: UInt16.self)
      return Int32(UInt16(littleEndian: bits))
    }
    let bits = unsafe mapping.loadUnaligned(
      fromByteOffset: ShardHeader.byteCount + 4 * index, as: UInt32.self)
    return Int32(bitPattern: UInt32(littleEndian: bits))
  }

  /// Appends the ids of a range of places.
  ///
  /// - Precondition: `range` is within `0 ..< count`.
  public func append(_ range: Range<Int>, to ids: inout [Int32]) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= count,
      "ids \(range) of a shard of \(count)")
    ids.reserveCapacity(ids.count + range.count)
    for index in range { ids.append(id(at: index)) }
  }
}
