import Glibc
import Synchronization

/// Text about this process that a signal handler, or another process, can read at any moment.
@safe public final class ShownText: Sendable {
  /// The most bytes of a text, its final zero included.
  public static let capacity = 512

  /// What this process waits for: `rank 1 waiting in barrier for rank 2`, or empty. With several ranks as threads the
  /// first one that waits is shown.
  public static let wait = ShownText(0)

  /// What the rank of this process does: `evaluation, step 200`. Empty with several ranks as threads.
  public static let operation = ShownText(1)

  /// Memory of `2 × capacity` zeroed bytes in which the texts are to be; to be set before their first use.
  public nonisolated(unsafe) static var memory: UnsafeMutablePointer<CChar>?

  /// The text, which ends in a zero byte. To be taken once, before a handler is installed: the first use allocates.
  public nonisolated(unsafe) let text: UnsafePointer<CChar>
  private nonisolated(unsafe) let buffer: UnsafeMutablePointer<CChar>
  private let isTaken = Atomic(false)

  private init(_ index: Int) {
    if let memory = unsafe Self.memory {
      unsafe buffer = memory + index * Self.capacity
    } else {
      unsafe buffer = .allocate(capacity: Self.capacity)
      unsafe buffer.initialize(repeating: 0, count: Self.capacity)
    }
    unsafe text = UnsafePointer(buffer)
  }

  /// True if nobody else holds the text; it is then the caller's until ``release()``.
  func take() -> Bool {
    isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  /// Replaces the text so that a reader at any moment sees the new one, or none.
  public func show(_ line: String) {
    var line = line
    unsafe buffer[0] = 0
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    line.withUTF8 { bytes in
      let count = min(bytes.count, Self.capacity - 1)
      guard count > 0 else { return }
      for index in 1..<max(1, count) { unsafe buffer[index] = CChar(bitPattern: bytes[index]) }
      unsafe buffer[count] = 0
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      unsafe buffer[0] = CChar(bitPattern: bytes[0])
    }
  }

  func release() {
    unsafe buffer[0] = 0
    isTaken.store(false, ordering: .releasing)
  }
}
