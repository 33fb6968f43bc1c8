import Checkpoints
import Collectives
public import Configuration
import Corpus
import Determinism
import Files
import Foundation
import Model
public import Tensors
import Tokenizers

/// How a stage ended.
public enum StageOutcome: Sendable {
  case finished(StageResult)
  /// Before its end, and saved.
  case stopped(StopRequest)
}

/// One stage that trains: steps over the items of a feed, from some weights to others.
public struct StageTrainer<Task: TrainingTask> {
  let context: RunContext
  let stage: Stage
  let directory: String
  public let task: Task
  let metric: TaskMetric?
  var model: TrainedModel
  var feed: Task.Feed
  public let totalSteps: Int
  public let rates: ParameterRates
  /// The directory of the stage whose moments this one goes on with; nil to begin with none.
  var parent: String?
  /// The directories of all that the stage comes from; see ``StageSetup/origins()``.
  var origins: [String] = []
  /// Whether the stage ends with a checkpoint, moments included, for another one to go on from.
  var keepsMoments = false

  /// - Parameters:
  ///   - directory: Where the stage's files go.
  ///   - model: Its first weights.
  init(
    context: RunContext, stage: Stage, directory: String, task: Task, model: TrainedModel
  ) {
    self.context = context
    self.stage = stage
    self.directory = directory
    self.task = task
    self.model = model
    metric = Task.schema.metrics.first { $0.name == stage.training.metricForBestModel }
    rates = ParameterRates(model.network.layout, stage.training)
    feed = task.feed
    switch stage.training.duration {
    case .epochs(let count): totalSteps = feed.stepCount(epochs: count)
    case .steps(let count): totalSteps = count
    }
  }

  private var isReplay: Bool { context.observer?.isReplay ?? false }

  /// Trains to the end, or until a stop is asked for.
  ///
  /// - Parameter checkpoint: A directory of this stage to go on from.
  public mutating func run(from checkpoint: String?) throws -> StageOutcome {
    let isSharded = context.configuration.shardOptimizer && !isReplay
    var saving = try StageSaving(
      place(), isSharded: isSharded, timeout: Double(context.configuration.ddpTimeout),
      over: context.communicator)
    do {
      return try train(from: checkpoint, &saving)
    } catch let error where !(error is CollectiveError) {
      saving.settle()
      throw error
    }
  }

