public import Checkpoints
public import Collectives
public import Configuration
import Corpus
import Determinism
import Files
import Foundation
import Model
public import Tensors
public import Tokenizers

/// What all stages of a run share.
public struct RunContext {
  public var configuration: RunConfiguration
  public var task: any RunTask
  public var tokenizer: any Tokenizer
  /// The config that the model began as, if it came from a directory.
  public var baseConfig: HuggingFaceConfig?
  public var communicator: any Communicator
  public var workspace: Workspace
  public var reporter: Reporter
  public var log: MetricLog?
  /// On the first rank, which writes checkpoints.
  var facts: RunFacts?
  public var programVersion: String
  /// Asked before every step: whether this rank has been told to stop.
  public var stopRequested: @Sendable () -> StopRequest?
  /// What is looked at beside.
  public var checks = RunChecks()

  /// The codes of the languages, in the config's order.
  var codes: [String] { configuration.languages.map(\.code) }
}

/// How a stage ended.
public enum StageOutcome: Sendable {
  case finished(StageResult)
  /// Before its end, and saved.
  case stopped(StopRequest)
}

/// One stage: steps over the languages of a plan, from some weights to others.
public struct StageTrainer {
  let context: RunContext
  let stage: Stage
  /// The stage's index in the run: part of every random number's name.
  let index: Int
  let directory: String
  let task: any StageTask
  var model: TrainedModel
  var feed: any StageFeed
  let totalSteps: Int
  /// The directory of the stage whose moments this one goes on with; nil to begin with none.
  var parent: String?
  /// The directory of the first weights; nil if they are random.
  var origin: String?
  /// Whether the stage ends with a checkpoint, moments included, for another one to go on from.
  var keepsMoments = false

  public init(
    context: RunContext, stage: Stage, index: Int, directory: String,
    model: TrainedModel
  ) {
    self.context = context
    self.stage = stage
    self.index = index
    self.directory = directory
    self.model = model
    task = context.task.stage(
      stage, index: index, network: model.network, in: context.workspace)
    feed = task.feed
    switch stage.training.duration {
    case .epochs(let count): totalSteps = feed.stepCount(epochs: count)
    case .steps(let count): totalSteps = count
    }
  }

