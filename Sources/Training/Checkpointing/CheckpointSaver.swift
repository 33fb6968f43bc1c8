/// What of a stage is written beside its steps, one after the other: never more than what one step asked for.
struct CheckpointSaver {
  /// A checkpoint that was written.
  struct Saved: Equatable {
    var step: Int
    var seconds: Double
  }

  /// The step whose checkpoint was begun last.
  private(set) var checkpointStep: Int?
  /// Finished, and not told yet.
  private var saved: [Saved] = []
  private var works: [(step: Int, isCheckpoint: Bool, work: BackgroundWork)] = []

  /// Begins to write what a step asks for, behind what it has asked for already. What an earlier step asked for must be
  /// done: see ``wait()``.
  mutating func start(
    step: Int, isCheckpoint: Bool, _ body: @escaping @Sendable () throws -> Void
  ) {
    precondition(works.allSatisfy { $0.step == step }, "an earlier step's files are still written")
    if isCheckpoint { checkpointStep = step }
    works.append((step, isCheckpoint, BackgroundWork(after: works.last?.work, body)))
  }

  /// A step before `step` some of whose files are still written.
  func earlierStep(than step: Int) -> Int? { works.first { $0.step != step }?.step }

  /// The checkpoints that were finished since it was asked last. Throws what went wrong.
  mutating func finished() throws -> [Saved] {
    while let (step, isCheckpoint, work) = works.first, let seconds = try work.seconds() {
      if isCheckpoint { saved.append(Saved(step: step, seconds: seconds)) }
      works.removeFirst()
    }
    defer { saved = [] }
    return saved
  }

  /// Waits until all is written, or cannot be, for some time.
  func settle(seconds: Int) {
    for item in works { item.work.settle(seconds: seconds) }
  }

  /// Waits until all is written. Throws what went wrong.
  mutating func wait() throws {
    for (step, isCheckpoint, work) in works {
      let seconds = try work.wait()
      if isCheckpoint { saved.append(Saved(step: step, seconds: seconds)) }
    }
    works = []
  }
}