  private mutating func train(
    from checkpoint: String?, _ saving: inout StageSaving
  ) throws -> StageOutcome {
    let training = stage.training
    let communicator = context.communicator
    let gradients = GradientBuffer(layout: model.network.layout, trained: rates.trained)
    let configuration = context.configuration
    let step = try GradientStep(
      communicator: context.observer?.communicator(communicator) ?? communicator,
      workspace: context.workspace, layout: model.network.layout, trained: rates.trained,
      shards: configuration.shards, fullDeterminism: configuration.fullDeterminism,
      gradientType: configuration.gradientDtype,
      bucketBytes: configuration.ddpBucketCapMb << 20,
      shardOptimizer: configuration.shardOptimizer)
    let observer = try context.observer?.observer(
      of: ObservedStage(context: context, stage: stage, directory: directory, task: task))
    step.watch = observer?.step
    let method: any TrainingMethod<Task.Batch> = observer?.method(task.method) ?? task.method
    let schedule = LearningRateSchedule(
      shape: training.lrSchedulerType, warmupSteps: warmupSteps, totalSteps: totalSteps)
    let optimiser = Optimiser(training)
    var moments = OptimiserState(
      optimiser.algorithm, layout: model.network.layout, share: step.optimiserShare)
    var state = TrainerState<Task.Feed.Cursor>(
      stage: stage.name, totalSteps: totalSteps, weightHash: "")
    var best: ParameterSet?
    if let checkpoint {
      (moments, state, best) = try resume(from: checkpoint, optimiser, share: step.optimiserShare)
      context.reporter.line("\(stage.name): continuing at step \(state.step) of \(totalSteps)")
    } else {
      state.cursor = feed.cursor
      if let parent {
        moments = try self.moments(of: parent, optimiser, share: step.optimiserShare)
        state.optimiserUpdates = moments.step
      }
    }
    saving.prepareCopies(model.parameters, moments, trained: rates.trained)
    try reportStart()

    var meter = ThroughputMeter()
    var lossSum = 0.0
    var lossSteps = 0
    var waitedBefore = 0.0
    var stopTime = StopTime()
    while state.step < totalSteps, !losesPatience(state) {
      let items = try feed.go(toStep: state.step)
      communicator.activity.position = position(ofStep: state.step, items)
      let shards = assignment(of: items)
      let passes = passTree(items, shards)
      let (feed, codes) = (feed, context.codes)
      func place(of item: ItemReference) -> (language: String, path: String, line: Int) {
        let place = feed.place(of: item)
        return (codes[item.language], place.path, place.line)
      }
      try observer?.willRun(step: state.step + 1, items: items, place: place) {
        passes.passes.map { feed.batch(shards, shards: $0) }
      }
      let outcome = try step.run(
        method, parameters: &model.parameters, gradients: gradients, key: key(ofStep: state.step),
        passes: passes, batch: { feed.batch(shards, shards: $0) },
        stop: context.stopRequested())
      if try observer?.ran(step: state.step + 1, outcome) ?? false { return .stopped(.interrupt) }
      guard outcome.badShards.isEmpty, outcome.gradientNorm.isFinite else {
        throw try notFinite(
          outcome, items, shards, step: state.step, step, gradients: gradients)
      }
      if let stop = outcome.stop {
        let start = Profile.now()
        try complete(step, moments)
        try saving.saveNow(state, model, moments, step.optimiserShares)
        context.reporter.line(
          "\(stage.name): stopped and saved at step \(state.step), in "
            + "\(format(Profile.now() - start, 1)) s")
        return .stopped(stop)
      }
      communicator.activity.begin("update")
      let rate = training.learningRate * schedule.factor(at: state.step)
      optimiser.update(
        &model.parameters, gradients, &moments, norm: outcome.gradientNorm, rates: rates.at(rate),
        in: context.workspace)
      state.step += 1
      state.optimiserUpdates = moments.step
      try checkReplicas(state.step, observer, step, moments)

      lossSum += zip(method.terms, outcome.losses).reduce(0) { $0 + $1.0.coefficient * $1.1 }
      lossSteps += 1
      meter.count(tokens: tokenCount(items))
      state.cursor = feed.cursor
      if state.step % training.loggingSteps == 0 || state.step == totalSteps {
        let (speed, seconds) = meter.lap()
        let waited = try waitedShares(of: step.waitedSeconds - waitedBefore, seconds: seconds)
        waitedBefore = step.waitedSeconds
        report(
          state, loss: lossSum / Double(lossSteps), rate: rate, norm: outcome.gradientNorm,
          names: method.terms.map(\.name), losses: outcome.losses, waited: waited, speed: speed,
          secondsLeft: seconds / Double(max(1, meter.lapSteps)) * Double(totalSteps - state.step))
        (lossSum, lossSteps) = (0, 0)
      }
      let ends = state.step == totalSteps
      let epochEnds = self.feed.place(ofStep: state.step).index == 0
      let evaluates = !isReplay && evaluates(at: state.step, epochEnds: epochEnds, ends: ends)
      let saves = !isReplay && saves(at: state.step, epochEnds: epochEnds) && !ends
      if evaluates || saves || ends { try complete(step, moments) }
      if evaluates {
        let start = Profile.now()
        if try evaluate(&state, best: &best) { try saving.keepBest(model, step: state.step) }
        stopTime.evaluation = max(stopTime.evaluation, Profile.now() - start)
      }
      if saves { try saving.save(state, model, moments, step.optimiserShares) }
      stopTime.step = meter.longestStep
      for saved in try saving.finished() { reportSave(saved, &stopTime) }
      if evaluates || saves { meter.interrupt() }
    }
    // The step to replay is not in this stage.
    if isReplay { return .stopped(.interrupt) }
    if state.step < totalSteps {
      context.reporter.line(
        "\(stage.name): no better metric in \(state.evaluationsWithoutImprovement) evaluations; "
          + "stopped at step \(state.step)")
    }
    if keepsMoments { try saving.save(state, model, moments, step.optimiserShares) }
    if training.loadBestModelAtEnd, let best { model.parameters = best }
    observer?.ended(stepSeconds: meter.stepSeconds)
    return .finished(try finish(state, &saving, meter: meter))
  }

