import Glibc
import Synchronization

/// What this process waits for, as text that a signal handler can print.
public enum CurrentWait {
  /// The most bytes of the text, its final zero included.
  public static let capacity = 512

  /// Text that ends in a zero byte: `waiting in barrier for rank 2`, or empty.
  ///
  /// Take the pointer once, before the handler is installed: the first use of it allocates. With
  /// several ranks as threads the first one that waits is shown.
  public nonisolated(unsafe) static let text: UnsafePointer<CChar> = unsafe UnsafePointer(buffer)

  private nonisolated(unsafe) static let buffer: UnsafeMutablePointer<CChar> = {
    let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
    unsafe buffer.initialize(repeating: 0, count: capacity)
    return unsafe buffer
  }()

  private static let isTaken = Atomic(false)

  /// True if nobody else holds the text; it is then the caller's until ``release()``.
  static func take() -> Bool {
    isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  /// Replaces the text so that a reader at any moment sees the new one, or none.
  static func show(_ line: String) {
    var line = line
    unsafe buffer[0] = 0
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    line.withUTF8 { bytes in
      let count = min(bytes.count, capacity - 1)
      guard count > 0 else { return }
      for index in 1..<max(1, count) { unsafe buffer[index] = CChar(bitPattern: bytes[index]) }
      unsafe buffer[count] = 0
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      unsafe buffer[0] = CChar(bitPattern: bytes[0])
    }
  }

  static func release() {
    unsafe buffer[0] = 0
    isTaken.store(false, ordering: .releasing)
  }
}
