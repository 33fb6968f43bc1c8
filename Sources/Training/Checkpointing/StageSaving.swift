import Checkpoints
import Collectives
import Configuration
import Files
import Tensors
import Tokenizers

/// Writes a stage's checkpoints, best weights and model: on the first rank, and, where the optimiser is sharded, each
/// rank's part of the moments on its own.
struct StageSaving {
  private let place: StageSnapshot.Place
  private let communicator: any Communicator
  /// Nil where every rank has all moments.
  private let parts: MomentParts?
  private var saver = CheckpointSaver()

  /// Every rank calls it, before the first step.
  ///
  /// - Parameters:
  ///   - isSharded: Whether each rank keeps a share of the moments and writes it itself.
  ///   - timeout: Seconds for which nothing may come of another rank's share.
  init(
    _ place: StageSnapshot.Place, isSharded: Bool, timeout: Double,
    over communicator: any Communicator
  ) throws {
    self.place = place
    self.communicator = communicator
    guard isSharded, communicator.size > 1 else {
      parts = nil
      return
    }
    communicator.activity.begin("looking whether all ranks can write in output_dir")
    let parts = try MomentParts(directory: place.directory, timeout: timeout, over: communicator)
    try parts.check(over: communicator)
    self.parts = parts
  }

  /// Takes the memory for the copies that saving will need, beside the first steps.
  ///
  /// - Parameter trained: Whether each entry of the layout is.
  func prepareCopies(_ parameters: ParameterSet, _ optimiser: OptimiserState, trained: [Bool]) {
    let training = place.stage.training
    var preparations: [@Sendable () -> Void] = []
    if communicator.rank == 0, training.savesStates || training.loadBestModelAtEnd {
      preparations.append(parameters.copyPreparation)
    }
    if communicator.rank == 0 || parts != nil, training.savesStates {
      preparations.append(optimiser.copyPreparation(trained: trained))
    }
    if preparations.isEmpty { return }
    _ = BackgroundWork { [preparations] in
      for prepare in preparations { prepare() }
    }
  }

  /// Begins to write `checkpoint-STEP` beside the next steps, when what earlier steps asked for is written, unless that
  /// was begun already. Every rank calls it.
  ///
  /// - Parameter shares: What each rank keeps of the optimiser's state.
  mutating func save<Cursor>(
    _ state: TrainerState<Cursor>, _ model: TrainedModel, _ optimiser: OptimiserState,
    _ shares: [OptimiserShare]
  ) throws {
    if saver.checkpointStep == state.step { return }
    try wait(before: state.step)
    if let write = writing(state, model, optimiser, shares, hashThreads: 1) {
      saver.start(step: state.step, isCheckpoint: true, write)
    }
  }

  /// Writes `checkpoint-STEP`, unless ``save(_:_:_:)`` has begun to, and returns when it is there. Every rank calls it.
  mutating func saveNow<Cursor>(
    _ state: TrainerState<Cursor>, _ model: TrainedModel, _ optimiser: OptimiserState,
    _ shares: [OptimiserShare]
  ) throws {
    let isBegun = saver.checkpointStep == state.step
    communicator.activity.begin("saving checkpoint-\(state.step)")
    try saver.wait()
    if !isBegun { try writing(state, model, optimiser, shares, hashThreads: nil)?() }
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

  /// Lets what was begun come to its end, for a minute at most, before the run fails for another reason.
  func settle() { saver.settle(seconds: 60) }

  private mutating func wait(before step: Int) throws {
    guard let earlier = saver.earlierStep(than: step) else { return }
    communicator.activity.begin("waiting until the files of step \(earlier) are written")
    try saver.wait()
  }

  /// What this rank has to write of a checkpoint; nil for nothing.
  private func writing<Cursor>(
    _ state: TrainerState<Cursor>, _ model: TrainedModel, _ optimiser: OptimiserState,
    _ shares: [OptimiserShare], hashThreads: Int?
  ) -> (@Sendable () throws -> Void)? {
    let (rank, parts) = (communicator.rank, parts)
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
        (path: String) throws(FileError) in
        try OptimiserFiles.write(optimiser, shares: shares, parts: paths, to: path)
      }
    }
  }
}

extension TrainingConfiguration {
  /// Whether checkpoints are written while steps go on.
  var savesStates: Bool { saveStrategy == .epoch || saveStrategy == .steps }
}
