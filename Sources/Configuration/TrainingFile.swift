import Tensors

/// The training keys, which a run has and each stage may have, as a file says them.
struct TrainingFile: ConfigRecord {
  var perStepSentences: Placed<Int>?
  var perStepTokens: Placed<Int>?
  var maxTokensPerPass: Placed<Int>?
  var numTrainEpochs: Placed<Double>?
  var maxSteps: Placed<Int>?
  var samplingAlpha: Placed<Double>?
  var optim: Placed<TrainingConfiguration.OptimiserKind>?
  var learningRate: Placed<Double>?
  var headLearningRate: Placed<Double>?
  var layerLearningRateDecay: Placed<Double>?
  var lrSchedulerType: Placed<TrainingConfiguration.Schedule>?
  var warmupSteps: Placed<Int>?
  var warmupRatio: Placed<Double>?
  var weightDecay: Placed<Double>?
  var weightDecayOn: Placed<TrainingConfiguration.DecayedParameters>?
  var embeddingWeightDecay: Placed<TrainingConfiguration.EmbeddingDecay>?
  var adamBeta1: Placed<Double>?
  var adamBeta2: Placed<Double>?
  var adamEpsilon: Placed<Double>?
  var maxGradNorm: Placed<Double>?
  var freeze: Placed<FreezeFile>?
  var hiddenDropoutProb: Placed<Double>?
  var attentionProbsDropoutProb: Placed<Double>?
  var evalStrategy: Placed<TrainingConfiguration.EvaluationStrategy>?
  var evalSteps: Placed<Int>?
  var evalTokensPerBatch: Placed<Int>?
  var saveStrategy: Placed<TrainingConfiguration.SaveStrategy>?
  var saveSteps: Placed<Int>?
  var saveTotalLimit: Placed<Int>?
  var saveDtype: Placed<Precision>?
  var maxShardMb: Placed<Int>?
  var savePredictions: Placed<Bool>?
  var loadBestModelAtEnd: Placed<Bool>?
  var metricForBestModel: Placed<String>?
  var metricLanguages: Placed<[Placed<String>]>?
  var earlyStoppingPatience: Placed<Int>?
  var loggingSteps: Placed<Int>?

  static let fields: [Field<TrainingFile, TrainingConfiguration>] =
    batchFields + optimizerFields
    + modelFields + evaluationFields

  /// Pairs of keys of which a mapping says one at most; saying one leaves the other's inherited value out.
  static let exclusivePairs: [(String, String)] = [
    ("per_step_sentences", "per_step_tokens"), ("num_train_epochs", "max_steps"),
    ("warmup_steps", "warmup_ratio"),
  ]

  private static let batchFields: [Field<TrainingFile, TrainingConfiguration>] = [
    Field(
      "per_step_sentences", \.perStepSentences, .inside(1...1_000_000_000),
      default: "required, or per_step_tokens",
      otherNames: [
        "per_device_train_batch_size", "train_batch_size", "batch_size",
        "gradient_accumulation_steps",
      ],
      "Sentences, sequences or other items of one step's batch, over all ranks."),
    Field(
      "per_step_tokens", \.perStepTokens, .inside(1...1_000_000_000),
      default: "required, or per_step_sentences",
      "Tokens of one step's batch, over all ranks."),
    Field(
      "max_tokens_per_pass", \.maxTokensPerPass, .inside(1...1_000_000_000),
      into: \.maxTokensPerPass,
      default: "no bound",
      "Tokens a rank works on at once, down to one shard; bounds memory by adding up gradients."),
    Field(
      "num_train_epochs", \.numTrainEpochs,
      Requirement(text: "above 0.0 and at most 1000000.0") { $0 > 0 && $0 <= 1_000_000 },
      default: "3.0", otherNames: ["epochs"],
      "Passes over the data; this or max_steps."),
    Field(
      "max_steps", \.maxSteps, .inside(1...1_000_000_000), default: "by num_train_epochs",
      "Steps of the optimiser; this or num_train_epochs."),
    Field(
      "sampling_alpha", \.samplingAlpha, .atLeast(0), into: \.samplingAlpha,
      "Exponent of language sampling: 1 natural, 0 equal shares."),
  ]