  /// Makes all weights what they are to be read as: those that other ranks updated, with the decay that rows owe.
  private mutating func complete(_ step: GradientStep, _ moments: OptimiserState) throws {
    try step.complete(&model.parameters, rowsInUse: moments.rowsInUse)
    model.parameters.settle(in: context.workspace)
  }

  /// Compares the weights of all ranks, as often as the config says, and whenever the observer wants it.
  private mutating func checkReplicas(
    _ number: Int, _ observer: (any StageObserver<Task.Batch>)?, _ step: GradientStep,
    _ moments: OptimiserState
  ) throws {
    let (context, name) = (context, stage.name)
    func compare(_ parameters: inout ParameterSet) throws {
      try step.complete(&parameters, rowsInUse: moments.rowsInUse)
      try ReplicaCheck.run(
        parameters, rowsInUse: moments.rowsInUse, over: context.communicator,
        in: context.workspace, place: "after step \(number) of stage '\(name)'")
    }
    try observer?.updated(step: number, &model.parameters, compare: compare)
    let every = context.configuration.replicaCheckSteps
    guard every > 0, number.isMultiple(of: every), !isReplay else { return }
    try compare(&model.parameters)
  }

  func key(ofStep step: Int) -> StepKey {
    StepKey(seed: UInt64(bitPattern: Int64(stage.seed)), stage: stage.randomKey, step: step)
  }

  /// Where the run is, for the ranks to see that they are at the same place. Steps count from 1, as in the log.
  private func position(
    ofStep step: Int, _ items: ArraySlice<ItemReference>
  ) -> RunPosition {
    var hash = FNV1a()
    hash.add(word: UInt64(stage.randomKey))
    for item in items { hash.add(word: UInt64(item.language) << 48 ^ UInt64(item.index)) }
    return RunPosition(
      step: step + 1, cursor: UInt32(truncatingIfNeeded: hash.value ^ hash.value >> 32))
  }

  private var warmupSteps: Int {
    switch stage.training.warmup {
    case .steps(let count): count
    case .ratio(let share): Int((Double(totalSteps) * share).rounded(.up))
    }
  }

  // MARK: A step

  private func assignment(of items: ArraySlice<ItemReference>) -> [[Int]] {
    Sharding.assign(
      costs: (0..<items.count).map { model.network.cost(ofSequences: feed.lengths(ofItem: $0)) },
      shards: context.configuration.shards)
  }

  private func tokenCount(_ item: Int) -> Int { feed.lengths(ofItem: item).reduce(0, +) }

  func passTree(
    _ items: ArraySlice<ItemReference>, _ shards: [[Int]]
  ) -> PassTree {
    let node = GradientStep.node(
      ofRank: context.communicator.rank, ranks: context.communicator.size, shards: shards.count,
      fullDeterminism: context.configuration.fullDeterminism)
    let tokens = shards.map { $0.reduce(0) { $0 + tokenCount($1) } }
    return PassTree(
      node: node, tokens: tokens,
      budget: task.method.worksByShard ? 0 : stage.training.maxTokensPerPass)
  }

  private func tokenCount(_ items: ArraySlice<ItemReference>) -> Int {
    (0..<items.count).reduce(0) { $0 + tokenCount($1) }
  }

  // MARK: Evaluation

