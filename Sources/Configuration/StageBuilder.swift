/// Makes the stages of a run out of those that its file says: one for each language where asked, each
/// with the run's training keys where it has none of its own.
struct StageBuilder {
  let file: Placed<RunFile>
  /// The run with everything but its stages.
  let run: RunConfiguration
  let folder: String

  private static let stageLimit = 10_000

  private var codes: [String] { run.languages.map(\.code) }

  func stages() throws(ConfigError) -> [Stage] {
    try checkExclusive(file.value.training, in: "")
    let runMetricLanguages = try languages(
      file.value.training.metricLanguages, key: "metric_languages", needDev: true)
    var stages: [Stage] = []
    if let listed = file.value.stages {
      guard !listed.value.isEmpty else {
        throw ConfigError(listed.place, "stages: at least one is needed; remove the key for one")
      }
      for (index, stage) in listed.value.enumerated() {
        let key = "stages.\(index)"
        try checkExclusive(stage.value.training, in: key)
        for language in try expansions(stage.value, key: key) {
          let made = try self.stage(
            stage, for: language, key: key, runMetricLanguages: runMetricLanguages, after: stages)
          if let other = stages.first(where: { $0.folderName == made.folderName }) {
            throw ConfigError(
              stage.value.name?.place ?? stage.place,
              "\(key).name: '\(made.name)' is the name of an earlier stage ('\(other.name)') or of "
                + "the same folder; names must differ")
          }
          guard stages.count < Self.stageLimit else {
            throw ConfigError(stage.place, "\(key): more than \(Self.stageLimit) stages in all")
          }
          stages.append(made)
        }
      }
    } else {
      let training = try TrainingBuilder(
        own: file.value.training, outer: nil, place: file.place, stage: nil, run: run
      ).training(
        languages: codes, ownMetricLanguages: runMetricLanguages, runMetricLanguages: nil)
      stages = [
        Stage(
          name: "train", template: "train", start: .run, languages: codes, resetOptimizer: true,
          maxLength: nil, training: training)
      ]
    }
    try checkUsed(stages)
    return stages
  }

  /// The languages to make stages for; one nil for a stage that is made once.
  private func expansions(_ stage: StageFile, key: String) throws(ConfigError) -> [String?] {
    guard stage.each != nil else { return [nil] }
    if let name = stage.name, !name.value.contains("{language}") {
      throw ConfigError(
        name.place,
        "\(key).name: must contain {language}, since each: language makes a stage for each")
    }
    return try languages(stage.languages, key: "\(key).languages", needDev: false) ?? codes
  }

  private func stage(
    _ stage: Placed<StageFile>, for language: String?, key: String, runMetricLanguages: [String]?,
    after earlier: [Stage]
  ) throws(ConfigError) -> Stage {
    guard let template = stage.value.name else {
      throw ConfigError(stage.place, "\(key).name is missing")
    }
    let name = try filled(template, language, key: "\(key).name")
    try checkName(name, template.place, key: key)
    let start = try stage.value.start.map { given throws(ConfigError) in
      try self.start(
        Placed(value: try filled(given, language, key: "\(key).init"), place: given.place),
        of: name, key: key, after: earlier)
    }
    let reset = stage.value.resetOptimizer
    if let reset, !reset.value {
      guard case .stage = start else {
        throw ConfigError(
          reset.place,
          "\(key).reset_optimizer: false needs an init that names an earlier stage to go on from")
      }
    }
    if let length = stage.value.maxLength {
      guard run.task == .maskedLM else {
        throw ConfigError(
          length.place, "\(key).max_length: is used only with task: masked-lm; give it to the run")
      }
      try run.checkLength(length, key: "\(key).max_length")
    }
    let listed = try languages(stage.value.languages, key: "\(key).languages", needDev: false)
    let trained = language.map { [$0] } ?? listed ?? codes
    let training = try TrainingBuilder(
      own: stage.value.training, outer: file.value.training, place: stage.place, stage: name,
      run: run
    ).training(
      languages: trained,
      ownMetricLanguages: languages(
        stage.value.training.metricLanguages, key: "\(key).metric_languages", needDev: true),
      runMetricLanguages: runMetricLanguages)
    return Stage(
      name: name, template: template.value, start: start ?? .run, languages: trained,
      resetOptimizer: reset?.value ?? true, maxLength: stage.value.maxLength?.value,
      training: training)
  }

