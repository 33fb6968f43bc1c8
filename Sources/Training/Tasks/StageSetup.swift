import Checkpoints
public import Collectives
public import Configuration
import Corpus
public import Files
import Foundation
public import Tensors

/// What a task is made with when its stage begins.
public struct StageSetup {
  public let configuration: RunConfiguration
  public let stage: Stage
  public let communicator: any Communicator
  public let workspace: Workspace
  public let reporter: Reporter
  /// The tasks of the program.
  public let tasks: [any RunTask.Type]
  /// What stages of the run share, so that it is read once.
  public let shared: SharedValues

  public init(
    configuration: RunConfiguration, stage: Stage, communicator: any Communicator,
    workspace: Workspace, reporter: Reporter, tasks: [any RunTask.Type], shared: SharedValues
  ) {
    self.configuration = configuration
    self.stage = stage
    self.communicator = communicator
    self.workspace = workspace
    self.reporter = reporter
    self.tasks = tasks
    self.shared = shared
  }

  /// The stage's seed, as random streams take it.
  public var seed: UInt64 { UInt64(bitPattern: Int64(stage.seed)) }

  /// The values of the task's own keys.
  public func options<Options: TaskOptions>(as type: Options.Type = Options.self) -> Options {
    stage.options(as: type)
  }

  /// Tokens of a window or sequence at most, if the config says so.
  public var maxLength: Int? { stage.maxLength ?? configuration.maxLength }

  /// The indices of the stage's languages among the run's.
  public var languages: [Int] {
    configuration.languages.indices.filter {
      stage.languages.contains(configuration.languages[$0].code)
    }
  }

  /// How the stage draws its sentences: it draws none of the languages that it does not train.
  ///
  /// - Parameters:
  ///   - sentences: The training sentences of each language of the run.
  ///   - tokenCounts: The tokens of each sentence of a language, asked for where steps are filled by tokens.
  func sampling(sentences: [Int], tokenCounts: (_ language: Int) -> [Int32]) -> StageSampling {
    let training = stage.training
    let counts = sentences.indices.map { languages.contains($0) ? sentences[$0] : 0 }
    let size: StageSampling.StepSize
    var tokens: [[Int32]] = []
    switch training.stepSize {
    case .sentences(let count): size = .sentences(count)
    case .tokens(let count):
      size = .tokens(count)
      tokens = counts.indices.map { counts[$0] == 0 ? [] : tokenCounts($0) }
    }
    return StageSampling(
      seed: seed, stage: stage.randomKey, sentenceCounts: counts, alpha: training.samplingAlpha,
      stepSize: size, tokenCounts: tokens)
  }

  /// The directory of a model that the stage begins with or learns from; nil for random weights.
  ///
  /// - Throws: ``StageDataMissing`` where a stage is named that is not complete.
  public func model(_ start: Stage.Start) throws -> String? {
    switch start {
    case .checkpoint(let directory): return directory
    case .stage(let name): return try directory(of: .model, ofStage: name)
    case .run:
      if case .checkpoint(let directory)? = configuration.start { return directory }
      return nil
    }
  }

  /// The directories of all that the stage comes from: the model that it begins with, its teachers, and the corpora
  /// of earlier stages.
  ///
  /// - Throws: ``StageDataMissing`` where a stage is named that is not complete.
  func origins() throws -> [String] {
    try ([stage.start] + stage.teachers).compactMap(model)
      + stage.trainStages.map { try directory(of: .corpus, ofStage: $0) }
  }

  /// The files that the stage trains on for a language: its own, or those of the corpora of earlier stages.
  ///
  /// - Throws: ``StageDataMissing`` where such a stage is not complete.
  public func trainingFiles(of language: RunConfiguration.Language) throws -> [String] {
    if stage.trainStages.isEmpty, stage.trainFiles.isEmpty { return language.train }
    guard stage.languages.contains(language.code) else { return language.train }
    return try artifacts(of: language.code).map { $0.tagged } + stage.trainFiles
  }

