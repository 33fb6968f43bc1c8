import Checkpoints
import Foundation
public import Model
public import Tensors

/// What a run will do: a configuration file with every default filled in and every sum checked.
///
/// Paths are as in the file, joined to its folder. Saved as JSON beside the run's checkpoints.
public struct RunConfiguration: Sendable, Encodable {
  /// Where the first weights come from.
  public enum Start: Sendable, Equatable, Encodable {
    /// A checkpoint directory.
    case checkpoint(directory: String)
    /// Random weights of a shape, whose vocabulary and padding id are the tokenizer's.
    case shape(EncoderConfiguration)
  }

  public struct Language: Sendable, Equatable, Encodable {
    public var code: String
    /// Files, or directories where the task's data are directories; none where no stage trains on them.
    public var train: [String]
    /// Files, perhaps none.
    public var dev: [String]
    /// Files, perhaps none.
    public var test: [String]
    /// The training sentences used at most, the first ones; nil for all.
    public var maxSentences: Int?
  }

  public enum PreemptionSignal: String, Sendable, Encodable, CaseIterable {
    case none
    case usr1 = "USR1"
    case usr2 = "USR2"
    case term = "TERM"
  }

  /// What a stage does that does not say: the name of one of ``tasks``.
  public var task: String
  /// Nil where no stage starts from an encoder.
  public var start: Start?
  /// A tokenizer file or directory; nil for the one in the checkpoint that the run starts from.
  public var tokenizer: String?
  /// In the file's order, at least one.
  public var languages: [Language]
  /// Tokens in a window, or in a sequence of text, at most, special tokens included; nil for as many as the model can
  /// take.
  public var maxLength: Int?
  /// At least 0. Stages may have seeds of their own.
  public var seed = 42
  public var fullDeterminism = false
  /// The parts each step's batch is cut into, whatever the number of ranks; the most ranks there can be.
  public var shards = 8
  public var precision = Precision.fp32
  public var gradientDtype = Precision.fp32
  public var ddpBucketCapMb = 4
  /// Whether each rank updates a share of the weights, and keeps the optimiser's state of that alone.
  public var shardOptimizer = false
  /// Seconds that a rank waits for the others before it gives up.
  public var ddpTimeout = 1800
  /// Steps between comparisons of the weights of all ranks; 0 for none.
  public var replicaCheckSteps = 500
  /// Whether each rank logs what its own gradient of each step was.
  public var logGradients = false
  /// Whether a page about the run is written at its end.
  public var report = false
  /// The signal at which all ranks save and end with exit code 75.
  public var preemptionSignal = PreemptionSignal.usr1
  public var outputDirectory: String
  /// In the order they run, at least one; names are unique.
  public var stages: [Stage]

  /// The tasks that the file could name.
  public var tasks: [TaskSchema] = []

  init(task: String, start: Start?, languages: [Language], outputDirectory: String) {
    self.task = task
    self.start = start
    self.languages = languages
    self.outputDirectory = outputDirectory
    stages = []
  }

  /// What the task of a stage says of itself.
  public func schema(of stage: Stage) -> TaskSchema { schema(named: stage.task) }

  func schema(named name: String) -> TaskSchema {
    guard let schema = tasks.first(where: { $0.name == name }) else {
      preconditionFailure("a task '\(name)' that is not known")
    }
    return schema
  }

  /// The language of a code that is one of the run's.
  public func language(_ code: String) -> Language {
    guard let language = languages.first(where: { $0.code == code }) else {
      preconditionFailure("a language '\(code)' that the run does not have")
    }
    return language
  }

  private enum CodingKeys: String, CodingKey {
    case task, start, tokenizer, languages, maxLength, seed, fullDeterminism, shards, precision
    case gradientDtype, ddpBucketCapMb, shardOptimizer, ddpTimeout, replicaCheckSteps, logGradients
    case preemptionSignal, outputDirectory, stages
  }
}

extension RunConfiguration: Equatable {
  /// Whether the two say the same, whatever tasks else their programs have.
  public static func == (left: RunConfiguration, right: RunConfiguration) -> Bool {
    left.description == right.description
  }
}

extension RunConfiguration: HasDefaults {
  package static var defaults: RunConfiguration {
    RunConfiguration(task: "", start: nil, languages: [], outputDirectory: "")
  }
}

extension EncoderConfiguration: HasDefaults {
  package static var defaults: EncoderConfiguration {
    EncoderConfiguration(
      family: .bert, vocabularySize: 0, hiddenSize: 0, layerCount: 0, headCount: 1, innerSize: 0,
      positionCount: 0, tokenTypeCount: 0, layerNormEpsilon: 0, paddingID: 0)
  }
}

/// One stage of a run: what it does, what it begins with, on which languages, and how.
public struct Stage: Sendable {
  /// A stage or a directory that a stage begins with.
  public enum Start: Sendable, Equatable, Encodable {
    /// What the run starts from: every stage that begins so begins with the same weights.
    case run
    /// What an earlier stage left.
    case stage(name: String)
    /// A checkpoint directory.
    case checkpoint(directory: String)

