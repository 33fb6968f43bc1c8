import Checkpoints
public import Collectives
public import Configuration
import Corpus
import Files
import Foundation
import Model
public import Tensors
import Tokenizers

/// A whole run: its corpora, its stages in order, its directory.
///
/// ```
/// output_dir/run.yaml              the resolved config
///            metrics.jsonl         a line a report, and TensorBoard's events beside it
///            STAGE/model/          the trained model
///            STAGE/checkpoint-N/   what a stopped stage goes on from
///            STAGE/result.json     its scores
/// ```
public struct Run {
  public enum Resume: Sendable, Equatable {
    /// Refuse a directory that holds a run.
    case no
    /// Go on with what the directory holds, if anything.
    case auto
    /// Go on from this checkpoint of the first stage that is not complete.
    case checkpoint(String)
  }

  /// How a run ended.
  public enum Outcome: Sendable, Equatable {
    case finished([StageResult])
    /// Before its end, and saved.
    case stopped(StopRequest)
  }

  public let context: RunContext

  /// Reads tokenizer and corpora.
  ///
  /// Every rank reads them, so that a batch needs no exchange.
  public init(
    _ configuration: RunConfiguration, communicator: any Communicator, workspace: Workspace,
    reporter: Reporter, programVersion: String, checks: RunChecks = RunChecks(),
    stopRequested: @escaping @Sendable () -> StopRequest?
  ) throws {
    communicator.activity.begin("reading data")
    let (tokenizer, base) = try Self.tokenizer(configuration)
    let encoder = try Self.encoder(configuration, base: base, tokenizer: tokenizer)
    let length = min(configuration.maxLength ?? encoder.longestSequence, encoder.longestSequence)
    for stage in configuration.stages {
      guard let wanted = stage.maxLength, wanted > encoder.longestSequence else { continue }
      throw RunError(
        .configuration,
        "stage '\(stage.name)': max_length \(wanted) is over the \(encoder.longestSequence) tokens that the model takes"
      )
    }
    let task: any RunTask =
      switch configuration.task {
      case .tokenClassification:
        try TokenClassificationTask(
          configuration, tokenizer: tokenizer, windowLength: length, reporter: reporter)
      case .maskedLM:
        try MaskedLMTask(configuration, tokenizer: tokenizer, longestSequence: length)
      }
    try RankAgreement.check(
      "data", task.fingerprints.joined(separator: "\n"), code: .data,
      fix: "give every host the same files", over: communicator)
    context = RunContext(
      configuration: configuration, task: task, tokenizer: tokenizer, baseConfig: base,
      communicator: communicator, workspace: workspace, reporter: reporter, log: nil,
      facts: communicator.rank == 0 ? try RunFacts(configuration, task) : nil,
      programVersion: programVersion, stopRequested: stopRequested, checks: checks)
    encoderConfiguration = encoder
  }

  private let encoderConfiguration: EncoderConfiguration

  /// A model of this run's shape, all of whose weights are still zero.
  func emptyModel(for stage: Stage) -> TrainedModel {
    var encoder = encoderConfiguration
    if let rate = stage.training.hiddenDropoutProb { encoder.hiddenDropout = Float(rate) }
    if let rate = stage.training.attentionProbsDropoutProb {
      encoder.attentionDropout = Float(rate)
    }
    if let rate = stage.training.classifierDropout { encoder.classifierDropout = Float(rate) }
    let network = context.task.network(encoder)
    return TrainedModel(
      network: network, labels: context.task.labels,
      parameters: ParameterSet(layout: network.layout))
  }

  /// The weights that a stage begins with: those of its source, and random ones where it has none.
  ///
  /// - Parameter areKept: Whether they will be trained, and no checkpoint or measurement takes their place.
  func firstModel(of stage: Stage, areKept: Bool) throws -> TrainedModel {
    var model = emptyModel(for: stage)
    var new = model.network.layout.entries.map(\.name)
    if let source = initialisation(of: stage) {
      let report = try model.readWeights(directory: source, needsHeads: false, mapping: .table)
      new = report.missing
      if !new.isEmpty {
        context.reporter.line("\(stage.name): new, not in \(source): \(Self.few(new))")
      }
      if !report.unused.isEmpty {
        context.reporter.line("\(stage.name): unused of \(source): \(Self.few(report.unused))")
      }
    }
    let entries = new.compactMap(model.network.layout.index(of:))
    model.network.initialise(
      &model.parameters, entries: entries,
      seed: UInt64(bitPattern: Int64(context.configuration.seed)), in: context.workspace)
    if areKept {
      try context.task.adjustFirst(
        &model.parameters, entries: entries, of: model.network, for: stage)
    }
    return model
  }

