import Checkpoints
import Model
import Tensors

/// What a configuration file may say, as it says it, with places. A nil is what it does not say.
struct RunFile: HasOwnKeys {
  var task: Placed<String>?
  /// Key `init`.
  var start: Placed<String>?
  var model: Placed<ModelFile>?
  var tokenizer: Placed<String>?
  var languages: Placed<Named<LanguageFile>>?
  var maxLength: Placed<Int>?
  var seed: Placed<Int>?
  var seeds: Placed<[Placed<Int>]>?
  var fullDeterminism: Placed<Bool>?
  var shards: Placed<Int>?
  var precision: Placed<Precision>?
  var bf16: Placed<Bool>?
  var gradientDtype: Placed<Precision>?
  var ddpBucketCapMb: Placed<Int>?
  var shardOptimizer: Placed<Bool>?
  var ddpTimeout: Placed<Int>?
  var replicaCheckSteps: Placed<Int>?
  var logGradients: Placed<Bool>?
  var report: Placed<Bool>?
  var preemptionSignal: Placed<RunConfiguration.PreemptionSignal>?
  var outputDir: Placed<String>?
  /// Key `stages`, as it stands.
  var listedStages: Placed<[YAMLNode]>?
  /// The same, read.
  var stages: Placed<[Placed<StageFile>]>?
  var training = TrainingFile()
  var own: [String: YAMLNode.Entry] = [:]

  /// Reads a file whose tasks are known.
  init(_ document: YAMLNode, tasks: KnownTasks) throws(ConfigError) {
    self = try Self.read(document, key: "", tasks: tasks)
    guard let listedStages else { return }
    var files: [Placed<StageFile>] = []
    for (index, node) in listedStages.value.enumerated() {
      let file = try StageFile.read(node, key: "stages.\(index)", tasks: tasks)
      files.append(Placed(value: file, place: node.place))
    }
    stages = Placed(value: files, place: listedStages.place)
  }

  init() {}

  /// The keys of a run that a stage does not have.
  static let ownFields: [Field<RunFile, RunConfiguration>] = [
    Field(
      "task", \.task, default: "the first of those below",
      "What stages do that do not say."),
    Field(
      "init", \.start, .notEmpty, default: "required, or model",
      otherNames: ["model_name_or_path", "pretrained_model_name_or_path"],
      "A checkpoint directory (Hugging Face layout) to start from."),
    Field(
      "model", \.model, default: "required, or init",
      "A shape to start from with random weights; needs tokenizer. Tasks without an encoder need neither."
    ),
    Field(
      "tokenizer", \.tokenizer, .notEmpty, default: "the checkpoint's",
      otherNames: ["tokenizer_name"], "A tokenizer file or directory."),
    Field(
      "languages", \.languages, default: "required",
      "Files of each language, by its code; order counts."),
    Field(
      "max_length", \.maxLength, .inside(3...1_048_576), into: \.maxLength, default: "the model's",
      otherNames: ["max_seq_length"],
      "Tokens in a window or sequence at most; longer sentences are cut into windows, never truncated."
    ),
    Field("seed", \.seed, .atLeast(0), into: \.seed, "Seed of everything random."),
    Field(
      "seeds", \.seeds, kind: "list of whole numbers", default: "the one of seed",
      "Makes every stage for each of these seeds, as each: seed does."),
    Field(
      "full_determinism", \.fullDeterminism, into: \.fullDeterminism,
      "Same weight bits for any number of ranks."),
    Field(
      "shards", \.shards, .inside(1...65536), into: \.shards,
      "Parts each batch is cut into; the most ranks there can be."),
    Field(
      "precision", \.precision, into: \.precision,
      "What the factors of products are rounded to: fp32, or bf16 where the processor multiplies it."
    ),
    Field(
      "bf16", \.bf16, default: "false", "Hugging Face's way to say precision: bf16."),
    Field(
      "gradient_dtype", \.gradientDtype, into: \.gradientDtype,
      "How gradients travel between ranks: fp32, or rounded to bf16 and summed in fp32."),
    Field(
      "ddp_bucket_cap_mb", \.ddpBucketCapMb, .inside(1...2000), into: \.ddpBucketCapMb,
      "MiB of fp32 gradients that are reduced at once, while the backward pass goes on."),
    Field(
      "shard_optimizer", \.shardOptimizer, into: \.shardOptimizer,
      "Each rank keeps and updates its share of the optimiser's state (ZeRO, stage 1)."),
    Field(
      "ddp_timeout", \.ddpTimeout, .inside(1...1_000_000), into: \.ddpTimeout,
      "Seconds a rank waits for the others before it gives up."),
    Field(
      "replica_check_steps", \.replicaCheckSteps, .atLeast(0), into: \.replicaCheckSteps,
      "Steps between comparisons of the weights of all ranks; 0 for none."),
    Field(
      "log_gradients", \.logGradients, into: \.logGradients,
      "Each rank logs a hash and norms of its own gradient every step, for isogloss replay."),
    Field(
      "report", \.report, into: \.report,
      "Whether the run ends with report.html in its directory, as isogloss report writes it."),
    Field(
      "preemption_signal", \.preemptionSignal, into: \.preemptionSignal,
      "At which all ranks save and end with exit code 75."),
    Field(
      "output_dir", \.outputDir, .notEmpty, default: "required, or --out",
      "The run's directory; not one that holds another run."),
    Field(
      "stages", \.listedStages, kind: "list of mappings",
      default: "one, of all languages, named train",
      "What runs one after the other; every training key can differ by stage."),
  ]