  private static let optimizerFields: [Field<TrainingFile, TrainingConfiguration>] = [
    Field(
      "optim", \.optim, into: \.optim, otherNames: ["optimizer"],
      "adamw, or sgd: plain gradient descent, without momentum."),
    Field(
      "learning_rate", \.learningRate, .above(0), into: \.learningRate, otherNames: ["lr"],
      "Peak learning rate."),
    Field(
      "head_learning_rate", \.headLearningRate, .above(0), into: \.headLearningRate,
      default: "learning_rate", "Peak learning rate of the head."),
    Field(
      "layer_learning_rate_decay", \.layerLearningRateDecay,
      Requirement(text: "above 0.0 and at most 1.0") { $0 > 0 && $0 <= 1 },
      into: \.layerLearningRateDecay,
      "The rate's factor from each layer to the one below; embeddings are lowest."),
    Field(
      "lr_scheduler_type", \.lrSchedulerType, into: \.lrSchedulerType,
      "How the rate falls after the warm-up."),
    Field(
      "warmup_steps", \.warmupSteps, .inside(0...1_000_000_000), default: "0",
      "Steps in which the rate rises from 0; this or warmup_ratio."),
    Field(
      "warmup_ratio", \.warmupRatio, .inside(0...1), default: "by warmup_steps",
      otherNames: ["warmup_proportion"], "The same as a share of all steps."),
    Field(
      "weight_decay", \.weightDecay, .atLeast(0), into: \.weightDecay,
      "Weight decay: apart from the gradient with adamw, added to it with sgd."),
    Field(
      "weight_decay_on", \.weightDecayOn, into: \.weightDecayOn,
      "What decays; matrices spares biases and LayerNorm."),
    Field(
      "embedding_weight_decay", \.embeddingWeightDecay, into: \.embeddingWeightDecay,
      "dense decays every row of the word table in every step, as PyTorch does; touched only rows in use."
    ),
    Field(
      "adam_beta1", \.adamBeta1, .inside(0..<1), into: \.adamBeta1,
      "AdamW's decay of the first moment."),
    Field(
      "adam_beta2", \.adamBeta2, .inside(0..<1), into: \.adamBeta2,
      "AdamW's decay of the second moment."),
    Field(
      "adam_epsilon", \.adamEpsilon, .inside(1e-30...1), into: \.adamEpsilon,
      "Added to AdamW's denominator."),
    Field(
      "max_grad_norm", \.maxGradNorm, .atLeast(0), into: \.maxGradNorm,
      "Global norm gradients are scaled down to; 0 for none."),
  ]

  private static let modelFields: [Field<TrainingFile, TrainingConfiguration>] = [
    Field("freeze", \.freeze, default: "nothing", "Parts that keep their first weights."),
    Field(
      "hidden_dropout_prob", \.hiddenDropoutProb, .inside(0...0.999), into: \.hiddenDropoutProb,
      default: "the model's", "Dropout of embeddings and hidden states."),
    Field(
      "attention_probs_dropout_prob", \.attentionProbsDropoutProb, .inside(0...0.999),
      into: \.attentionProbsDropoutProb, default: "the model's", "Dropout of attention."),
  ]

  private static let evaluationFields: [Field<TrainingFile, TrainingConfiguration>] = [
    Field(
      "eval_strategy", \.evalStrategy, into: \.evalStrategy, otherNames: ["evaluation_strategy"],
      "When dev files are scored during a stage."),
    Field(
      "eval_steps", \.evalSteps, .atLeast(1), into: \.evalSteps, default: "none",
      "Steps between evaluations, with eval_strategy: steps."),
    Field(
      "eval_tokens_per_batch", \.evalTokensPerBatch, .inside(1...1_000_000_000),
      into: \.evalTokensPerBatch,
      otherNames: ["per_device_eval_batch_size", "eval_batch_size"],
      "Tokens of an evaluation batch at most."),
    Field(
      "save_strategy", \.saveStrategy, into: \.saveStrategy,
      "no keeps scores and predictions alone; end keeps the finished stage; epoch and steps also keep states in between."
    ),
    Field(
      "save_steps", \.saveSteps, .atLeast(1), into: \.saveSteps, default: "none",
      "Steps between saves, with save_strategy: steps."),
    Field(
      "save_total_limit", \.saveTotalLimit, .atLeast(1), into: \.saveTotalLimit, default: "all",
      "States in between kept at most, the newest."),
    Field(
      "save_dtype", \.saveDtype, into: \.saveDtype,
      "What the finished stage's weights are stored as; those of states in between are fp32."),
    Field(
      "max_shard_mb", \.maxShardMb, .atLeast(1), into: \.maxShardMb, default: "one file",
      "Megabytes of a file of the finished stage's weights at most; larger ones are files with an index."
    ),
    Field(
      "save_predictions", \.savePredictions, into: \.savePredictions,
      "Whether the finished stage's labels of dev and test are kept, with their counts per sentence."
    ),
    Field(
      "load_best_model_at_end", \.loadBestModelAtEnd, into: \.loadBestModelAtEnd,
      "Whether a stage ends with its best weights instead of its last."),
    Field(
      "metric_for_best_model", \.metricForBestModel, default: "the first of the task's metrics",
      "What best means: the mean over metric_languages of one of the task's metrics."),
    Field(
      "metric_languages", \.metricLanguages, kind: "list", default: "the stage's with dev files",
      "Languages the metric is the mean over; one that the stage does not train makes a result no zero-shot."
    ),
    Field(
      "early_stopping_patience", \.earlyStoppingPatience, .atLeast(1),
      into: \.earlyStoppingPatience, default: "never",
      "Evaluations without a better metric after which a stage ends."),
    Field(
      "logging_steps", \.loggingSteps, .atLeast(1), into: \.loggingSteps,
      "Steps between lines of the log."),
  ]
}
