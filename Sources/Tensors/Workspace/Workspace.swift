internal import CKernels
internal import COpenBLAS

/// What a rank computes with: its threads, its kernels, and the memory of a step.
///
/// One thread at a time may use a workspace. Call ``stop()`` when it is no longer needed.
@safe public final class Workspace {
  public let kernels: KernelTable
  /// What the factors of large products are rounded to.
  public let precision: Precision
  /// The threads.
  package let pool: ThreadPool
  /// The memory of tapes. An operation takes from it what lives as long as its tape, and what it needs for itself between a
  /// mark and going back to that.
  package let arena = Arena()
  /// Measures every operation, if there is one.
  public var profile: Profile? {
    didSet { pool.meter = profile?.pool }
  }
  private var scratch: [FloatBuffer]
  /// The tapes that have memory, in the order in which they began.
  private var tapes: [TapePlace] = []
  private var tapeCount = 0

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

  /// A tape among those that have memory, and where that begins.
  struct TapePlace {
    fileprivate let number: Int
    fileprivate let start: Arena.Mark
  }

  /// Begins the memory of a tape after that of the others, or in place of it.
  func beginTape(resettingArena: Bool) -> TapePlace {
    if resettingArena {
      arena.reset()
      tapes.removeAll(keepingCapacity: true)
    }
    tapeCount += 1
    let place = TapePlace(number: tapeCount, start: arena.mark)
    tapes.append(place)
    return place
  }

  /// Whether no other tape that has memory began after this one.
  func isInnermost(_ place: TapePlace) -> Bool { tapes.last?.number == place.number }

  /// Takes back the memory of the tape that began last.
  func endTape(_ place: TapePlace) {
    precondition(isInnermost(place), "tapes are released in the reverse order of their beginnings")
    arena.rewind(to: place.start)
    tapes.removeLast()
  }

  /// Gives every worker at least `count` floats of scratch. Call it before the tasks that use it.
  package func reserveScratch(_ count: Int) {
    guard let first = scratch.first, first.count < count else { return }
    scratch = scratch.map { _ in FloatBuffer(count: count) }
  }

  /// The scratch of a worker, for a task that the worker runs: what it holds is lost at the next task.
  package func scratch(of worker: Int) -> UnsafeMutablePointer<Float> {
    unsafe scratch[worker].base
  }
}

extension Workspace {
  /// Runs `body`, measured under `name` if the workspace has a profile.
  public func measured<Result, Failure: Error>(
    _ name: @autoclosure () -> String, flops: Double = 0, isRounded: Bool = false,
    bytes: Double = 0, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard let profile else { return try body() }
    return try profile.measure(
      name(), flops: flops, isRounded: isRounded, bytes: bytes, body)
  }
}

/// The memory of a step: handed out in order, given back all at once, kept for the next step.
///
/// It lies in a few ranges of addresses, each as long as those before it together. Pages that no step has used cost nothing,
/// and those that one has used stay, so that a step larger than all before it takes new ones for what it has more.
@safe package final class Arena {
  package init() {}

  private var chunks: [FloatBuffer] = []
  /// The most floats that a step has used of each chunk.
  private var reached: [Int] = []
  private var chunk = 0
  private var used = 0
  /// In floats. Not more: a kernel that promises no memory it has not counts addresses too.
  private static let smallestChunk = 64 << 20
  /// Floats by which all that is handed out is moved from its alignment, for tests.
  var misalignment = 0

  /// The floats that steps have used at most.
  package var capacity: Int { reached.reduce(0, +) }

  /// `count` floats of unknown content, aligned to 64 bytes, valid until ``reset()``.
  package func take(_ count: Int) -> UnsafeMutablePointer<Float> {
    let rounded = (max(count, 1) + misalignment + 15) & ~15
    while chunk < chunks.count, used + rounded > chunks[chunk].count {
      chunk += 1
      used = 0
    }
    if chunk == chunks.count {
      let held = chunks.reduce(0) { $0 + $1.count }
      chunks.append(FloatBuffer(count: max(rounded, held, Self.smallestChunk)))
      reached.append(0)
      used = 0
    }
    let start = used
    used += rounded
    reached[chunk] = max(reached[chunk], used)
    return unsafe chunks[chunk].base + start + misalignment
  }

  /// How much has been handed out.
  package struct Mark {
    fileprivate let chunk: Int
    fileprivate let used: Int
  }

  /// A place to which ``rewind(to:)`` goes back.
  package var mark: Mark { Mark(chunk: chunk, used: used) }

  /// Takes back what was handed out since the mark.
  package func rewind(to mark: Mark) { (chunk, used) = (mark.chunk, mark.used) }

  /// Takes back all that was handed out.
  package func reset() { (chunk, used) = (0, 0) }
}
