import Checkpoints
import Collectives
import Configuration
import Corpus
import Files
import Foundation
import Model
import Tensors

extension StageTrainer {
  /// The plan and the ledger, before the first step.
  func reportStart() throws {
    let report = context.reporter.line
    let training = stage.training
    report(
      "\(stage.name): \(totalSteps) steps over \(stage.languages.joined(separator: ", "))"
        + ", learning rate \(training.learningRate)")
    report(TextTable(try ledger(steps: 0)).lines.joined(separator: "\n"))
  }

  /// What each language of the stage gives, and how much of it the first steps drew.
  func ledger(steps: Int) throws -> [[String]] {
    var feed = feed
    return try feed.ledger(steps: steps, languages: stageLanguages)
  }

  /// The line of an interval, on the terminal and in the log.
  func report(
    _ state: TrainerState<Task.Feed.Cursor>, loss: Double, rate: Double, norm: Double,
    names: [String],
    losses: [Double], waited: [Double], speed: Double, secondsLeft: Double
  ) {
    context.reporter.progress(
      "\(stage.name): step \(state.step)/\(totalSteps), loss \(format(loss, 4)), rate "
        + "\(format(rate * 1e6, 2))e-6, norm \(format(norm, 3)), \(Int(speed)) tokens/s, "
        + "\(waits(waited))\(duration(secondsLeft)) left")
    context.log?.write(
      stage: stage.name, step: state.step,
      [
        ("loss", loss), ("learning_rate", rate), ("grad_norm", norm), ("tokens_per_second", speed),
      ] + zip(names, losses).map { ("loss_\($0)", $1) }
        + waited.enumerated().map { ("waited_rank_\($0)", $1) })
  }

  /// What a save took beside the steps, and how long it would take to stop. Said once, and again when that has grown by
  /// half.
  func reportSave(_ saved: CheckpointSaver.Saved, _ time: inout StopTime) {
    time.save = max(time.save, saved.seconds)
    guard time.total > 1.5 * time.told else { return }
    time.told = time.total
    context.reporter.line(
      "\(stage.name): saved at step \(saved.step) in \(format(saved.seconds, 1)) s beside the steps; to stop and "
        + "save would take up to \(format(time.total, 1)) s")
  }

  /// The share of an interval that each rank spent in collectives, by rank; nothing for one rank alone. Every rank
  /// calls it.
  func waitedShares(of waited: Double, seconds: Double) throws(CollectiveError) -> [Double] {
    if context.communicator.size == 1 { return [] }
    return try context.communicator.allGather([waited / max(seconds, 1e-9)]).map { $0[0] }
  }

  /// "waiting 3–31 %, least rank 5, ": the rank that waits least is the one that the others wait for.
  private func waits(_ shares: [Double]) -> String {
    guard let least = shares.indices.min(by: { shares[$0] < shares[$1] }),
      let most = shares.max()
    else { return "" }
    return "waiting \(Int(100 * shares[least]))–\(Int(100 * most)) % (least: rank \(least)), "
  }