  /// `text` with the code for `{language}`; other braces are errors.
  private func filled(_ text: Placed<String>, _ language: String?, key: String)
    throws(ConfigError) -> String
  {
    var result = text.value
    if let language {
      result = result.split(separator: "{language}", omittingEmptySubsequences: false)
        .joined(separator: language)
    }
    guard !result.contains(where: { "{}".contains($0) }) else {
      throw ConfigError(
        text.place,
        result.contains("{language}")
          ? "\(key): {language} stands for nothing here; add each: language"
          : "\(key): braces are for {language} alone")
    }
    return result
  }

  private func checkName(_ name: String, _ place: Place, key: String) throws(ConfigError) {
    let isFolder =
      !name.contains("/") && !name.hasPrefix(".") && name == name.onOneLine
      && (1...100).contains(name.utf8.count) && name.contains { $0 != " " }
    guard isFolder else {
      throw ConfigError(
        place,
        "\(key).name: \(name.quotedForMessage) cannot be a folder's name; use 1 to 100 bytes, no /, "
          + "no control character, no . at the start")
    }
  }

  private func start(_ given: Placed<String>, of name: String, key: String, after earlier: [Stage])
    throws(ConfigError) -> Stage.Start
  {
    if let stage = earlier.first(where: { $0.name == given.value }) {
      guard stage.training.saveStrategy != .no else {
        throw ConfigError(
          given.place,
          "\(key).init: stage '\(stage.name)' has save_strategy: no and leaves no weights")
      }
      return .stage(name: given.value)
    }
    if given.value.contains("/") {
      return .checkpoint(directory: RunConfiguration.joined(folder, given.value))
    }
    let hint =
      given.value == name
      ? "a stage cannot start from itself"
      : earlier.isEmpty
        ? "there is no earlier stage"
        : NearestName.hint(given.value, in: earlier.map(\.name))
    throw ConfigError(
      given.place,
      "\(key).init: \(given.value.quotedForMessage) is no earlier stage; \(hint) "
        + "(a checkpoint directory is written with a /, such as ./\(given.value))")
  }

  /// The codes listed, in the run's order, each known and once; nil if there is no list.
  private func languages(_ listed: Placed<[Placed<String>]>?, key: String, needDev: Bool)
    throws(ConfigError) -> [String]?
  {
    guard let listed else { return nil }
    guard !listed.value.isEmpty else {
      throw ConfigError(listed.place, "\(key): at least one is needed; remove the key for all")
    }
    var chosen: Set<String> = []
    for code in listed.value {
      guard let language = run.languages.first(where: { $0.code == code.value }) else {
        throw ConfigError(
          code.place,
          "\(key): unknown language \(code.value.quotedForMessage); "
            + NearestName.hint(code.value, in: codes))
      }
      guard chosen.insert(code.value).inserted else {
        throw ConfigError(code.place, "\(key): '\(code.value)' is listed twice")
      }
      guard !needDev || !language.dev.isEmpty else {
        throw ConfigError(code.place, "\(key): '\(code.value)' has no dev files")
      }
    }
    return codes.filter(chosen.contains)
  }

  private func checkExclusive(_ training: TrainingFile, in key: String) throws(ConfigError) {
    let places = [
      (training.perStepSentences?.place, training.perStepTokens?.place),
      (training.numTrainEpochs?.place, training.maxSteps?.place),
      (training.warmupSteps?.place, training.warmupRatio?.place),
    ]
    for (names, places) in zip(TrainingFile.exclusivePairs, places) {
      guard places.0 != nil, let place = places.1 else { continue }
      let prefix = key.isEmpty ? "" : "\(key)."
      throw ConfigError(place, "\(prefix)\(names.1): \(names.0) is given too; keep one of them")
    }
  }

  /// A number of steps that the run gives and no stage uses is a slip.
  private func checkUsed(_ stages: [Stage]) throws(ConfigError) {
    let training = file.value.training
    if let steps = training.evalSteps, !stages.contains(where: { $0.training.evalSteps != nil }) {
      throw ConfigError(steps.place, "eval_steps: is used only with eval_strategy: steps")
    }
    if let steps = training.saveSteps, !stages.contains(where: { $0.training.saveSteps != nil }) {
      throw ConfigError(steps.place, "save_steps: is used only with save_strategy: steps")
    }
  }
}