  private func evaluates(at step: Int, epochEnds: Bool, ends: Bool) -> Bool {
    guard metric != nil, !metricLanguages.isEmpty else { return false }
    switch stage.training.evalStrategy {
    case .no: return false
    case .epoch: return epochEnds || ends
    case .steps: return step % (stage.training.evalSteps ?? 500) == 0 || ends
    }
  }

  var stageLanguages: [Int] {
    context.codes.indices.filter { stage.languages.contains(context.codes[$0]) }
  }

  private var metricLanguages: [Int] {
    context.codes.indices.filter {
      stage.training.metricLanguages.contains(context.codes[$0])
    }
  }

  /// Whether it is time to stop early.
  private func losesPatience(_ state: TrainerState<Task.Feed.Cursor>) -> Bool {
    guard let patience = stage.training.earlyStoppingPatience else { return false }
    return state.evaluationsWithoutImprovement >= patience
  }

  /// Scores dev and notes the best.
  ///
  /// - Returns: Whether these are the best weights so far, and are to be kept.
  private func evaluate(
    _ state: inout TrainerState<Task.Feed.Cursor>, best: inout ParameterSet?
  ) throws -> Bool {
    guard let metric else { return false }
    context.communicator.activity.begin("evaluation")
    let scores = try scores(
      .dev, of: Set(stageLanguages + metricLanguages).sorted(), keptIn: nil)
    let chosen = Set(metricLanguages.map { context.codes[$0] })
    let values = scores.filter { chosen.contains($0.language) }.map { $0[metric.score] }
    let worst = metric.moreIsBetter ? 0 : Double.greatestFiniteMagnitude
    let value = values.isEmpty ? worst : values.reduce(0, +) / Double(values.count)
    state.evaluations.append(.init(step: state.step, metric: value, scores: scores))
    let improved =
      state.bestMetric.map { metric.moreIsBetter ? value > $0 : value < $0 } ?? true
    if improved {
      state.bestMetric = value
      state.bestStep = state.step
      state.bestHash = String(model.parameters.hash, radix: 16)
      state.evaluationsWithoutImprovement = 0
      if stage.training.loadBestModelAtEnd { best = model.parameters }
    } else {
      state.evaluationsWithoutImprovement += 1
    }
    let words = metric.format.text
    let each = scores.map { "\($0.language) \(words($0[metric.score]))" }
    context.reporter.line(
      "\(stage.name): step \(state.step), dev \(metric.title) \(words(value))"
        + (each.count > 1 ? " (\(each.joined(separator: ", ")))" : "")
        + (improved ? "" : "; best \(words(state.bestMetric ?? 0))"))
    let logged = Set([metric.score, metric.table.score])
    context.log?.write(
      stage: stage.name, step: state.step,
      [("eval_\(metric.logName)", value)]
        + scores.flatMap { score in
          logged.sorted().map { ("eval_\(score.language)_\($0)", score[$0]) }
        })
    return improved && stage.training.loadBestModelAtEnd
  }

  func scores(
    _ part: ScoredPart, of languages: [Int], keptIn files: PredictionFiles?
  ) throws -> [StageResult.Score] {
    let found = try task.scores(
      part, ofLanguages: languages, model.parameters, keptIn: files, over: context.communicator)
    return zip(languages, found).compactMap { language, values in
      values.map { .init(language: context.codes[language], values: $0) }
    }
  }

  // MARK: Saving

  private func saves(at step: Int, epochEnds: Bool) -> Bool {
    switch stage.training.saveStrategy {
    case .no, .end: false
    case .epoch: epochEnds
    case .steps: step % (stage.training.saveSteps ?? 500) == 0
    }
  }

