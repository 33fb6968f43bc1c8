import Glibc
import Synchronization

/// A run of floats on pages of its own, zero at first and aligned to 64 bytes, or partly the pages of a file.
///
/// Memory that is never written costs nothing. The buffer may be read by several threads at once; who writes makes sure
/// that nobody reads.
@safe public final class FloatBuffer: @unchecked Sendable {
  public let count: Int
  let base: UnsafeMutablePointer<Float>
  private let pages: Pages
  /// Where this buffer and its copies leave their pages for the next copy.
  private let spare: Spare

  /// Traps if the machine has no memory left, since no caller can go on without it.
  ///
  /// - Parameter scattered: The first floats, of which few parts will be used: they get small pages.
  public convenience init(count: Int, scattered: Int = 0) {
    self.init(count: count, Pages(count: count, scattered: scattered, displacement: 0), Spare())
  }

  /// The first `mapped` floats are those of a file from a byte on, the others zero.
  ///
  /// The file's pages are shared with all that reads it until one is written, which copies it. All floats then
  /// lie as the file's do, perhaps not aligned.
  ///
  /// - Returns: nil if the file cannot be mapped so, or does not have so many bytes.
  convenience init?(count: Int, mapped: Int, file descriptor: Int32, offset: Int) {
    precondition(mapped <= count && offset >= 0, "\(mapped) of \(count) floats from \(offset)")
    let own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard own >= 0 else { return nil }
    let source = Pages.Source(descriptor: own, offset: offset, floats: mapped)
    guard let pages = Pages(count: count, source) else { return nil }
    self.init(count: count, pages, Spare())
  }

  private init(count: Int, _ pages: Pages, _ spare: Spare) {
    self.count = count
    self.pages = pages
    self.spare = spare
    unsafe base = pages.address.advanced(by: pages.displacement)
      .bindMemory(to: Float.self, capacity: max(count, 1))
  }

  deinit { spare.leave(pages) }

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

  // MARK: Copies

  /// A buffer like this one, on pages that an earlier copy left or on new ones: its floats are zero, or the file's, or what
  /// this buffer or one that it was copied to held before.
  func successor() -> FloatBuffer {
    FloatBuffer(count: count, spare.take() ?? pages.renewed(count: count), spare)
  }

  /// A buffer of the same floats. Pages of a file that nobody has written stay the file's in both. Cost: reads all, writes
  /// what is not the file's.
  func copied(in pool: ThreadPool? = nil) -> FloatBuffer {
    let copy = successor()
    let whole = pages.mappedBytes / Pages.size
    let (from, to) = unsafe (pages.address, copy.pages.address)
    Self.inBlocks(whole, in: pool) { numbers in
      for number in numbers {
        let (mine, its) = unsafe (from + number * Pages.size, to + number * Pages.size)
        if unsafe memcmp(mine, its, Pages.size) != 0 { unsafe memcpy(its, mine, Pages.size) }
      }
    }
    let done = max(0, whole * Pages.size - pages.displacement) / MemoryLayout<Float>.stride
    copy.copy(min(done, count)..<count, of: self, in: pool)
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

  /// The same, of floats that are mostly equal already: pages of zeros are not taken where there are zeros.
  func copyDifferences(_ range: Range<Int>, of other: FloatBuffer) {
    let block = Pages.size / MemoryLayout<Float>.stride
    for start in stride(from: range.lowerBound, to: range.upperBound, by: block) {
      let count = min(block, range.upperBound - start)
      let (to, from) = unsafe (base + start, other.base + start)
      if unsafe memcmp(to, from, count * MemoryLayout<Float>.stride) != 0 {
        unsafe to.update(from: from, count: count)
      }
    }
  }

  /// What takes the pages of some floats for the next copy, so that this has not to: a new page costs the kernel more than
  /// copying it does. It may be called on any thread, and holds no floats back from their owner.
  func preparation(_ ranges: [Range<Int>]) -> @Sendable () -> Void {
    let (pages, spare, count) = (pages, spare, count)
    return {
      let next = spare.take() ?? pages.renewed(count: count)
      for range in ranges { next.populate(range) }
      spare.leave(next)
    }
  }

  /// Calls `body` with parts of `0..<count`, on the threads of a pool if there is one.
  static func inBlocks(
    _ count: Int, in pool: ThreadPool?, _ body: (Range<Int>) -> Void
  ) {
    guard let pool else { return body(0..<count) }
    let blocks = 64
    pool.run(blocks) { block, _ in
      body(count * block / blocks..<count * (block + 1) / blocks)
    }
  }
}

/// Pages that nobody uses any more, for the next copy of a buffer: those of one buffer at most.
private final class Spare: Sendable {
  private let kept = Mutex<Pages?>(nil)