    /// The stage that is named, if one is.
    public var stage: String? {
      if case .stage(let name) = self { name } else { nil }
    }
  }

  /// Unique in the run, as is `folderName`.
  public var name: String
  /// The name as the file says it, with `{language}` and `{seed}` in it if the stage is one of those made for each
  /// language or seed. Stages of one template and seed differ in language alone: a column of a table of scores.
  public var template: String
  /// The name of its task.
  public var task: String
  /// Where its first weights come from, or the model that it uses.
  public var start = Start.run
  /// The models that it learns from.
  public var teachers: [Start] = []
  /// Earlier stages whose corpora take the place of the languages' training files.
  public var trainStages: [String] = []
  /// Files to train on in addition; only for a stage of one language.
  public var trainFiles: [String] = []
  /// Codes of the languages worked on, in the run's order; at least one.
  public var languages: [String]
  /// Whether moments begin anew; false goes on with those of the stage it starts from, and with its count of
  /// updates. The schedule begins anew in any case.
  public var resetOptimizer = true
  /// Tokens in a window or in a sequence of text at most; nil for the run's.
  public var maxLength: Int?
  /// The seed of everything random in it.
  public var seed: Int
  /// Names its random numbers: stages of one template and language have one number, whatever their seeds, and otherwise it
  /// is the stage's place in the run.
  public var randomKey: Int
  public var training = TrainingConfiguration()
  /// The values of the task's own keys.
  public var options: any TaskOptions

  /// The stages that it is the best of, by dev; it then trains nothing itself.
  public var tries: [String] = []
  /// Of a stage with tries, the sweep as a file says it.
  public var sweep: String?
  /// Of a try, the stage that it is one of.
  public var tryOf: String?

  /// The language that an `each: language` stage was made for.
  public var eachLanguage: String? { template.contains("{language}") ? languages.first : nil }

  /// Whether the stage is one of those made for each seed.
  public var isOfSeed: Bool { template.contains("{seed}") }

  /// `name` with `-` for each space: the stage's folder below the run's output directory.
  public var folderName: String { name.split(separator: " ").joined(separator: "-") }

  /// The name without the language that it was made for: `fine-tune` of `fine-tune {language}`.
  public var group: String { name(ofSeed: "\(seed)") }

  /// The name without language and seed: what the stages of one template are over all of them.
  public var system: String { name(ofSeed: "") }

  private func name(ofSeed seed: String) -> String {
    let template = seed.isEmpty ? template.replacing(" seed {seed}", with: "") : template
    let group = template.replacing("{language}", with: "").replacing("{seed}", with: seed)
      .trimmingCharacters(in: CharacterSet(charactersIn: " -_.:"))
    // What stood on both sides of the braces leaves one blank.
    return group.isEmpty ? template : group.split(separator: " ").joined(separator: " ")
  }

  /// The languages whose dev parts say which of several weights, seeds or tries is best.
  public var choosingLanguages: [String] {
    training.metricLanguages.isEmpty ? languages : training.metricLanguages
  }

  /// The earlier stages that it needs.
  public var sources: [String] {
    [start.stage].compactMap(\.self) + teachers.compactMap(\.stage) + trainStages
  }

  /// The values of the task's own keys, as the task reads them.
  public func options<Options: TaskOptions>(as type: Options.Type = Options.self) -> Options {
    guard let options = options as? Options else {
      preconditionFailure("options of \(Swift.type(of: options)), not of \(type)")
    }
    return options
  }
}

extension Stage: Encodable {
  private enum CodingKeys: String, CodingKey {
    case name, template, task, start, teachers, trainStages, trainFiles, languages, resetOptimizer
    case maxLength, seed, training, options
  }

  public func encode(to encoder: any Swift.Encoder) throws {
    var members = encoder.container(keyedBy: CodingKeys.self)
    try members.encode(name, forKey: .name)
    try members.encode(template, forKey: .template)
    try members.encode(task, forKey: .task)
    try members.encode(start, forKey: .start)
    if !teachers.isEmpty { try members.encode(teachers, forKey: .teachers) }
    if !trainStages.isEmpty { try members.encode(trainStages, forKey: .trainStages) }
    if !trainFiles.isEmpty { try members.encode(trainFiles, forKey: .trainFiles) }
    try members.encode(languages, forKey: .languages)
    try members.encode(resetOptimizer, forKey: .resetOptimizer)
    try members.encodeIfPresent(maxLength, forKey: .maxLength)
    try members.encode(seed, forKey: .seed)
    try members.encode(training, forKey: .training)
    try options.encode(to: members.superEncoder(forKey: .options))
  }
}

/// How a stage trains.
public struct TrainingConfiguration: Sendable, Equatable, Encodable {
  /// The global batch of one optimiser step, over all ranks.
  public enum StepSize: Sendable, Equatable, Encodable {
    case sentences(count: Int)
    case tokens(count: Int)
  }

  public enum Duration: Sendable, Equatable, Encodable {
    /// Passes over the data; may be a fraction.
    case epochs(count: Double)
    case steps(count: Int)
  }