  /// Makes the run's directory, or sees to it that the one that is there is this run's.
  ///
  /// - Throws: ``RunError`` if it holds another run, or holds this one and `resume` is `no`.
  public func prepare(resume: Resume) throws {
    let directory = context.configuration.outputDirectory
    try onFirstRank { try prepare(directory, resume: resume) }
  }

  /// Runs all stages, or those that are left, in the directory that ``prepare(resume:)`` made.
  ///
  /// - Returns: The results of all stages, unless the run was stopped and saved.
  public func execute(resume: Resume) throws -> Outcome {
    let directory = context.configuration.outputDirectory
    var context = context
    if context.communicator.rank == 0 { context.log = try MetricLog(directory: directory) }
    var results: [StageResult] = []
    var named: String?
    if case .checkpoint(let path) = resume { named = path }
    for (index, stage) in context.configuration.stages.enumerated() {
      let place = stageDirectory(stage)
      if resume != .no, let done = try finished(place, stage) {
        context.reporter.line("\(stage.name): complete, \(done.steps) steps")
        results.append(done)
        continue
      }
      var checkpoint: String?
      if resume != .no { checkpoint = try newestCheckpoint(place) }
      if let path = named { (checkpoint, named) = (path, nil) }
      var trainer = try trainer(ofStage: index, context, isContinued: checkpoint != nil)
      switch try trainer.run(from: checkpoint) {
      case .finished(let result): results.append(result)
      case .stopped(let request): return .stopped(request)
      }
    }
    return .finished(results)
  }

  /// What trains a stage from its first weights, or from a checkpoint that it will be given.
  func trainer(
    ofStage index: Int, _ context: RunContext, isContinued: Bool
  ) throws -> StageTrainer {
    let stage = context.configuration.stages[index]
    var trainer = StageTrainer(
      context: context, stage: stage, index: index, directory: stageDirectory(stage),
      model: try firstModel(of: stage, areKept: !isContinued))
    trainer.origin = initialisation(of: stage)
    trainer.keepsMoments = hasHeir(stage)
    if !stage.resetOptimizer, case .stage(let name) = stage.start {
      trainer.parent = context.configuration.stages.first { $0.name == name }.map(stageDirectory)
    }
    return trainer
  }

  // MARK: Directories

  private func stageDirectory(_ stage: Stage) -> String {
    context.configuration.outputDirectory + "/" + stage.folderName
  }

  /// Where a stage's first weights are: the model of an earlier stage, a directory, or nowhere.
  private func initialisation(of stage: Stage) -> String? {
    switch stage.start {
    case .checkpoint(let directory): directory
    case .stage(let name):
      context.configuration.stages.first { $0.name == name }.map { stageDirectory($0) + "/model" }
    case .run:
      if case .checkpoint(directory: let directory) = context.configuration.start {
        directory
      } else {
        nil
      }
    }
  }

  /// Whether a later stage goes on with this one's moments.
  private func hasHeir(_ stage: Stage) -> Bool {
    context.configuration.stages.contains {
      !$0.resetOptimizer && $0.start == .stage(name: stage.name)
    }
  }

  private func finished(
    _ directory: String, _ stage: Stage
  ) throws -> StageResult? {
    guard
      stage.training.saveStrategy == .no
        || (try? CheckpointDirectory.checkSizes(directory + "/model")) != nil,
      FileManager.default.fileExists(atPath: directory + "/result.json")
    else { return nil }
    // One that cannot be read was cut short: the stage is then not finished.
    let result: StageResult? = try? RunState.read(from: directory + "/result.json")
    let needed = context.configuration.task == .maskedLM ? "perplexity" : "f1"
    let isWhole = result.map { ($0.dev + $0.test).allSatisfy { $0.values[needed] != nil } } ?? false
    return isWhole && result?.stage == stage.name ? result : nil
  }

  /// The newest complete checkpoint, by the first rank's word.
  private func newestCheckpoint(_ directory: String) throws -> String? {
    var step = [Int64(-1)]
    if context.communicator.rank == 0,
      let newest = try CheckpointDirectory.newestComplete(in: directory)
    {
      step[0] = Int64(newest.step)
    }
    try context.communicator.broadcast(&step, from: 0)
    return step[0] < 0 ? nil : "\(directory)/checkpoint-\(step[0])"
  }