  /// The error of a step whose numbers are not finite: its stage, its languages, its sentences.
  ///
  /// Where the loss of each shard is not known, each rank computes its own shards again, one at a time.
  func notFinite(
    _ outcome: StepOutcome, _ items: ArraySlice<ItemReference>, _ shards: [[Int]], step: Int,
    _ gradientStep: GradientStep, gradients: GradientBuffer
  ) throws -> RunError {
    // Without full determinism a pass is one segment, whose loss says nothing of its shards.
    var bad = context.configuration.fullDeterminism ? outcome.badShards : []
    if bad.isEmpty {
      var flags = [Double](repeating: 0, count: shards.count)
      for shard in passTree(items, shards).passes.joined() {
        let losses = gradientStep.shardSums(
          task.method, feed.batch(shards, shards: shard..<shard + 1), parameters: model.parameters,
          gradients: gradients, key: key(ofStep: step))
        let finite = gradients.norm(in: context.workspace).isFinite && losses.allSatisfy(\.isFinite)
        flags[shard] = finite ? 0 : 1
      }
      try context.communicator.allReduce(&flags, .sum)
      bad = flags.indices.filter { flags[$0] > 0 }
    }
    let members = bad.flatMap { shards[$0] }.map { items[items.startIndex + $0] }
    let codes = Set(members.map(\.language)).sorted().map { context.codes[$0] }
    let places = members.prefix(5).map { item -> String in
      let place = feed.place(of: item)
      return "\(place.path):\(place.line)"
    }
    let isGradient = outcome.badShards.isEmpty && outcome.losses.allSatisfy(\.isFinite)
    let what = isGradient ? "gradient" : "loss"
    let ranks = outcome.badRanks.map {
      "rank \($0) on \(context.communicator.activity.hosts[$0])"
    }.joined(separator: ", ")
    let whose = ranks.isEmpty ? "" : " on \(ranks)"
    if bad.isEmpty {
      return RunError(
        .notFinite,
        "the \(what) of step \(step + 1) of stage '\(stage.name)' is not finite\(whose), but finite when it is "
          + "computed again: look at the memory and the processor of that machine")
    }
    let more = members.count > places.count ? " and \(members.count - places.count) more" : ""
    return RunError(
      .notFinite,
      "the \(what) of step \(step + 1) of stage '\(stage.name)' is not finite\(whose); languages: "
        + "\(codes.joined(separator: ", ")); sentences: \(places.joined(separator: ", "))\(more); "
        + "lower learning_rate or look at these sentences")
  }

  /// Scores the trained model and writes it, with its scores, as the stage's `model`.
  func finish(
    _ state: TrainerState<Task.Feed.Cursor>, _ saving: inout StageSaving, meter: ThroughputMeter
  ) throws -> StageResult {
    let (dev, test) = try finalScores()
    let result = StageResult(
      stage: stage.name, group: stage.group, steps: state.step, seconds: meter.totalSeconds,
      tokensPerSecond: meter.totalSpeed,
      weightHash: String(model.parameters.hash, radix: 16), test: test, dev: dev,
      ranks: context.communicator.size, threads: context.workspace.threadCount,
      peakBytes: PeakMemory.bytes, ledger: try ledger(steps: state.step))
    for score in test {
      context.reporter.line("\(stage.name): \(score.language) test \(task.words(score))")
    }
    if let name = metric?.score {
      context.log?.write(
        stage: stage.name, step: state.step, test.map { ("test_\($0.language)_\(name)", $0[name]) })
    }
    if stage.languages.count > 1 {
      context.reporter.line(
        TextTable(result.ledger ?? []).lines.joined(separator: "\n"))
    }
    var extra = JSONObject()
    extra["scores"] = .array(
      (dev.map { ("dev", $0) } + test.map { ("test", $0) }).map { split, score in
        var members = JSONObject()
        members["split"] = .init(split)
        members["language"] = .init(score.language)
        for (name, value) in score.values.sorted(by: { $0.key < $1.key }) {
          let whole = Int(exactly: value)
          members[task.manifestName(ofScore: name)] = whole.map { .init($0) } ?? .init(value)
        }
        return .object(members)
      })
    try saving.finish(model, facts: stage.training.saveStrategy == .no ? nil : extra)
    if context.communicator.rank == 0 {
      try RunState.write(result, to: directory + "/result.json")
    }
    try context.communicator.barrier()
    return result
  }

  /// Scores all languages, those that the stage does not train as well, and keeps the labels if they are to be kept.
  private func finalScores() throws -> (dev: [StageResult.Score], test: [StageResult.Score]) {
    let all = Array(context.codes.indices)
    guard stage.training.savePredictions else {
      return (
        try scores(.dev, of: all, keptIn: nil), try scores(.test, of: all, keptIn: nil)
      )
    }
    let made =
      context.communicator.rank == 0
      ? try MadeDirectory("predictions", ofStage: directory) : nil
    defer { made?.discard() }
    let files = PredictionFiles(directory: made?.making, stage: stage)
    let dev = try scores(.dev, of: all, keptIn: files)
    let test = try scores(.test, of: all, keptIn: files)
    if let made, try !made.isEmpty {
      var facts = JSONObject()
      facts["stage"] = .init(stage.name)
      facts["task"] = .init(Task.schema.name)
      facts["seed"] = .init(stage.seed)
      facts["weight_hash"] = .init(String(model.parameters.hash, radix: 16))
      try made.finish(programVersion: context.programVersion, facts: facts)
    }
    return (dev, test)
  }