  /// Trains to the end, or until a stop is asked for.
  ///
  /// - Parameter checkpoint: A directory of this stage to go on from.
  public mutating func run(from checkpoint: String?) throws -> StageOutcome {
    var saving = try StageSaving(self)
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
    let rates = parameterRates()
    let gradients = GradientBuffer(layout: model.network.layout, trained: rates.trained)
    let configuration = context.configuration
    let step = try GradientStep(
      communicator: communicator, workspace: context.workspace, layout: model.network.layout,
      trained: rates.trained, shards: configuration.shards,
      fullDeterminism: configuration.fullDeterminism,
      gradientType: GradientType(rawValue: configuration.gradientDtype.rawValue) ?? .fp32,
      bucketBytes: configuration.ddpBucketCapMb << 20,
      shardOptimizer: configuration.shardOptimizer)
    let method = task.method
    let watch = try StageWatch(
      context, stage, model.network, labelCounts: task.labelCounts, directory: directory)
    step.watch = watch.step
    let schedule = LearningRateSchedule(
      shape: LearningRateSchedule.Shape(rawValue: training.lrSchedulerType.rawValue) ?? .linear,
      warmupSteps: warmupSteps,
      totalSteps: totalSteps)
    let adamW = AdamW(
      beta1: training.adamBeta1, beta2: training.adamBeta2, epsilon: training.adamEpsilon,
      tableDecay: training.embeddingWeightDecay == .dense ? .dense : .touched)
    var optimiser = AdamWState(layout: model.network.layout, share: step.optimiserShare)
    var state = TrainerState(stage: stage.name, totalSteps: totalSteps, weightHash: "")
    var best: ParameterSet?
    if let checkpoint {
      (optimiser, state, best) = try resume(from: checkpoint, share: step.optimiserShare)
      context.reporter.line("\(stage.name): continuing at step \(state.step) of \(totalSteps)")
    } else {
      state.text = feed.cursor
      if let parent {
        optimiser = try moments(of: parent, share: step.optimiserShare)
        state.optimiserUpdates = optimiser.step
      }
    }
    saving.prepareCopies(model.parameters, optimiser, trained: rates.trained)
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
      let feed = feed
      try watch.willRun(step: state.step + 1, items, feed) {
        passes.passes.map { feed.batch(shards, shards: $0) }
      }
      let outcome = try step.run(
        method, parameters: &model.parameters, gradients: gradients,
        dropout: DropoutKey(
          seed: UInt64(bitPattern: Int64(context.configuration.seed)), stage: index,
          step: state.step, pass: 0),
        passes: passes,
        batch: { feed.batch(shards, shards: $0) },
        stop: context.stopRequested())
      if try watch.ran(step: state.step + 1, outcome) { return .stopped(.interrupt) }
      guard outcome.badShards.isEmpty, outcome.gradientNorm.isFinite else {
        throw try notFinite(outcome, items, shards, step: state.step, gradients: gradients)
      }
      if let stop = outcome.stop {
        let start = Profile.now()
        try complete(step, optimiser)
        try saving.saveNow(state, model, optimiser, step.optimiserShares)
        context.reporter.line(
          "\(stage.name): stopped and saved at step \(state.step), in "
            + "\(format(Profile.now() - start, 1)) s")
        return .stopped(stop)
      }
      communicator.activity.begin("update")
      let rate = training.learningRate * schedule.factor(at: state.step)
      let scale =
        training.maxGradNorm > 0
        ? min(1, training.maxGradNorm / (outcome.gradientNorm + 1e-6)) : 1
      adamW.update(
        &model.parameters, gradients, &optimiser, gradientScale: Float(scale),
        rates: rates.at(rate), in: context.workspace)
      state.step += 1
      state.optimiserUpdates = optimiser.step
      try watch.updated(step: state.step, &model.parameters, rowsInUse: optimiser.rowsInUse) {
        try step.complete(&$0, rowsInUse: optimiser.rowsInUse)
      }

      lossSum += outcome.losses.reduce(0, +)
      lossSteps += 1
      meter.count(tokens: tokenCount(items))
      state.text = feed.cursor
      if state.step % training.loggingSteps == 0 || state.step == totalSteps {
        let (speed, seconds) = meter.lap()
        let waited = try waitedShares(of: step.waitedSeconds - waitedBefore, seconds: seconds)
        waitedBefore = step.waitedSeconds
        report(
          state, loss: lossSum / Double(lossSteps), rate: rate, norm: outcome.gradientNorm,
          names: method.termNames, losses: outcome.losses, waited: waited, speed: speed,
          secondsLeft: seconds / Double(max(1, meter.lapSteps)) * Double(totalSteps - state.step))
        (lossSum, lossSteps) = (0, 0)
      }
      let ends = state.step == totalSteps
      let epochEnds = self.feed.place(ofStep: state.step).index == 0
      let isReplay = context.checks.replay != nil
      let evaluates = !isReplay && evaluates(at: state.step, epochEnds: epochEnds, ends: ends)
      let saves = !isReplay && saves(at: state.step, epochEnds: epochEnds) && !ends
      if evaluates || saves || ends { try complete(step, optimiser) }
      if evaluates {
        let start = Profile.now()
        if try evaluate(&state, best: &best) { try saving.keepBest(model, step: state.step) }
        stopTime.evaluation = max(stopTime.evaluation, Profile.now() - start)
      }
      if saves { try saving.save(state, model, optimiser, step.optimiserShares) }
      stopTime.step = meter.longestStep
      for saved in try saving.finished() { reportSave(saved, &stopTime) }
      if evaluates || saves { meter.interrupt() }
    }
    // The step that it is for is not of this stage's course.
    if context.checks.replay != nil { return .stopped(.interrupt) }
    if state.step < totalSteps {
      context.reporter.line(
        "\(stage.name): no better metric in \(state.evaluationsWithoutImprovement) evaluations; "
          + "stopped at step \(state.step)")
    }
    if keepsMoments { try saving.save(state, model, optimiser, step.optimiserShares) }
    if training.loadBestModelAtEnd, let best { model.parameters = best }
    return .finished(try finish(state, &saving, meter: meter))
  }

  /// Makes all weights what they are to be read as: those that other ranks updated, with the decay that rows owe.
  private mutating func complete(_ step: GradientStep, _ optimiser: AdamWState) throws {
    try step.complete(&model.parameters, rowsInUse: optimiser.rowsInUse)
    model.parameters.settle(in: context.workspace)
  }

  /// Where the run is, for the ranks to see that they are at the same place. Steps count from 1, as in the log.
  private func position(
    ofStep step: Int, _ items: ArraySlice<SentenceReference>
  ) -> RunPosition {
    var hash = FNV1a()
    hash.add(word: UInt64(index))
    for item in items { hash.add(word: UInt64(item.language) << 48 ^ UInt64(item.sentence)) }
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

  private func assignment(of items: ArraySlice<SentenceReference>) -> [[Int]] {
    let encoder = model.network.configuration
    return Sharding.assign(
      costs: (0..<items.count).map {
        Sharding.cost(
          ofSequences: feed.lengths(ofItem: $0), width: encoder.hiddenSize,
          inner: encoder.innerSize)
      }, shards: context.configuration.shards)
  }

  private func tokenCount(_ item: Int) -> Int { feed.lengths(ofItem: item).reduce(0, +) }

  func passTree(
    _ items: ArraySlice<SentenceReference>, _ shards: [[Int]]
  ) -> PassTree {
    let node = GradientStep.node(
      ofRank: context.communicator.rank, ranks: context.communicator.size, shards: shards.count,
      fullDeterminism: context.configuration.fullDeterminism)
    let tokens = shards.map { $0.reduce(0) { $0 + tokenCount($1) } }
    return PassTree(node: node, tokens: tokens, budget: stage.training.maxTokensPerPass)
  }

  private func tokenCount(_ items: ArraySlice<SentenceReference>) -> Int {
    (0..<items.count).reduce(0) { $0 + tokenCount($1) }
  }

  /// Which parameters are trained and how fast: frozen layers, the head's own rate, rates that fall from
  /// layer to layer.
  func parameterRates() -> ParameterRates {
    let training = stage.training
    let network = model.network
    let layers = network.configuration.layerCount
    var rates = ParameterRates(trained: [], factors: [], weightDecays: [])
    for (entry, shape) in network.layout.entries.map(\.shape).enumerated() {
      let depth = network.depth(ofEntry: entry)
      let frozen =
        depth == 0 ? training.freeze.embeddings : depth <= layers && depth <= training.freeze.layers
      rates.trained.append(!frozen)
      let head = network.isHead(entry: entry)
      let decay = pow(training.layerLearningRateDecay, Double(layers + 1 - depth))
      let own =
        head
        ? (training.headLearningRate ?? training.learningRate) / training.learningRate : decay
      rates.factors.append(training.learningRate > 0 ? own : 1)
      let decays = training.weightDecayOn == .all || shape.count > 1
      rates.weightDecays.append(decays ? training.weightDecay : 0)
    }
    return rates
  }

  // MARK: Evaluation

  private func evaluates(at step: Int, epochEnds: Bool, ends: Bool) -> Bool {
    guard !metricLanguages.isEmpty else { return false }
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
    let chosen = stage.training.metricLanguages
    return stageLanguages.filter { language in
      !context.configuration.languages[language].dev.isEmpty
        && (chosen.isEmpty || chosen.contains(context.codes[language]))
    }
  }

  /// Whether it is time to stop early.
  private func losesPatience(_ state: TrainerState) -> Bool {
    guard let patience = stage.training.earlyStoppingPatience else { return false }
    return state.evaluationsWithoutImprovement >= patience
  }

  /// Scores dev and notes the best.
  ///
  /// - Returns: Whether these are the best weights so far, and are to be kept.
  private func evaluate(_ state: inout TrainerState, best: inout ParameterSet?) throws -> Bool {
    context.communicator.activity.begin("evaluation")
    let scores = try scores(.dev)
    let (name, moreIsBetter) = task.metric
    let chosen = Set(metricLanguages.map { context.codes[$0] })
    let metrics = scores.filter { chosen.contains($0.language) }.map { $0[name] }
    let worst = moreIsBetter ? 0 : Double.greatestFiniteMagnitude
    let metric = metrics.isEmpty ? worst : metrics.reduce(0, +) / Double(metrics.count)
    state.evaluations.append(.init(step: state.step, metric: metric, scores: scores))
    let improved = state.bestMetric.map { moreIsBetter ? metric > $0 : metric < $0 } ?? true
    if improved {
      state.bestMetric = metric
      state.bestStep = state.step
      state.bestHash = String(model.parameters.hash, radix: 16)
      state.evaluationsWithoutImprovement = 0
      if stage.training.loadBestModelAtEnd { best = model.parameters }
    } else {
      state.evaluationsWithoutImprovement += 1
    }
    func words(_ value: Double) -> String {
      moreIsBetter ? ResultTable.percent(value) : format(value, 4)
    }
    let each = scores.map { "\($0.language) \(words($0[name]))" }
    context.reporter.line(
      "\(stage.name): step \(state.step), dev \(moreIsBetter ? name.uppercased() : name) "
        + words(metric) + (each.count > 1 ? " (\(each.joined(separator: ", ")))" : "")
        + (improved ? "" : "; best \(words(state.bestMetric ?? 0))"))
    context.log?.write(
      stage: stage.name, step: state.step,
      [("eval_\(stage.training.metricForBestModel.logName)", metric)]
        + scores.flatMap { score in
          (moreIsBetter ? [name] : [name, "perplexity"]).map {
            ("eval_\(score.language)_\($0)", score[$0])
          }
        })
    return improved && stage.training.loadBestModelAtEnd
  }

  func scores(_ part: ScoredPart) throws -> [StageResult.Score] {
    let languages = stageLanguages
    let found = try task.scores(
      part, ofLanguages: languages, model.parameters, over: context.communicator)
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
    from checkpoint: String, share: OptimiserShare
  ) throws -> (AdamWState, TrainerState, ParameterSet?) {
    var state: TrainerState = try RunState.read(from: checkpoint + "/trainer_state.json")
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
      throw CheckpointError(
        .data, checkpoint, field: "weightHash",
        "the weights hash to \(hash), not to \(state.weightHash): a file was changed")
    }
    let optimiser = try OptimiserFiles.read(
      layout: model.network.layout, share: share, updates: state.optimiserUpdates,
      from: checkpoint + "/optimizer.safetensors")
    var best: ParameterSet?
    if stage.training.loadBestModelAtEnd, state.bestStep != nil, context.checks.replay == nil {
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
    try feed.resume(at: state.step, from: state.text, path: checkpoint + "/trainer_state.json")
    if context.checks.replay == nil { try setAside(after: state.step) }
    return (optimiser, state, best)
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
  private func moments(of directory: String, share: OptimiserShare) throws -> AdamWState {
    guard let last = try CheckpointDirectory.newestComplete(in: directory) else {
      throw CheckpointError(
        .missing, directory,
        "holds no checkpoint whose moments stage '\(stage.name)' goes on with; train that stage again"
      )
    }
    let state: TrainerState = try RunState.read(from: last.path + "/trainer_state.json")
    guard state.optimiserUpdates >= 0 else {
      throw CheckpointError(
        .data, last.path + "/trainer_state.json", field: "optimiserUpdates", "is negative")
    }
    return try OptimiserFiles.read(
      layout: model.network.layout, share: share, updates: state.optimiserUpdates,
      from: last.path + "/optimizer.safetensors")
  }
}

extension TrainingConfiguration.Metric {
  /// Behind `eval_` in the log.
  fileprivate var logName: String {
    switch self {
    case .macroF1: "macro_f1"
    case .loss: "loss"
    }
  }
}
