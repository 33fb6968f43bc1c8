/// What a run will do: a configuration file with every default filled in and every sum checked.
///
/// Paths are as in the file, joined to its folder. Saved as JSON beside the run's checkpoints.
public struct RunConfiguration: Sendable, Equatable, Codable {
  public enum Task: String, Sendable, Codable, CaseIterable {
    case tokenClassification = "token-classification"
    case maskedLM = "masked-lm"
  }

  /// Where the first weights come from.
  public enum Start: Sendable, Equatable, Codable {
    /// A checkpoint directory.
    case checkpoint(directory: String)
    /// Random weights of a shape.
    case shape(ModelShape)
  }

  public struct Language: Sendable, Equatable, Codable {
    public var code: String
    /// Files, or of masked-lm directories of packed text; at least one.
    public var train: [String]
    /// Files, perhaps none.
    public var dev: [String]
    /// Files, perhaps none.
    public var test: [String]
    /// The training sentences used at most, the first ones; nil for all.
    public var maxSentences: Int?
  }

  /// Columns of CoNLL files: from 0, or from −1 backwards for those counted from the row's end.
  public struct Columns: Sendable, Equatable, Codable {
    public var token = 0
    public var tag = -1
  }

  public enum Labels: String, Sendable, Codable, CaseIterable {
    /// One label set for all languages.
    case union
    /// A head for each language, with the labels of its own data.
    case perLanguage = "per-language"
  }

  public enum Head: String, Sendable, Codable, CaseIterable { case softmax, crf }

  public enum Precision: String, Sendable, Codable, CaseIterable { case fp32, bf16 }

  public enum PreemptionSignal: String, Sendable, Codable, CaseIterable {
    case none
    case usr1 = "USR1"
    case usr2 = "USR2"
    case term = "TERM"
  }

  public var task = Task.tokenClassification
  public var start: Start
  /// A tokenizer file or directory; nil for the one in the checkpoint that the run starts from.
  public var tokenizer: String?
  /// In the file's order, at least one.
  public var languages: [Language]
  public var columns = Columns()
  public var labels = Labels.union
  public var head = Head.softmax
  /// Tokens in a window, or in a sequence of text, at most, special tokens included; nil for as many as the model can
  /// take.
  public var maxLength: Int?
  /// Tokens that neighbouring windows of a long sentence share at most; nil for
  /// ``overlap(windowLength:)`` to choose.
  public var windowStride: Int?
  /// At least 0.
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
  /// The signal at which all ranks save and end with exit code 75.
  public var preemptionSignal = PreemptionSignal.usr1
  public var outputDirectory: String
  /// In the order they run, at least one; names are unique.
  public var stages: [Stage]

  init(start: Start, languages: [Language], outputDirectory: String, stages: [Stage]) {
    self.start = start
    self.languages = languages
    self.outputDirectory = outputDirectory
    self.stages = stages
  }

  /// The tokens that neighbouring windows share at most when windows have `windowLength` tokens:
  /// `windowStride`, or else a quarter of a window's words and at most 64.
  ///
  /// - Precondition: `windowLength ≥ 3`.
  public func overlap(windowLength: Int) -> Int {
    precondition(windowLength >= 3, "a window of \(windowLength) tokens")
    return min(windowStride ?? min(64, (windowLength - 2) / 4), windowLength - 3)
  }
}

extension RunConfiguration: HasDefaults {
  static var defaults: RunConfiguration {
    RunConfiguration(
      start: .checkpoint(directory: ""), languages: [], outputDirectory: "", stages: [])
  }
}

/// The shape of an encoder that starts from random weights, under the names of `config.json`.
public struct ModelShape: Sendable, Equatable, Codable {
  public enum Family: String, Sendable, Codable, CaseIterable {
    case bert, roberta
    case xlmRoberta = "xlm-roberta"

    /// The rows of the position table that no token takes.
    var reservedPositions: Int { self == .bert ? 0 : 2 }
  }

  /// How new weights are drawn.
  public enum Initializer: String, Sendable, Codable, CaseIterable {
    /// As `transformers` does.
    case normal
    /// Heads of the first layer look at neighbouring tokens, and matrices of all layers have a deviation of one over the
    /// root of their inputs.
    case mimetic
  }

  public var family = Family.bert
  public var hiddenSize = 0
  public var numHiddenLayers = 0
  public var numAttentionHeads = 0
  public var intermediateSize = 0
  public var maxPositionEmbeddings = 0
  public var typeVocabSize = 0
  public var layerNormEps = 0.0
  public var hiddenDropoutProb = 0.1
  public var attentionProbsDropoutProb = 0.1
  /// Dropout before the head; nil for `hiddenDropoutProb`.
  public var classifierDropout: Double?
  /// Standard deviation of the first weights.
  public var initializerRange = 0.02
  /// How the first weights are drawn.
  public var initializer = Initializer.normal

  /// Tokens that a sequence can have at most, special ones included.
  public var longestSequence: Int { maxPositionEmbeddings - family.reservedPositions }
}

extension ModelShape: HasDefaults {
  static var defaults: ModelShape { ModelShape() }
}

/// One stage of a run: which weights it begins with, on which languages it trains, and how.
public struct Stage: Sendable, Equatable, Codable {
  public enum Start: Sendable, Equatable, Codable {
    /// What the run starts from: every stage that begins so begins with the same weights.
    case run
    /// The weights that an earlier stage ended with.
    case stage(name: String)
    /// A checkpoint directory.
    case checkpoint(directory: String)
  }

