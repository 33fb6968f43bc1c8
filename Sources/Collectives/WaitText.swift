/// What this process waits for, in memory that a signal handler may read.
///
/// One thread writes. The text ends in zero at all times.
public enum WaitText {
  private static let capacity = 256
  nonisolated(unsafe) private static let text: UnsafeMutablePointer<CChar> = {
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
    unsafe text.initialize(repeating: 0, count: capacity)
    return unsafe text
  }()

  static func set(_ what: String) {
    let bytes = Array("waiting in \(what)".utf8.prefix(capacity - 1))
    unsafe text[bytes.count] = 0
    for (index, byte) in bytes.enumerated() { unsafe text[index] = CChar(bitPattern: byte) }
  }

  static func clear() { unsafe text[0] = 0 }

  /// The text; empty when nothing is waited for.
  @unsafe public static var current: UnsafePointer<CChar> { unsafe UnsafePointer(text) }
}
