/// Makes the stages of a run out of those that its file says: one for each language and seed where asked, each
/// with the run's keys where it has none of its own.
struct StageBuilder {
  let file: Placed<RunFile>
  /// The run with everything but its stages.
  let run: RunConfiguration
  let folder: String

  private var codes: [String] { run.languages.map(\.code) }

  /// The one stage of a file that lists none.
  private var implied: Placed<StageFile> {
    var stage = StageFile()
    stage.name = Placed(value: "train", place: file.place)
    return Placed(value: stage, place: file.place)
  }

  func stages() throws(ConfigError) -> [Stage] {
    try checkExclusive(file.value.training, in: "")
    if let seeds = file.value.seeds, file.value.seed != nil {
      throw ConfigError(seeds.place, "seeds: seed is given too; keep one of them")
    }
    let runMetricLanguages = try languages(
      file.value.training.metricLanguages, key: "metric_languages", needDev: true)
    if let listed = file.value.stages, listed.value.isEmpty {
      throw ConfigError(listed.place, "stages: at least one is needed; remove the key for one")
    }
    let listed = file.value.stages?.value ?? [implied]
    let cells = try StageCells(listed, runSeeds: file.value.seeds, run: run) {
      (codes, key) throws(ConfigError) in
      try languages(codes, key: key, needDev: false)
    }.cells
    let references = StageReferences(cells: cells, folder: folder)
    var stages: [Stage] = []
    for index in cells.indices {
      try checkExclusive(cells[index].file.value.training, in: cells[index].key)
      stages.append(
        try stage(
          index, cells[index], references, runMetricLanguages: runMetricLanguages, after: stages))
    }
    try checkUsed(stages)
    return stages
  }

  private func stage(
    _ index: Int, _ cell: StageCells.Cell, _ references: StageReferences,
    runMetricLanguages: [String]?, after earlier: [Stage]
  ) throws(ConfigError) -> Stage {
    let isListed = file.value.stages != nil
    let (own, key) = (cell.file.value, cell.key)
    let listed = try languages(own.languages, key: "\(key).languages", needDev: false)
    let languages =
      cell.language.map { [$0] } ?? listed ?? defaultLanguages(own, cell.task)
    var stage = Stage(
      name: cell.name, template: cell.template, task: cell.task.name, languages: languages,
      seed: cell.seed ?? run.seed, randomKey: cell.randomKey, options: NoOptions())
    (stage.tries, stage.sweep, stage.tryOf) = (cell.tries, cell.sweep, cell.tryOf)
    if let given = own.start {
      stage.start = try references.start(of: index, given)
      if let source = earlier.first(where: { $0.name == stage.start.stage }),
        source.training.saveStrategy == .no
      {
        throw ConfigError(
          given.place,
          "\(key).init: stage '\(source.name)' has save_strategy: no and leaves no weights")
      }
    }
    if let teachers = own.teachers {
      stage.teachers = try references.teachers(of: index, teachers)
    }
    if let train = own.train {
      (stage.trainStages, stage.trainFiles) = try references.training(
        of: index, train, languages: languages)
    }
    try checkData(stage, cell, after: earlier)
    if let reset = own.resetOptimizer, !reset.value {
      guard case .stage = stage.start else {
        throw ConfigError(
          reset.place,
          "\(key).reset_optimizer: false needs an init that names an earlier stage to go on from")
      }
      stage.resetOptimizer = false
    }
    if let length = own.maxLength {
      try run.checkLength(length, key: "\(key).max_length")
      stage.maxLength = length.value
    }
    if cell.task.trains {
      stage.training = try TrainingBuilder(
        own: isListed ? own.training : file.value.training,
        outer: isListed ? file.value.training : nil, place: cell.file.place,
        stage: isListed ? cell.name : nil, run: run, task: cell.task
      ).training(
        languages: languages,
        ownMetricLanguages: isListed
          ? self.languages(
            own.training.metricLanguages, key: "\(key).metric_languages", needDev: true)
          : runMetricLanguages, runMetricLanguages: isListed ? runMetricLanguages : nil)
    } else {
      try checkTrainsNothing(own.training, cell)
    }
    if let sweep = own.sweep {
      let choosing = stage.choosingLanguages
      if !run.languages.contains(where: { choosing.contains($0.code) && !$0.dev.isEmpty }) {
        throw ConfigError(
          sweep.place, "\(key).sweep: chooses by dev, and none of its languages has dev files")
      }
      if stage.training.saveStrategy == .no {
        throw ConfigError(
          sweep.place, "\(key).sweep: save_strategy: no leaves nothing to choose from")
      }
    }
    stage.options = try options(stage, cell, after: earlier, isListed: isListed)
    return stage
  }

  /// All languages that have what a stage works on.
  private func defaultLanguages(_ own: StageFile, _ task: TaskSchema) -> [String] {
    if own.train != nil { return codes }
    let withData = run.languages.filter { !$0.train.isEmpty }.map(\.code)
    return withData.isEmpty ? codes : withData
  }

  /// A stage needs training data of each of its languages, and only one language where a file stands for it.
  private func checkData(
    _ stage: Stage, _ cell: StageCells.Cell, after earlier: [Stage]
  ) throws(ConfigError) {
    for name in stage.trainStages {
      guard let source = earlier.first(where: { $0.name == name }) else { continue }
      for code in stage.languages
      where !stage.trainStages.contains(where: { other in
        earlier.first { $0.name == other }?.languages.contains(code) ?? false
      }) {
        throw ConfigError(
          cell.file.value.train?.place ?? cell.file.place,
          "\(cell.key).train: stage '\(source.name)' makes no corpus of '\(code)'")
      }
    }
    guard cell.task.trains, stage.trainStages.isEmpty, stage.trainFiles.isEmpty else { return }
    for code in stage.languages where run.language(code).train.isEmpty {
      let member = file.value.languages?.value.members.first { $0.name.value == code }
      throw ConfigError(
        member?.value.train?.place ?? member?.name.place ?? cell.file.place,
        "languages.\(code).train is missing: at least one file, since stage '\(stage.name)' trains on it"
      )
    }
  }

  /// Keys of training are slips where nothing is trained.
  private func checkTrainsNothing(
    _ training: TrainingFile, _ cell: StageCells.Cell
  ) throws(ConfigError) {
    for field in TrainingFile.fields {
      if let place = field.place(training) {
        throw ConfigError(
          place, "\(cell.key).\(field.key.name): task \(cell.task.name) trains nothing")
      }
    }
  }

  /// The values of the task's own keys: the stage's, or else the run's.
  private func options(
    _ stage: Stage, _ cell: StageCells.Cell, after earlier: [Stage], isListed: Bool
  ) throws(ConfigError) -> any TaskOptions {
    var known = run
    known.stages = earlier
    var own = OwnKeys(
      stageKey: isListed ? cell.key : "", stagePlace: cell.file.place,
      suffix: isListed ? " (in stage '\(stage.name)')" : "", stage: stage, run: known)
    for key in cell.task.keys {
      own.values[key.name] = file.value.own[key.name].map {
        .init(node: $0.value, isOfStage: false)
      }
    }
    for entry in cell.file.value.own.values.sorted(by: { $0.keyPlace.line < $1.keyPlace.line }) {
      try run.checkOwn(entry, key: "\(cell.key).\(entry.key)", of: [cell.task])
      own.values[entry.key] = .init(node: entry.value, isOfStage: true)
    }
    return try cell.task.options(own)
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