  /// Unique in the run, as is `folderName`.
  public var name: String
  /// The name as the file says it, with `{language}` in it if the stage is one of those made for each
  /// language. Stages of one template differ in language alone: a column of a table of scores.
  public var template: String
  public var start: Start
  /// Codes of the languages trained on, in the run's order; at least one.
  public var languages: [String]
  /// Whether moments begin anew; false goes on with those of the stage it starts from, and with its count of
  /// updates. The schedule begins anew in any case.
  public var resetOptimizer: Bool
  /// Tokens in a sequence of text at most; nil for the run's.
  public var maxLength: Int?
  public var training: TrainingConfiguration

  /// The language that an `each: language` stage was made for.
  public var eachLanguage: String? { template.contains("{language}") ? languages.first : nil }

  /// `name` with `-` for each space: the stage's folder below the run's output directory.
  public var folderName: String { name.split(separator: " ").joined(separator: "-") }
}

/// How a stage trains.
public struct TrainingConfiguration: Sendable, Equatable, Codable {
  /// The global batch of one optimiser step, over all ranks.
  public enum StepSize: Sendable, Equatable, Codable {
    case sentences(count: Int)
    case tokens(count: Int)
  }

  public enum Duration: Sendable, Equatable, Codable {
    /// Passes over the data; may be a fraction.
    case epochs(count: Double)
    case steps(count: Int)
  }

  public enum Warmup: Sendable, Equatable, Codable {
    case steps(count: Int)
    /// A share of all steps, 0 to 1.
    case ratio(share: Double)
  }

  public enum Schedule: String, Sendable, Codable, CaseIterable {
    case linear, cosine, constant
    case constantWithWarmup = "constant_with_warmup"
  }

  public enum DecayedParameters: String, Sendable, Codable, CaseIterable {
    /// Parameters of two dimensions: no bias, no LayerNorm.
    case matrices
    case all
  }

  /// From when on rows of embedding tables decay.
  public enum EmbeddingDecay: String, Sendable, Codable, CaseIterable {
    /// A row from the first step that uses it; rows never used keep their bytes.
    case touched
    /// Every row in every step, as PyTorch's AdamW.
    case dense
  }

  public enum EvaluationStrategy: String, Sendable, Codable, CaseIterable { case no, steps, epoch }

  public enum SaveStrategy: String, Sendable, Codable, CaseIterable { case no, end, epoch, steps }

  public enum Metric: String, Sendable, Codable, CaseIterable {
    /// The mean of the languages' F1 scores; more is better.
    case macroF1 = "macro_f1"
    /// The mean of the languages' losses, each the mean over its hidden tokens; less is better.
    case loss = "eval_loss"
  }

  /// What a sequence of text may be filled across.
  public enum Filling: String, Sendable, Codable, CaseIterable { case language, document }

  /// What the tokens of a sequence of text attend to.
  public enum AttentionScope: String, Sendable, Codable, CaseIterable { case sequence, document }

  /// What the bias of a decoder is before it has learnt anything.
  public enum DecoderBias: String, Sendable, Codable, CaseIterable { case zero, unigram }

  /// What keeps its first weights.
  public struct Freeze: Sendable, Equatable, Codable {
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
  public var labelSmoothingFactor = 0.0
  /// The share of tokens, or of words, that are hidden and guessed.
  public var mlmProbability = 0.15
  /// Of those hidden, the share that becomes the mask.
  public var maskReplaceProb = 0.8
  /// Of those hidden, the share that becomes a random token; the rest stay as they are.
  public var randomReplaceProb = 0.1
  public var wholeWordMask = false
  public var fillAcross = Filling.language
  public var attendWithin = AttentionScope.sequence
  /// Of a decoder that no checkpoint brings.
  public var lmHeadBias = DecoderBias.zero
  public var freeze = Freeze()
  /// Dropout of embeddings and hidden states; nil for the model's own. So the next two.
  public var hiddenDropoutProb: Double?
  public var attentionProbsDropoutProb: Double?
  public var classifierDropout: Double?
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
  public var saveDtype = RunConfiguration.Precision.fp32
  /// Megabytes of a file of the finished stage's weights at most; nil for one file.
  public var maxShardMb: Int?
  public var loadBestModelAtEnd = false
  public var metricForBestModel = Metric.macroF1
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
  static var defaults: TrainingConfiguration { TrainingConfiguration() }
}

extension TrainingConfiguration.Freeze: HasDefaults {
  static var defaults: Self { Self() }
}

extension RunConfiguration.Columns: HasDefaults {
  static var defaults: Self { Self() }
}

extension RunConfiguration.Task: ConfigChoice {}
extension RunConfiguration.Labels: ConfigChoice {}
extension RunConfiguration.Head: ConfigChoice {}
extension RunConfiguration.Precision: ConfigChoice {}
extension RunConfiguration.PreemptionSignal: ConfigChoice {}
extension ModelShape.Family: ConfigChoice {}
extension ModelShape.Initializer: ConfigChoice {}
extension TrainingConfiguration.Schedule: ConfigChoice {}
extension TrainingConfiguration.DecayedParameters: ConfigChoice {}
extension TrainingConfiguration.EmbeddingDecay: ConfigChoice {}
extension TrainingConfiguration.EvaluationStrategy: ConfigChoice {}
extension TrainingConfiguration.SaveStrategy: ConfigChoice {}
extension TrainingConfiguration.Metric: ConfigChoice {}
extension TrainingConfiguration.Filling: ConfigChoice {}
extension TrainingConfiguration.AttentionScope: ConfigChoice {}
extension TrainingConfiguration.DecoderBias: ConfigChoice {}
