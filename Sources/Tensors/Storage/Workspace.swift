internal import CKernels
internal import COpenBLAS

/// What a rank computes with: its threads, its kernels, and the memory of a step.
///
/// One thread at a time may use a workspace. Call ``stop()`` when it is no longer needed.
@safe public final class Workspace {
  public let kernels: KernelTable
  /// What the factors of large products are rounded to.
  public let precision: Precision
  let pool: ThreadPool
  let arena = Arena()
  /// Measures every operation, if there is one.
  public var profile: Profile? {
    didSet { pool.meter = profile?.pool }
  }
  private var scratch: [FloatBuffer]

  /// - Parameter threadCount: The threads that compute, the caller's own included. At least 1.
  public init(kernels: KernelTable, threadCount: Int, precision: Precision = .fp32) {
    self.kernels = kernels
    self.precision = precision
    pool = ThreadPool(threadCount: threadCount)
    scratch = (0..<threadCount).map { _ in FloatBuffer(count: 0) }
    openblas_set_num_threads(1)
  }

  /// The workers that operations are cut for; ``threadCount`` unless it is set, to see what more would find to do.
  public var workers: Int {
    get { pool.workers }
    set { pool.workers = max(newValue, pool.threadCount) }
  }

  /// Ends the threads.
  public func stop() { pool.stop() }

  public var threadCount: Int { pool.threadCount }

  /// The bytes that steps have needed at most for activations and scratch.
  public var stepBytes: Int {
    (arena.capacity + scratch.reduce(0) { $0 + $1.count }) * MemoryLayout<Float>.stride
  }

  /// Moves the memory of later steps by some floats from its alignment, for tests.
  package func misalign(by floats: Int) {
    precondition(floats >= 0 && floats < 16, "a misalignment of \(floats) floats")
    arena.misalignment = floats
  }

  /// Gives every worker at least `count` floats of scratch. Call it before the tasks that use it.
  func reserveScratch(_ count: Int) {
    guard let first = scratch.first, first.count < count else { return }
    scratch = scratch.map { _ in FloatBuffer(count: count) }
  }

  /// The scratch of a worker: what it holds is lost at the next task.
  func scratch(of worker: Int) -> UnsafeMutablePointer<Float> { unsafe scratch[worker].base }
}

/// The memory of a step: handed out in order, given back all at once, kept for the next step.
@safe final class Arena {
  private var chunks: [FloatBuffer] = []
  private var chunk = 0
  private var used = 0
  private static let smallestChunk = 4 << 20  // floats
  /// Floats by which all that is handed out is moved from its alignment, for tests.
  var misalignment = 0

  var capacity: Int { chunks.reduce(0) { $0 + $1.count } }

  /// `count` floats of unknown content, aligned to 64 bytes, valid until ``reset()``.
  func take(_ count: Int) -> UnsafeMutablePointer<Float> {
    let rounded = (max(count, 1) + misalignment + 15) & ~15
    while chunk < chunks.count, used + rounded > chunks[chunk].count {
      chunk += 1
      used = 0
    }
    if chunk == chunks.count {
      chunks.append(FloatBuffer(count: max(rounded, Self.smallestChunk)))
      used = 0
    }
    defer { used += rounded }
    return unsafe chunks[chunk].base + used + misalignment
  }

  /// A place to which ``rewind(to:)`` goes back.
  var mark: (chunk: Int, used: Int) { (chunk, used) }

  /// Takes back what was handed out since the mark.
  func rewind(to mark: (chunk: Int, used: Int)) { (chunk, used) = mark }

  /// Takes back all that was handed out. After a step that needed more than one chunk, the next one
  /// finds a single chunk of their sum.
  func reset() {
    if chunks.count > 1 {
      let total = capacity
      chunks = []
      chunks.append(FloatBuffer(count: total))
    }
    chunk = 0
    used = 0
  }
}
