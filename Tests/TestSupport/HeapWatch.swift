import Glibc
import Synchronization

/// The most memory that was allocated at a time, where the address sanitizer counts it (`swift test --sanitize=address`).
public enum HeapWatch {
  private static let live = Atomic(0)
  private static let peak = Atomic(0)

  private typealias Install =
    @convention(c) (
      @convention(c) (UnsafeRawPointer?, Int) -> Void, @convention(c) (UnsafeRawPointer?) -> Void
    ) -> Int32
  private typealias SizeOf = @convention(c) (UnsafeRawPointer?) -> Int

  private static let sizeOf: SizeOf? = unsafe symbol(
    "__sanitizer_get_allocated_size")

  /// Whether allocations are counted in this process.
  public static let isOn: Bool = {
    let install: Install? = unsafe symbol("__sanitizer_install_malloc_and_free_hooks")
    guard let install = unsafe install, unsafe sizeOf != nil else { return false }
    return unsafe install(
      { _, size in
        let now = HeapWatch.live.add(size, ordering: .relaxed).newValue
        HeapWatch.peak.max(now, ordering: .relaxed)
      },
      { pointer in
        guard let sizeOf = unsafe HeapWatch.sizeOf else { return }
        HeapWatch.live.subtract(unsafe sizeOf(pointer), ordering: .relaxed)
      }) > 0
  }()

  /// The bytes that `body` had allocated at most, beyond those before it; nil if nobody counts.
  public static func peakBytes<Failure: Error>(
    _ body: () throws(Failure) -> Void
  ) throws(Failure) -> Int? {
    guard isOn else {
      try body()
      return nil
    }
    let before = live.load(ordering: .relaxed)
    peak.store(before, ordering: .relaxed)
    try body()
    return peak.load(ordering: .relaxed) - before
  }

  private static func symbol<Function>(_ name: String) -> Function? {
    guard let address = unsafe dlsym(nil, name) else { return nil }
    return unsafe unsafeBitCast(address, to: Function.self)
  }
}