  static let fields =
    ownFields
    + TrainingFile.fields.map { $0.lifted(\RunFile.training, to: RunConfiguration.self) }
}

/// `model:`, a shape.
struct ModelFile: ConfigRecord {
  var family: Placed<EncoderFamily>?
  var hiddenSize: Placed<Int>?
  var numHiddenLayers: Placed<Int>?
  var numAttentionHeads: Placed<Int>?
  var intermediateSize: Placed<Int>?
  var maxPositionEmbeddings: Placed<Int>?
  var typeVocabSize: Placed<Int>?
  var layerNormEps: Placed<Float>?
  var hiddenDropoutProb: Placed<Float>?
  var attentionProbsDropoutProb: Placed<Float>?
  var classifierDropout: Placed<Float>?
  var initializerRange: Placed<Float>?
  var initializer: Placed<Initializer>?

  static let fields: [Field<ModelFile, EncoderConfiguration>] = [
    Field(
      "family", \.family, default: "required", otherNames: ["model_type"],
      "Whose positions, token types and names the model has."),
    Field("hidden_size", \.hiddenSize, .inside(1...65536), default: "required", "Model width."),
    Field(
      "num_hidden_layers", \.numHiddenLayers, .inside(1...1024), default: "required", "Layers."),
    Field(
      "num_attention_heads", \.numAttentionHeads, .inside(1...4096), default: "required",
      "Heads; must divide hidden_size."),
    Field(
      "intermediate_size", \.intermediateSize, .inside(1...1_048_576), default: "4 x hidden_size",
      "Inner width."),
    Field(
      "max_position_embeddings", \.maxPositionEmbeddings, .inside(3...1_048_576),
      default: "512 for bert, else 514",
      "Rows of the position table; 2 of them are never used in roberta and xlm-roberta."),
    Field(
      "type_vocab_size", \.typeVocabSize, .inside(1...1024), default: "2 for bert, else 1",
      "Token types."),
    Field(
      "layer_norm_eps", \.layerNormEps, .above(0), default: "1e-12 for bert, else 1e-05",
      "Added to variances."),
    Field(
      "hidden_dropout_prob", \.hiddenDropoutProb, .inside(0...0.999), into: \.hiddenDropout,
      "Dropout of embeddings and hidden states."),
    Field(
      "attention_probs_dropout_prob", \.attentionProbsDropoutProb, .inside(0...0.999),
      into: \.attentionDropout, "Dropout of attention."),
    Field(
      "classifier_dropout", \.classifierDropout, .inside(0...0.999), into: \.classifierDropout,
      default: "hidden_dropout_prob", "Dropout before the head."),
    Field(
      "initializer_range", \.initializerRange, .above(0), into: \.initializerRange,
      "Standard deviation of the first weights."),
    Field(
      "initializer", \.initializer, into: \.initializer,
      "How the first weights are drawn; mimetic: first heads look at neighbours, layers' deviations are 1/sqrt(inputs)."
    ),
  ]
}