  public enum Warmup: Sendable, Equatable, Encodable {
    case steps(count: Int)
    /// A share of all steps, 0 to 1.
    case ratio(share: Double)
  }

  public enum OptimiserKind: String, Sendable, Encodable, CaseIterable { case adamw, sgd }

  public enum Schedule: String, Sendable, Encodable, CaseIterable {
    case linear, cosine, constant
    case constantWithWarmup = "constant_with_warmup"
  }

  public enum DecayedParameters: String, Sendable, Encodable, CaseIterable {
    /// Parameters of two dimensions: no bias, no LayerNorm.
    case matrices
    case all
  }

  /// From when on rows of embedding tables decay.
  public enum EmbeddingDecay: String, Sendable, Encodable, CaseIterable {
    /// A row from the first step that uses it; rows never used keep their bytes.
    case touched
    /// Every row in every step, as PyTorch's AdamW.
    case dense
  }

  public enum EvaluationStrategy: String, Sendable, Encodable, CaseIterable {
    case no, steps, epoch
  }

  public enum SaveStrategy: String, Sendable, Encodable, CaseIterable { case no, end, epoch, steps }

  /// What keeps its first weights.
  public struct Freeze: Sendable, Equatable, Encodable {
    public var embeddings = false
    /// The number of lowest layers.
    public var layers = 0
  }

  public var stepSize = StepSize.sentences(count: 32)
  /// Tokens that a rank works on at once at most, down to one shard (a bound on memory: a step is then several
  /// passes whose gradients add up); nil for no bound.
  public var maxTokensPerPass: Int?
  public var duration = Duration.epochs(count: 3)
  /// The exponent of language sampling: shares are sizes to this power. 1 natural, 0 equal.
  public var samplingAlpha = 1.0
  public var optim = OptimiserKind.adamw
  /// The peak.
  public var learningRate = 5e-5
  /// The head's peak; nil for `learningRate`.
  public var headLearningRate: Double?
  /// The learning rate's factor from each layer to the one below, embeddings lowest.
  public var layerLearningRateDecay = 1.0
  public var lrSchedulerType = Schedule.linear
  public var warmup = Warmup.steps(count: 0)
  public var weightDecay = 0.01
  public var weightDecayOn = DecayedParameters.matrices
  public var embeddingWeightDecay = EmbeddingDecay.touched
  public var adamBeta1 = 0.9
  public var adamBeta2 = 0.999
  public var adamEpsilon = 1e-8
  /// The global norm that gradients are scaled down to; 0 for no clipping.
  public var maxGradNorm = 1.0
  public var freeze = Freeze()
  /// Dropout of embeddings and hidden states; nil for the model's own. So the next.
  public var hiddenDropoutProb: Double?
  public var attentionProbsDropoutProb: Double?
  public var evalStrategy = EvaluationStrategy.no
  /// Steps between evaluations; present exactly when `evalStrategy` is `steps`.
  public var evalSteps: Int?
  /// Tokens in an evaluation batch at most (a longer sentence is a batch of its own).
  public var evalTokensPerBatch = 4096
  /// `no` keeps only scores; `end` keeps the finished stage; `epoch` and `steps` keep it and states in between.
  public var saveStrategy = SaveStrategy.end
  /// Steps between saves; present exactly when `saveStrategy` is `steps`.
  public var saveSteps: Int?
  /// States in between kept at most, the newest; nil for all.
  public var saveTotalLimit: Int?
  /// What the weights of the finished stage are stored as; those of states in between are fp32.
  public var saveDtype = Precision.fp32
  /// Megabytes of a file of the finished stage's weights at most; nil for one file.
  public var maxShardMb: Int?
  /// Whether the finished stage's labels of dev and test are kept.
  public var savePredictions = true
  public var loadBestModelAtEnd = false
  /// One of the task's metrics, by name; empty of a task that has none.
  public var metricForBestModel = ""
  /// The languages the metric is the mean over, in the run's order; each has dev files.
  /// Empty exactly when nothing is evaluated during the stage.
  public var metricLanguages: [String] = []
  /// Evaluations without a better metric after which the stage ends; nil for never.
  public var earlyStoppingPatience: Int?
  /// Steps between lines of the log.
  public var loggingSteps = 10

  /// The defaults.
  public init() {}
}

extension TrainingConfiguration: HasDefaults {
  package static var defaults: TrainingConfiguration { TrainingConfiguration() }
}

extension TrainingConfiguration.Freeze: HasDefaults {
  package static var defaults: Self { Self() }
}

extension Precision: ConfigChoice {}
extension EncoderFamily: ConfigChoice {}
extension Initializer: ConfigChoice {}
extension RunConfiguration.PreemptionSignal: ConfigChoice {}
extension TrainingConfiguration.OptimiserKind: ConfigChoice {}
extension TrainingConfiguration.Schedule: ConfigChoice {}
extension TrainingConfiguration.DecayedParameters: ConfigChoice {}
extension TrainingConfiguration.EmbeddingDecay: ConfigChoice {}
extension TrainingConfiguration.EvaluationStrategy: ConfigChoice {}
extension TrainingConfiguration.SaveStrategy: ConfigChoice {}