  /// Reads weights, moments and state of this stage back, and the best weights so far.
  private mutating func resume(
    from checkpoint: String, _ optimiser: Optimiser, share: OptimiserShare
  ) throws -> (OptimiserState, TrainerState<Task.Feed.Cursor>, ParameterSet?) {
    var state: TrainerState<Task.Feed.Cursor> = try RunState.read(
      from: checkpoint + "/trainer_state.json")
    guard state.formatVersion == 1, state.stage == stage.name, state.totalSteps == totalSteps,
      (0...totalSteps).contains(state.step), state.optimiserUpdates >= 0
    else {
      throw RunError(
        .configuration,
        "\(checkpoint) is of stage '\(state.stage)' with \(state.totalSteps) steps, not of "
          + "'\(stage.name)' with \(totalSteps); give the config it was trained with")
    }
    _ = try model.readWeights(directory: checkpoint, needsHeads: true)
    let hash = String(model.parameters.hash, radix: 16)
    guard hash == state.weightHash else {
      throw FileError(
        .data, checkpoint, field: "weightHash",
        "the weights hash to \(hash), not to \(state.weightHash): a file was changed")
    }
    let moments = try OptimiserFiles.read(
      optimiser, layout: model.network.layout, share: share, updates: state.optimiserUpdates,
      from: checkpoint + "/optimizer.safetensors")
    var best: ParameterSet?
    if stage.training.loadBestModelAtEnd, state.bestStep != nil, !isReplay {
      var other = model
      _ = try other.readWeights(directory: directory + "/best", needsHeads: true)
      if String(other.parameters.hash, radix: 16) == state.bestHash {
        best = other.parameters
      } else {
        // Evaluations after this checkpoint wrote over them.
        context.reporter.line(
          "\(stage.name): the best weights, of step \(state.bestStep ?? 0), are gone; the best is sought anew"
        )
        (state.bestMetric, state.bestStep, state.bestHash) = (nil, nil, nil)
      }
    }
    try feed.resume(at: state.step, from: state.cursor, path: checkpoint + "/trainer_state.json")
    if !isReplay { try setAside(after: state.step) }
    return (moments, state, best)
  }

  /// Hides checkpoints of later steps than the one that the stage goes on from: they are of another course.
  private func setAside(after step: Int) throws {
    guard context.communicator.rank == 0 else { return }
    for later in try CheckpointDirectory.numbered(in: directory) where later.step > step {
      let name = ".aside-checkpoint-\(later.step)"
      try? FileManager.default.removeItem(atPath: directory + "/" + name)
      try FileManager.default.moveItem(atPath: later.path, toPath: directory + "/" + name)
      context.reporter.line(
        "\(stage.name): checkpoint-\(later.step) is of a later step and set aside as \(name)")
    }
  }

  /// The moments that another stage ended with. The schedule begins anew, the count of updates goes on.
  private func moments(
    of directory: String, _ optimiser: Optimiser, share: OptimiserShare
  ) throws -> OptimiserState {
    guard let last = try CheckpointDirectory.newestComplete(in: directory) else {
      throw FileError(
        .missing, directory,
        "holds no checkpoint whose moments stage '\(stage.name)' goes on with; train that stage again"
      )
    }
    let state: StoredUpdates = try RunState.read(from: last.path + "/trainer_state.json")
    guard state.optimiserUpdates >= 0 else {
      throw FileError(
        .data, last.path + "/trainer_state.json", field: "optimiserUpdates", "is negative")
    }
    return try OptimiserFiles.read(
      optimiser, layout: model.network.layout, share: share, updates: state.optimiserUpdates,
      from: last.path + "/optimizer.safetensors")
  }
}

/// What another stage's `trainer_state.json` says of its moments.
private struct StoredUpdates: Decodable {
  var optimiserUpdates: Int
}

extension Optimiser {
  /// The optimiser and the clipping that a config asks for.
  public init(_ training: TrainingConfiguration) {
    let algorithm: Algorithm
    switch training.optim {
    case .adamw:
      algorithm = .adamW(
        AdamW(
          beta1: training.adamBeta1, beta2: training.adamBeta2, epsilon: training.adamEpsilon,
          tableDecay: training.embeddingWeightDecay == .dense ? .dense : .touched))
    case .sgd: algorithm = .sgd(SGD())
    }
    self.init(algorithm, maxNorm: training.maxGradNorm)
  }
}
