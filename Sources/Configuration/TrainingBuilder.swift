import Model

/// Makes how one stage trains out of its own keys and the run's.
struct TrainingBuilder {
  let own: TrainingFile
  /// The run's keys, for what `own` does not say; nil if `own` is the run's.
  let outer: TrainingFile?
  /// Of the mapping: where something missing is missing.
  let place: Place
  let run: RunConfiguration
  let task: TaskSchema
  private let file: TrainingFile
  /// ` in stage 'x'`, or nothing.
  private let suffix: String

  init(
    own: TrainingFile, outer: TrainingFile?, place: Place, stage: String?, run: RunConfiguration,
    task: TaskSchema
  ) {
    self.task = task
    self.own = own
    self.outer = outer
    self.place = place
    self.run = run
    suffix = stage.map { " (in stage '\($0)')" } ?? ""
    var file = own
    if let outer {
      for field in TrainingFile.fields { field.inherit(&file, outer) }
      if own.perStepSentences != nil { file.perStepTokens = nil }
      if own.perStepTokens != nil { file.perStepSentences = nil }
      if own.numTrainEpochs != nil { file.maxSteps = nil }
      if own.maxSteps != nil { file.numTrainEpochs = nil }
      if own.warmupSteps != nil { file.warmupRatio = nil }
      if own.warmupRatio != nil { file.warmupSteps = nil }
    }
    self.file = file
  }

  /// - Parameters:
  ///   - languages: The codes the stage trains on.
  ///   - ownMetricLanguages: Those that the stage's own `metric_languages` names.
  ///   - runMetricLanguages: Those that the run's names; of them the stage's count, or else all the
  ///     stage's.
  func training(
    languages: [String], ownMetricLanguages: [String]?, runMetricLanguages: [String]?
  ) throws(ConfigError) -> TrainingConfiguration {
    var training = TrainingConfiguration()
    for field in TrainingFile.fields { field.apply(file, &training) }
    try resolveMetric(&training)
    try resolveSteps(&training)
    try resolveFreeze(&training)
    try resolveSchedules(&training)
    if training.evalStrategy != .no, task.metrics.isEmpty {
      throw ConfigError(
        file.evalStrategy?.place ?? place, "eval_strategy: task \(task.name) has no metric" + suffix
      )
    }
    if training.evalStrategy != .no {
      let withDev = run.languages.filter { languages.contains($0.code) && !$0.dev.isEmpty }
        .map(\.code)
      let inherited = runMetricLanguages?.filter(withDev.contains) ?? []
      training.metricLanguages = ownMetricLanguages ?? (inherited.isEmpty ? withDev : inherited)
      guard !training.metricLanguages.isEmpty else {
        throw ConfigError(
          file.evalStrategy?.place ?? place,
          "eval_strategy: none of the languages \(languages.joined(separator: ", ")) has dev files"
            + suffix)
      }
    } else {
      if let best = file.loadBestModelAtEnd, best.value {
        throw ConfigError(
          best.place, "load_best_model_at_end: needs eval_strategy: steps or epoch" + suffix)
      }
      if let patience = file.earlyStoppingPatience {
        throw ConfigError(
          patience.place, "early_stopping_patience: needs eval_strategy: steps or epoch" + suffix)
      }
    }
    return training
  }

  /// The metric is one of the task's.
  private func resolveMetric(_ training: inout TrainingConfiguration) throws(ConfigError) {
    training.metricForBestModel = task.metrics.first?.name ?? ""
    guard let named = file.metricForBestModel else { return }
    guard task.metrics.contains(where: { $0.name == named.value }) else {
      let known = task.metrics.map(\.name).joined(separator: ", ")
      throw ConfigError(
        named.place,
        "metric_for_best_model: task \(task.name) has \(known.isEmpty ? "no metric" : known)"
          + suffix)
    }
    training.metricForBestModel = named.value
  }

  private func resolveSteps(_ training: inout TrainingConfiguration) throws(ConfigError) {
    if let tokens = file.perStepTokens?.value {
      training.stepSize = .tokens(count: tokens)
    } else if let sentences = file.perStepSentences?.value {
      training.stepSize = .sentences(count: sentences)
    } else {
      throw ConfigError(
        place,
        "per_step_sentences or per_step_tokens is missing: the batch of one step over all ranks"
          + suffix)
    }
    if let steps = file.maxSteps?.value {
      training.duration = .steps(count: steps)
    } else if let epochs = file.numTrainEpochs?.value {
      training.duration = .epochs(count: epochs)
    }
    if let ratio = file.warmupRatio?.value {
      training.warmup = .ratio(share: ratio)
    } else if let warmup = file.warmupSteps {
      training.warmup = .steps(count: warmup.value)
      if let steps = file.maxSteps?.value, warmup.value > steps {
        throw ConfigError(
          warmup.place, "warmup_steps: \(warmup.value) is more than max_steps \(steps)" + suffix)
      }
    }
    let warms = file.warmupSteps.map { $0.value > 0 } ?? file.warmupRatio.map { $0.value > 0 }
    if training.lrSchedulerType == .constant, warms == true {
      throw ConfigError(
        file.lrSchedulerType?.place ?? place,
        "lr_scheduler_type: constant has no warm-up; use constant_with_warmup, or remove "
          + "warmup_steps and warmup_ratio" + suffix)
    }
  }

  private func resolveFreeze(_ training: inout TrainingConfiguration) throws(ConfigError) {
    guard let freeze = file.freeze else { return }
    for field in FreezeFile.fields { field.apply(freeze.value, &training.freeze) }
    guard case .shape(let shape)? = run.start, let layers = freeze.value.layers else { return }
    guard layers.value <= shape.layerCount else {
      throw ConfigError(
        layers.place,
        "freeze.layers: \(layers.value) is more than the model's \(shape.layerCount)" + suffix)
    }
  }

  /// Steps of evaluation and saving are there exactly when their strategy is `steps`.
  private func resolveSchedules(_ training: inout TrainingConfiguration) throws(ConfigError) {
    if training.evalStrategy == .steps {
      guard training.evalSteps != nil else {
        throw ConfigError(
          file.evalStrategy?.place ?? place, "eval_strategy: steps needs eval_steps" + suffix)
      }
    } else {
      training.evalSteps = nil
      if outer != nil, let steps = own.evalSteps {
        throw ConfigError(
          steps.place, "eval_steps: is used only with eval_strategy: steps" + suffix)
      }
    }
    if training.saveStrategy == .steps {
      guard training.saveSteps != nil else {
        throw ConfigError(
          file.saveStrategy?.place ?? place, "save_strategy: steps needs save_steps" + suffix)
      }
    } else {
      training.saveSteps = nil
      if outer != nil, let steps = own.saveSteps {
        throw ConfigError(
          steps.place, "save_steps: is used only with save_strategy: steps" + suffix)
      }
    }
  }
}
