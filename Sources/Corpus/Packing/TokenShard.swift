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
  /// - Throws: ``CorpusError`` that names the file: `missing` if it cannot be opened, `data` if it is not
  ///   the shard that is expected.
  /// - Complexity: O(`count`): the whole file is read once.
  init(
    path: String, expected: PackedCorpus.Shard, vocabularySize: Int, documentEnd: Int32
  ) throws(CorpusError) {
    let file = try OpenedFile(path)
    let size = try file.byteCount()
    guard size >= ShardHeader.byteCount else {
      throw CorpusError(.data, path, "is cut short: \(size) bytes; pack the text again")
    }
    guard let start = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, file.descriptor, 0),
      unsafe start != MAP_FAILED
    else { throw CorpusError(.io, path, "cannot be mapped: \(OpenedFile.reason(errno))") }
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
      throw CorpusError(
        .data, path,
        "is not the shard that index.json tells of (\(header.tokens) tokens, checksum \(header.checksum), where \(told.tokens) and \(told.checksum) are told); pack the text again"
      )
    }
    guard size == PackedCorpus.fileBytes(tokens: count, vocabularySize: vocabularySize) else {
      throw CorpusError(
        .data, path, "has \(size) bytes, which are not \(count) ids; pack the text again")
    }
    let ids = unsafe Span<UInt8>(
      _unsafeElements: mapping.bindMemory(to: UInt8.self)
    ).extracting(ShardHeader.byteCount..<size)
    guard Checksum.crc32(ids) == header.checksum else {
      throw CorpusError(
        .data, path, "was altered: its ids do not have the checksum it tells; pack the text again")
    }
    var greatest: UInt32 = 0
    for index in 0..<count {
      let id = UInt32(bitPattern: id(at: index))
      if id > greatest { greatest = id }
    }
    guard greatest < vocabularySize else {
      throw CorpusError(
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

/// A file that is open for reading, as long as the value lives.
final class OpenedFile {
  let descriptor: Int32
  let path: String

  /// - Throws: ``CorpusError`` of code `missing`.
  init(_ path: String) throws(CorpusError) {
    descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    self.path = path
    if descriptor < 0 {
      let cause = errno
      throw CorpusError(
        .missing, path,
        cause == ENOENT
          ? "there is no such file; check the path"
          : "cannot be opened: \(OpenedFile.reason(cause)); check its permissions")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The size of the file, which must be a regular one.
  func byteCount() throws(CorpusError) -> Int {
    var information = stat()
    guard unsafe fstat(descriptor, &information) == 0 else {
      throw CorpusError(.io, path, "cannot be read: \(OpenedFile.reason(errno))")
    }
    guard information.st_mode & S_IFMT == S_IFREG else {
      throw CorpusError(.missing, path, "is no regular file; name a file")
    }
    return Int(information.st_size)
  }

  /// At most `count` bytes from a place on: fewer at the end of the file.
  func bytes(_ place: Int, _ count: Int) throws(CorpusError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let read = unsafe bytes.withUnsafeMutableBytes { buffer in
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        return unsafe pread(descriptor, rest.baseAddress, rest.count, place + done)
      }
      if read < 0, errno == EINTR { continue }
      guard read >= 0 else {
        throw CorpusError(
          .io, path, "reading failed at byte \(place + done): \(OpenedFile.reason(errno))")
      }
      if read == 0 { break }
      done += read
    }
    return Array(bytes[..<done])
  }

  static func reason(_ code: Int32) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
  }
}
