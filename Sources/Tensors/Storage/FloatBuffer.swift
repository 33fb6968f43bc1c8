import Glibc

/// A run of floats on pages of its own, zero at first and aligned to 64 bytes, or partly the pages of a file.
///
/// The kernel is asked for huge pages, but where rows here and there are used. Memory that is never written
/// costs nothing. The buffer may be
/// read by several threads at once; who writes makes sure that nobody reads.
@safe public final class FloatBuffer: @unchecked Sendable {
  public let count: Int
  let base: UnsafeMutablePointer<Float>
  private let pages: UnsafeMutableRawPointer
  private let byteCount: Int
  /// The file whose pages the first floats are until they are written.
  private var source: Source?
  private static let pageBytes = 4096

  private struct Source {
    /// A descriptor of this buffer's own.
    var descriptor: Int32
    /// The byte of the first float.
    var offset: Int
    var floats: Int
    /// The bytes of ``pages`` that are pages of the file.
    var mappedBytes: Int
  }

  /// Traps if the machine has no memory left, since no caller can go on without it.
  ///
  /// - Parameter scattered: The first floats, of which few parts will be used: they get small pages.
  public convenience init(count: Int, scattered: Int = 0) {
    self.init(count: count, scattered: scattered, displacement: 0)
  }

  /// The first `mapped` floats are those of a file from a byte on, the others zero.
  ///
  /// The file's pages are shared with all that reads it until one is written, which copies it. All floats then
  /// lie as the file's do, perhaps not aligned.
  ///
  /// - Returns: nil if the file cannot be mapped so, or does not have so many bytes.
  convenience init?(count: Int, mapped: Int, file descriptor: Int32, offset: Int) {
    precondition(mapped <= count && offset >= 0, "\(mapped) of \(count) floats from \(offset)")
    let bytes = mapped * MemoryLayout<Float>.stride
    var information = stat()
    guard offset % MemoryLayout<Float>.alignment == 0,
      unsafe fstat(descriptor, &information) == 0, Int(information.st_size) - offset >= bytes
    else { return nil }
    let displacement = offset % Self.pageBytes
    self.init(count: count, scattered: mapped, displacement: displacement)
    // Whole pages are mapped; what is left of the last one, which other floats share, is read.
    let whole = (displacement + bytes) / Self.pageBytes * Self.pageBytes
    if whole > 0 {
      let result = unsafe mmap(
        pages, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, descriptor,
        offset - displacement)
      guard unsafe result == pages else { return nil }
    }
    let own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard own >= 0 else { return nil }
    source = Source(descriptor: own, offset: offset, floats: mapped, mappedBytes: whole)
    var done = max(0, whole - displacement)
    while done < bytes {
      let read = unsafe pread(
        descriptor, UnsafeMutableRawPointer(base) + done, bytes - done, offset + done)
      if read < 0 && errno == EINTR { continue }
      guard read > 0 else { return nil }
      done += read
    }
  }

  private init(count: Int, scattered: Int, displacement: Int) {
    precondition(count >= 0, "a buffer of \(count) floats")
    self.count = count
    byteCount = displacement + max(count, 1) * MemoryLayout<Float>.stride
    let mapped = unsafe mmap(
      nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
      fatalError("no memory for a buffer of \(count) floats: errno \(errno)")
    }
    // Hints: MADV_HUGEPAGE for all, then MADV_NOHUGEPAGE for what is scattered.
    _ = unsafe madvise(mapped, byteCount, 14)
    precondition(scattered >= 0 && scattered <= count, "\(scattered) of \(count) floats")
    if scattered > 0 {
      let bytes = displacement + scattered * MemoryLayout<Float>.stride
      let rounded = (bytes + Self.pageBytes - 1) / Self.pageBytes * Self.pageBytes
      _ = unsafe madvise(mapped, rounded, 15)
    }
    unsafe pages = mapped
    unsafe base = (mapped + displacement).bindMemory(to: Float.self, capacity: max(count, 1))
  }

  deinit {
    unsafe munmap(pages, byteCount)
    if let source { close(source.descriptor) }
  }

  /// Calls `body` with the floats of `range`, or with all, for reading.
  public func withSpan<Result, Failure: Error>(
    _ range: Range<Int>? = nil, _ body: (Span<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let range = range ?? 0..<count
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of \(count) floats")
    let span = unsafe Span(
      _unsafeStart: UnsafePointer(base) + range.lowerBound, count: range.count)
    return try body(span)
  }

  /// Calls `body` with the floats of `range`, for writing.
  public func withMutableSpan<Result, Failure: Error>(
    _ range: Range<Int>? = nil, _ body: (inout MutableSpan<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let range = range ?? 0..<count
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of \(count) floats")
    var span = unsafe MutableSpan(
      _unsafeStart: base + range.lowerBound, count: range.count)
    return try body(&span)
  }

  /// A buffer of the same floats, whose first ones are the file's pages if they are so here: only those that were
  /// written since are copied. Cost: reads all, writes what is not the file's.
  func copied(in pool: ThreadPool? = nil) -> FloatBuffer {
    guard let source,
      let copy = FloatBuffer(
        count: count, mapped: source.floats, file: source.descriptor, offset: source.offset)
    else {
      let copy = FloatBuffer(count: count)
      copy.copy(0..<count, of: self, in: pool)
      return copy
    }
    let (from, to) = unsafe (pages, copy.pages)
    Self.inBlocks(source.mappedBytes / Self.pageBytes, in: pool) { pages in
      for page in pages {
        let (mine, its) = unsafe (from + page * Self.pageBytes, to + page * Self.pageBytes)
        if unsafe memcmp(mine, its, Self.pageBytes) != 0 {
          unsafe memcpy(its, mine, Self.pageBytes)
        }
      }
    }
    let mappedFloats =
      max(0, source.mappedBytes - source.offset % Self.pageBytes) / MemoryLayout<Float>.stride
    copy.copy(min(mappedFloats, count)..<count, of: self, in: pool)
    return copy
  }

  /// Writes floats of another buffer of this size over those here.
  func copy(_ range: Range<Int>, of other: FloatBuffer, in pool: ThreadPool? = nil) {
    precondition(
      other.count == count && range.lowerBound >= 0 && range.upperBound <= count,
      "a copy of \(range) of \(other.count) floats into \(count)")
    let (to, from) = unsafe (base + range.lowerBound, other.base + range.lowerBound)
    Self.inBlocks(range.count, in: pool) { part in
      unsafe (to + part.lowerBound).update(from: from + part.lowerBound, count: part.count)
    }
  }

  /// Calls `body` with parts of `0..<count`, on the threads of a pool if there is one.
  private static func inBlocks(
    _ count: Int, in pool: ThreadPool?, _ body: (Range<Int>) -> Void
  ) {
    guard let pool else { return body(0..<count) }
    let blocks = 64
    pool.run(blocks) { block, _ in
      body(count * block / blocks..<count * (block + 1) / blocks)
    }
  }
}