  private func prepare(_ directory: String, resume: Resume) throws {
    let files = FileManager.default
    let record = directory + "/run.yaml"
    if files.fileExists(atPath: record) {
      guard resume != .no else {
        throw RunError(
          .configuration,
          "\(directory) already holds a run; continue it with --resume auto, or set output_dir "
            + "(--out) to another directory")
      }
      // Read, not compared as text: one of an earlier version lacks the keys that came since.
      var recorded = try RunConfiguration(recordedIn: directory)
      recorded.outputDirectory = directory
      if let (there, here) = recorded.firstDifference(from: context.configuration) {
        throw RunError(
          .configuration,
          "\(directory) holds a run of another config: run.yaml says '\(there)' where this one says "
            + "'\(here)'; give the same config to --resume, or set output_dir to another directory")
      }
      for line in try CheckpointDirectory.recover(in: directory) { context.reporter.line(line) }
      for stage in context.configuration.stages {
        try makeDirectory(stageDirectory(stage))
        for line in try CheckpointDirectory.recover(in: stageDirectory(stage)) {
          context.reporter.line(line)
        }
      }
      return
    }
    let contents = (try? files.contentsOfDirectory(atPath: directory)) ?? []
    guard contents.allSatisfy({ $0.hasPrefix(".") || $0 == RunEstimate.fileName }) else {
      throw RunError(
        .configuration,
        "\(directory) is not empty and holds no run of this program; set output_dir (--out) to "
          + "another directory")
    }
    try makeDirectory(directory)
    // The record first: from now on the directory is this run's.
    try WholeFile.replace(Array(context.configuration.description.utf8), at: record)
    for stage in context.configuration.stages { try makeDirectory(stageDirectory(stage)) }
  }

  private func makeDirectory(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw RunError(.io, "\(path) cannot be made: \(error.localizedDescription)")
    }
  }

  /// Runs `body` on the first rank alone; if it fails there, all ranks throw.
  private func onFirstRank(_ body: () throws -> Void) throws {
    let communicator = context.communicator
    var failed = [Int64(0)]
    if communicator.rank == 0 {
      do { try body() } catch {
        failed[0] = 1
        // The cause is thrown here, whatever becomes of the others meanwhile.
        try? communicator.broadcast(&failed, from: 0)
        throw error
      }
    }
    try communicator.broadcast(&failed, from: 0)
    if failed[0] == 0 { return }
    // The first rank has the cause and ends all; until then the others wait.
    try communicator.barrier()
    throw RunError(.elsewhere, "rank 0 could not prepare the run")
  }

  // MARK: What a run is made of

  private static func tokenizer(
    _ configuration: RunConfiguration
  ) throws -> (any Tokenizer, HuggingFaceConfig?) {
    var base: HuggingFaceConfig?
    var path = configuration.tokenizer
    if case .checkpoint(directory: let directory) = configuration.start {
      base = try HuggingFaceConfig(directory: directory)
      path = path ?? directory
    }
    guard let path else {
      throw RunError(.configuration, "neither `tokenizer` nor `init` says where a tokenizer is")
    }
    return (try TokenizerLoader.load(path), base)
  }

  private static func encoder(
    _ configuration: RunConfiguration, base: HuggingFaceConfig?, tokenizer: any Tokenizer
  ) throws -> EncoderConfiguration {
    switch configuration.start {
    case .checkpoint(directory: let path):
      let config = try base ?? HuggingFaceConfig(directory: path)
      let encoder = try EncoderConfiguration(config, path: path + "/config.json")
      try encoder.checkTensors(directory: path)
      guard tokenizer.vocabularySize <= encoder.vocabularySize else {
        throw RunError(
          .data,
          "the tokenizer has \(tokenizer.vocabularySize) ids and the embedding of \(path) "
            + "\(encoder.vocabularySize) rows; give the tokenizer that belongs to the model")
      }
      return encoder
    case .shape(let shape):
      var encoder = EncoderConfiguration(
        family: EncoderFamily(rawValue: shape.family.rawValue) ?? .bert,
        vocabularySize: tokenizer.vocabularySize, hiddenSize: shape.hiddenSize,
        layerCount: shape.numHiddenLayers, headCount: shape.numAttentionHeads,
        innerSize: shape.intermediateSize, positionCount: shape.maxPositionEmbeddings,
        tokenTypeCount: shape.typeVocabSize, layerNormEpsilon: Float(shape.layerNormEps),
        paddingID: Int(tokenizer.specials.padding))
      encoder.initializerRange = Float(shape.initializerRange)
      encoder.initializer = Initializer(rawValue: shape.initializer.rawValue) ?? .normal
      encoder.hiddenDropout = Float(shape.hiddenDropoutProb)
      encoder.attentionDropout = Float(shape.attentionProbsDropoutProb)
      encoder.classifierDropout = shape.classifierDropout.map { Float($0) }
      if let problem = encoder.problem {
        throw RunError(.configuration, "model.\(problem.key): \(problem.message)")
      }
      return encoder
    }
  }

  private static func few(_ names: [String]) -> String {
    let shown = names.prefix(4).joined(separator: ", ")
    return names.count > 4 ? "\(shown) and \(names.count - 4) more" : shown
  }
}