  /// Where the stage's files go, and what is known of them before the first step.
  func place() throws -> StageSnapshot.Place {
    let (name, line) = (stage.name, context.reporter.line)
    return StageSnapshot.Place(
      stage: stage, directory: directory,
      files: task.modelFiles,
      programVersion: context.programVersion, facts: try facts(),
      lineage: LineageOnce(of: origins) {
        line("\(name): its checkpoints will not name their parent: \($0)")
      },
      runName: DataFiles.lastPart(of: context.configuration.outputDirectory))
  }

  /// What the manifest of every checkpoint of this stage says of it. Cost, on the first rank: reads all data files.
  private func facts() throws -> JSONObject {
    var facts = JSONObject()
    facts["stage"] = .init(stage.name)
    facts["task"] = .init(Task.schema.name)
    facts["languages"] = .array(context.codes.map { .init($0) })
    facts["trained_languages"] = .array(stage.languages.map { .init($0) })
    for fact in task.facts.members { facts[fact.name] = fact.value }
    if let metric, var card = facts["card"]?.object {
      card["score"] = .init(task.manifestName(ofScore: metric.score))
      card["title"] = .init(metric.title)
      facts["card"] = .object(card)
    }
    facts["kernels"] = .init(context.workspace.kernels.name)
    facts["precision"] = .init(context.workspace.precision.rawValue)
    facts["seed"] = .init(stage.seed)
    guard context.communicator.rank == 0, context.observer?.isReplay != true else { return facts }
    facts["config"] = try context.configuration.forManifests()
    facts["data"] = try context.shared.value(
      "facts of \(stage.task)", key: stage.dataKey, task.dataFacts)
    return facts
  }

  func format(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  private func duration(_ seconds: Double) -> String {
    let whole = seconds.isFinite ? Int(seconds.rounded()) : 0
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}

/// The most that it has taken so far from the signal of preemption to the end.
struct StopTime {
  /// Seconds; stops are looked for between steps.
  var step = 0.0
  var evaluation = 0.0
  /// One that was written beside the steps.
  var save = 0.0
  /// The total that was reported.
  var told = 0.0

  /// The last one may be on its way when another is to be written.
  var total: Double { step + evaluation + 2 * save }
}

/// Counts tokens and time, over a lap and over all.
struct ThroughputMeter {
  private(set) var lapSteps = 0
  private var lapTokens = 0
  private var totalTokens = 0
  private let start = ContinuousClock.now
  private var lapStart = ContinuousClock.now
  /// The end of the last step; nil where something else came after it.
  private var lastStep: ContinuousClock.Instant?
  private var stepSum = 0.0
  private var stepCount = 0
  /// The longest time of a step, as ``stepSeconds`` counts.
  private(set) var longestStep = 0.0

  mutating func count(tokens: Int) {
    if lapTokens == 0 && lapSteps > 0 { lapSteps = 0 }
    lapSteps += 1
    lapTokens += tokens
    totalTokens += tokens
    let now = ContinuousClock.now
    if let lastStep {
      let seconds = Self.seconds(now - lastStep)
      stepSum += seconds
      stepCount += 1
      longestStep = max(longestStep, seconds)
    }
    lastStep = now
  }

  /// Something that is no step was done: the next one counts for ``stepSeconds`` from its end on.
  mutating func interrupt() { lastStep = nil }

  /// The mean time of a step, from the end of the one before; 0 if there were no two in a row.
  var stepSeconds: Double { stepCount == 0 ? 0 : stepSum / Double(stepCount) }

  /// The tokens a second and the seconds of the lap, which ends.
  mutating func lap() -> (speed: Double, seconds: Double) {
    let now = ContinuousClock.now
    let seconds = Self.seconds(now - lapStart)
    let speed = seconds > 0 ? Double(lapTokens) / seconds : 0
    lapStart = now
    lapTokens = 0
    return (speed, seconds)
  }

  var totalSeconds: Double { Self.seconds(.now - start) }

  var totalSpeed: Double { totalSeconds > 0 ? Double(totalTokens) / totalSeconds : 0 }

  private static func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }
}
