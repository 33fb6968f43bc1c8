import Checkpoints
import Collectives
import Configuration
import Tensors

/// Writes a stage's checkpoints, best weights and model: on the first rank, and, where the optimiser is sharded, each
/// rank's part of the moments on its own.
struct StageSaving {
  private let place: StageSnapshot.Place
  private let communicator: any Communicator
  private let shares: [OptimiserShare]
  /// Nil where every rank has all moments.
  private let parts: MomentParts?
  private var saver = CheckpointSaver()

  /// Every rank calls it, before the first step.
  ///
  /// - Parameter shares: What each rank keeps of the optimiser's state.
  init(_ trainer: StageTrainer, shares: [OptimiserShare]) throws {
    let context = trainer.context
    let (stage, line) = (trainer.stage.name, context.reporter.line)
    place = StageSnapshot.Place(
      stage: trainer.stage, directory: trainer.directory, architecture: context.task.architecture,
      base: context.baseConfig, tokenizer: context.tokenizer,
      programVersion: context.programVersion, facts: trainer.facts,
      lineage: LineageOnce(of: trainer.origin) {
        line("\(stage): its checkpoints will not name their parent: \($0)")
      },
      runName: RunFacts.lastPart(of: context.configuration.outputDirectory))
    communicator = context.communicator
    self.shares = shares
    guard shares.contains(where: { !$0.isAll }), context.checks.replay == nil else {
      parts = nil
      return
    }
    communicator.activity.begin("looking whether all ranks can write in output_dir")
    let parts = try MomentParts(
      directory: trainer.directory, timeout: Double(context.configuration.ddpTimeout),
      over: communicator)
    try parts.check(over: communicator)
    self.parts = parts
  }

  /// Begins to write `checkpoint-STEP` beside the next steps, when what earlier steps asked for is written. Every rank
  /// calls it.
  mutating func save(
    _ state: TrainerState, _ model: TrainedModel, _ optimiser: AdamWState
  ) throws {
    try wait(before: state.step)
    if let write = writing(state, model, optimiser, hashThreads: 1) {
      saver.start(step: state.step, isCheckpoint: true, write)
    }
  }

  /// Writes `checkpoint-STEP`, unless it is written already, and returns when it is. Every rank calls it.
  mutating func saveNow(
    _ state: TrainerState, _ model: TrainedModel, _ optimiser: AdamWState
  ) throws {
    let isBegun = saver.checkpointStep == state.step
    communicator.activity.begin("saving checkpoint-\(state.step)")
    try saver.wait()
    if !isBegun { try writing(state, model, optimiser, hashThreads: nil)?() }
  }

  /// Begins to write the best weights so far, beside the next steps. Every rank may call it, the first one writes.
  mutating func keepBest(_ model: TrainedModel, step: Int) throws {
    guard communicator.rank == 0 else { return }
    try wait(before: step)
    let snapshot = StageSnapshot(place: place, model: model)
    saver.start(step: step, isCheckpoint: false) {
      try snapshot.writeModel(
        to: snapshot.place.directory + "/best", facts: JSONObject(), isFinal: false, hashThreads: 1)
    }
  }

  /// The checkpoints that were finished since it was asked last. Throws what went wrong.
  mutating func finished() throws -> [CheckpointSaver.Saved] { try saver.finished() }

  /// Waits for what is still written, and writes the model that the stage ends with.
  ///
  /// - Parameter facts: What its manifest tells besides; nil if the stage saves nothing.
  mutating func finish(_ model: TrainedModel, facts: JSONObject?) throws {
    communicator.activity.begin("saving \(place.stage.name)")
    try saver.wait()
    guard let facts, communicator.rank == 0 else { return }
    try StageSnapshot(place: place, model: model).writeModel(
      to: place.directory + "/model", facts: facts, isFinal: true, hashThreads: nil)
  }

  private mutating func wait(before step: Int) throws {
    guard let earlier = saver.earlierStep(than: step) else { return }
    communicator.activity.begin("waiting until checkpoint-\(earlier) is written")
    try saver.wait()
  }

  /// What this rank has to write of a checkpoint; nil for nothing.
  private func writing(
    _ state: TrainerState, _ model: TrainedModel, _ optimiser: AdamWState, hashThreads: Int?
  ) -> (@Sendable () throws -> Void)? {
    let (rank, shares, parts) = (communicator.rank, shares, parts)
    guard rank == 0 else {
      guard let parts else { return nil }
      let path = parts.path(ofRank: rank, step: state.step)
      return { () throws -> Void in try OptimiserFiles.writePart(of: optimiser, to: path) }
    }
    let snapshot = StageSnapshot(place: place, model: model)
    return { () throws -> Void in
      defer { parts?.remove(step: state.step) }
      let paths = try parts?.wait(step: state.step) ?? [:]
      try snapshot.writeCheckpoint(state, hashThreads: hashThreads) {
        (path: String) throws(CheckpointError) in
        try OptimiserFiles.write(optimiser, shares: shares, parts: paths, to: path)
      }
    }
  }
}