  /// What earlier stages made for a language that this one trains on.
  ///
  /// - Throws: ``StageDataMissing`` where such a stage is not complete.
  public func artifacts(of language: String) throws -> [CorpusArtifact] {
    try stage.trainStages.compactMap { name in
      guard let source = configuration.stages.first(where: { $0.name == name }),
        source.languages.contains(language)
      else { return nil }
      return CorpusArtifact(
        directory: try directory(of: .corpus, ofStage: name), language: language)
    }
  }

  private func directory(of artifact: Artifact, ofStage name: String) throws -> String {
    guard let stage = configuration.stages.first(where: { $0.name == name }) else {
      preconditionFailure("a stage '\(name)' that the run does not have")
    }
    let directory = configuration.directory(of: artifact, ofStage: stage)
    guard FileManager.default.fileExists(atPath: directory + "/isogloss.json") else {
      throw StageDataMissing(stage: name)
    }
    // Another stage made it, maybe long ago: what was changed since would be trained on in silence. Of a model, of which a
    // rank may read little, one rank reads all.
    if artifact == .corpus || communicator.rank == 0 {
      try shared.value("verified \(artifact.words) \(name)", key: directory) {
        do throws(FileError) {
          _ = try CheckpointDirectory.verify(directory)
        } catch {
          throw RunError(.data, "\(error); remove \(directory) to run stage '\(name)' again")
        }
      }
    }
    return directory
  }
}

/// The data of a stage are those of an earlier one, which has not run yet.
public struct StageDataMissing: Error, CustomStringConvertible {
  public var stage: String

  public var description: String {
    "stage '\(stage)' is not complete in output_dir: every rank must see what it makes there; set output_dir to a file "
      + "system that all hosts share, or train that stage again"
  }
}

/// A corpus that a stage made, in one language: a tagged file, and, if they were asked for, the probabilities behind the
/// tags.
public struct CorpusArtifact: Sendable, Equatable {
  public var directory: String
  public var language: String

  public init(directory: String, language: String) {
    self.directory = directory
    self.language = language
  }

  /// CoNLL: a word, a tab, a tag.
  public var tagged: String { "\(directory)/\(language).conll" }
  /// See ``SoftLabels``.
  public var soft: String { "\(directory)/\(language).safetensors" }

  /// All labels that the model could have given, in the order of its scores; none if the corpus is not of a model.
  public func labels() throws(FileError) -> [String] {
    try CheckpointManifest(directory: directory).facts["labels"]?[language]?.array?
      .compactMap(\.string) ?? []
  }
}

extension Stage {
  /// Equal for stages that read the same data. Ranks agree on it before they read any.
  var dataKey: String {
    "\(task)\n\(languages)\n\(start)\n\(teachers)\n\(trainStages)\n\(trainFiles)\n\(options)"
  }
}

extension RunConfiguration {
  /// The folder of a stage below the run's directory.
  public func directory(of stage: Stage) -> String { outputDirectory + "/" + stage.folderName }

  /// Where a stage leaves what later ones name.
  public func directory(of artifact: Artifact, ofStage stage: Stage) -> String {
    directory(of: stage) + (artifact == .model ? "/model" : "/corpus")
  }
}

/// What stages of one run share: a value for each name, kept until another one of the name is asked for.
public final class SharedValues: @unchecked Sendable {
  private let lock = NSLock()
  private var values: [String: (key: String, value: any Sendable)] = [:]

  public init() {}

  /// The value of a name and key, made at its first use.
  public func value<Value: Sendable>(
    _ name: String, key: String, _ make: () throws -> Value
  ) rethrows -> Value {
    if let (kept, value) = lock.withLock({ values[name] }), kept == key, let value = value as? Value
    {
      return value
    }
    let value = try make()
    lock.withLock { values[name] = (key, value) }
    return value
  }
}