/// One language of `languages:`.
struct LanguageFile: ConfigRecord {
  var train: Placed<[Placed<String>]>?
  var dev: Placed<[Placed<String>]>?
  var test: Placed<[Placed<String>]>?
  var maxSentences: Placed<Int>?

  static let fields: [Field<LanguageFile, RunConfiguration.Language>] = [
    Field(
      "train", \.train, kind: "list", default: "required where a stage trains on them",
      "Files to train on; directories that isogloss data pack wrote, where the task reads those."),
    Field(
      "dev", \.dev, kind: "list", default: "[]", otherNames: ["validation", "valid", "eval"],
      "Files to choose by."),
    Field("test", \.test, kind: "list", default: "[]", "Files to report on at the end."),
    Field(
      "max_sentences", \.maxSentences, .atLeast(1), into: \.maxSentences, default: "all",
      otherNames: ["max_train_samples"], "Training sentences used at most, the first ones."),
  ]
}

/// `freeze:`.
struct FreezeFile: ConfigRecord {
  var embeddings: Placed<Bool>?
  var layers: Placed<Int>?

  static let fields: [Field<FreezeFile, TrainingConfiguration.Freeze>] = [
    Field("embeddings", \.embeddings, into: \.embeddings, "Whether all embeddings stay."),
    Field("layers", \.layers, .atLeast(0), into: \.layers, "How many of the lowest layers stay."),
  ]
}

/// A member of `stages:`.
struct StageFile: HasOwnKeys {
  /// What a stage is made for, once for each.
  enum Expansion: String, ConfigChoice { case language, seed }

  /// One choice, or a list of choices.
  struct Expansions: ConfigValue {
    var values: [Expansion]

    static var kind: String { "language | seed | list of both" }

    static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Expansions {
      guard case .sequence = node.content else {
        return Expansions(values: [try Expansion.read(node, key: key)])
      }
      return Expansions(values: try [Expansion].read(node, key: key))
    }
  }

  var name: Placed<String>?
  var task: Placed<String>?
  var each: Placed<Expansions>?
  var seeds: Placed<[Placed<Int>]>?
  var sweep: Placed<Sweep>?
  /// Key `init`.
  var start: Placed<String>?
  var teachers: Placed<[Placed<String>]>?
  var train: Placed<[Placed<String>]>?
  var languages: Placed<[Placed<String>]>?
  var resetOptimizer: Placed<Bool>?
  var maxLength: Placed<Int>?
  var training = TrainingFile()
  var own: [String: YAMLNode.Entry] = [:]

  static let ownFields: [Field<StageFile, Stage>] = [
    Field(
      "name", \.name, .notEmpty, default: "required",
      "Unique; {language} and {seed} stand for those of each."),
    Field("task", \.task, default: "the run's", "What the stage does."),
    Field(
      "each", \.each, default: "one stage",
      "Makes a stage for each language, worked on alone, for each seed, or for both."),
    Field(
      "seeds", \.seeds, kind: "list of whole numbers", default: "the run's",
      "With each: seed, the seeds to make stages for."),
    Field(
      "sweep", \.sweep, default: "none",
      "Keys of training or of the task with lists of values to try, all with all; the stage is the try that is best on dev."
    ),
    Field(
      "init", \.start, .notEmpty, default: "what the run starts from",
      "The earlier stage, or the checkpoint directory (with a / in it), whose model it begins with. A stage's name means "
        + "the stage of the same language and seed."),
    Field(
      "teachers", \.teachers, kind: "list", default: "none",
      "Earlier stages or checkpoint directories whose models it learns from; STAGE@all is all that STAGE was made for."
    ),
    Field(
      "train", \.train, kind: "list", default: "those of languages",
      "What it trains on in their place: stage:STAGE is the corpus that an earlier stage made; files, of one language."
    ),
    Field(
      "languages", \.languages, kind: "list", default: "all with training data",
      "Codes to work on; with each, the languages to make stages for."),
    Field(
      "reset_optimizer", \.resetOptimizer, default: "true",
      "Whether moments begin anew; false goes on with those of the stage named by init. The schedule is new."
    ),
    Field(
      "max_length", \.maxLength, .inside(3...1_048_576), default: "the run's",
      "Tokens in a window or sequence at most: stages may begin with short ones."),
  ]

  static let fields =
    ownFields + TrainingFile.fields.map { $0.lifted(\StageFile.training, to: Stage.self) }
}
