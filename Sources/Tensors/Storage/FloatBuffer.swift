import Glibc

/// A run of floats on pages of its own, zero at first and aligned to 64 bytes.
///
/// The kernel is asked for huge pages, but where rows here and there are used. Memory that is never written
/// costs nothing. The buffer may be
/// read by several threads at once; who writes makes sure that nobody reads.
@safe public final class FloatBuffer: @unchecked Sendable {
  public let count: Int
  let base: UnsafeMutablePointer<Float>
  private let byteCount: Int

  /// Traps if the machine has no memory left, since no caller can go on without it.
  ///
  /// - Parameter scattered: The first floats, of which few parts will be used: they get small pages.
  public init(count: Int, scattered: Int = 0) {
    precondition(count >= 0, "a buffer of \(count) floats")
    self.count = count
    byteCount = max(count, 1) * MemoryLayout<Float>.stride
    let mapped = unsafe mmap(
      nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
      fatalError("no memory for a buffer of \(count) floats: errno \(errno)")
    }
    // Hints: MADV_HUGEPAGE for all, then MADV_NOHUGEPAGE for what is scattered.
    _ = unsafe madvise(mapped, byteCount, 14)
    precondition(scattered >= 0 && scattered <= count, "\(scattered) of \(count) floats")
    if scattered > 0 {
      _ = unsafe madvise(mapped, (scattered * MemoryLayout<Float>.stride + 4095) & ~4095, 15)
    }
    unsafe base = mapped.bindMemory(to: Float.self, capacity: max(count, 1))
  }

  deinit { unsafe munmap(base, byteCount) }

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

  func copy(from other: FloatBuffer) {
    precondition(other.count == count, "a copy of \(other.count) floats into \(count)")
    unsafe base.update(from: other.base, count: count)
  }
}