  func take() -> Pages? {
    kept.withLock { kept in
      defer { kept = nil }
      return kept
    }
  }

  func leave(_ pages: Pages) { kept.withLock { $0 = $0 ?? pages } }
}

/// The memory of a buffer, given back at the end of its life.
///
/// The kernel is asked for huge pages, but where rows here and there are used.
@safe private final class Pages: @unchecked Sendable {
  /// A part of a file. The descriptor is closed with the pages that it was given to.
  struct Source {
    var descriptor: Int32
    /// The byte of the first float.
    var offset: Int
    var floats: Int
  }

  static let size = 4096

  let address: UnsafeMutableRawPointer
  /// The bytes before the first float.
  let displacement: Int
  /// The bytes from ``address`` on that were mapped to pages of the file.
  private(set) var mappedBytes = 0
  private let byteCount: Int
  private let scattered: Int
  private var source: Source?

  init(count: Int, scattered: Int, displacement: Int) {
    precondition(count >= 0, "a buffer of \(count) floats")
    precondition(scattered >= 0 && scattered <= count, "\(scattered) of \(count) floats")
    self.displacement = displacement
    self.scattered = scattered
    byteCount = displacement + max(count, 1) * MemoryLayout<Float>.stride
    let mapped = unsafe mmap(
      nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
      fatalError("no memory for a buffer of \(count) floats: errno \(errno)")
    }
    // Hints: MADV_HUGEPAGE for all, then MADV_NOHUGEPAGE for what is scattered.
    _ = unsafe madvise(mapped, byteCount, 14)
    if scattered > 0 {
      let bytes = displacement + scattered * MemoryLayout<Float>.stride
      let rounded = (bytes + Self.size - 1) / Self.size * Self.size
      _ = unsafe madvise(mapped, rounded, 15)
    }
    unsafe address = mapped
  }

  /// The first floats are those of a file. Nil, and the descriptor closed, if it cannot be mapped so.
  convenience init?(count: Int, _ source: Source) {
    let displacement = source.offset % Self.size
    self.init(count: count, scattered: source.floats, displacement: displacement)
    self.source = source
    let bytes = source.floats * MemoryLayout<Float>.stride
    var information = stat()
    guard source.offset % MemoryLayout<Float>.alignment == 0,
      unsafe fstat(source.descriptor, &information) == 0,
      Int(information.st_size) - source.offset >= bytes
    else { return nil }
    // Whole pages are mapped; what is left of the last one, which other floats share, is read.
    mappedBytes = (displacement + bytes) / Self.size * Self.size
    if mappedBytes > 0 {
      let result = unsafe mmap(
        address, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, source.descriptor,
        source.offset - displacement)
      guard unsafe result == address else { return nil }
    }
    var done = max(0, mappedBytes - displacement)
    while done < bytes {
      let read = unsafe pread(
        source.descriptor, address + displacement + done, bytes - done, source.offset + done)
      if read < 0 && errno == EINTR { continue }
      guard read > 0 else { return nil }
      done += read
    }
  }

  deinit {
    unsafe munmap(address, byteCount)
    if let source { close(source.descriptor) }
  }

  /// New pages of the same kind: of the same file, if these are of one and it can still be mapped.
  func renewed(count: Int) -> Pages {
    if var source {
      source.descriptor = fcntl(source.descriptor, F_DUPFD_CLOEXEC, 0)
      if source.descriptor >= 0, let pages = Pages(count: count, source) { return pages }
    }
    return Pages(count: count, scattered: scattered, displacement: displacement)
  }

  /// Takes memory for some floats, whatever they hold.
  func populate(_ range: Range<Int>) {
    let stride = MemoryLayout<Float>.stride
    var next = (displacement + range.lowerBound * stride + Self.size - 1) / Self.size * Self.size
    let end = (displacement + range.upperBound * stride) / Self.size * Self.size
    // In parts, since the kernel lets no other thread map memory meanwhile. MADV_POPULATE_WRITE; kernels before Linux 5.14
    // do not know it, and give the pages when they are written.
    while next < end {
      let bytes = min(end - next, 4 << 20)
      guard unsafe madvise(address + next, bytes, 23) == 0 else { return }
      next += bytes
    }
  }
}
