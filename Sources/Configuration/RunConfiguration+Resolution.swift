import Checkpoints
import Model
import Tensors

extension RunConfiguration {
  /// The step from what a file says to what the run will do: defaults, stages, impossible sums.
  ///
  /// - Parameter folder: What relative paths are joined to: empty, or with its final `/`.
  init(
    _ root: Placed<RunFile>, folder: String, outputDirectory: String?, tasks: [TaskSchema]
  ) throws(ConfigError) {
    let file = root.value
    let task = try Self.task(file.task, key: "task", among: tasks) ?? tasks[0]
    let needs = try Self.needs(file, task, tasks)
    let start = try Start(root, folder: folder, needs: needs)
    let languages = try Language.all(root, folder: folder)
    guard
      let output = outputDirectory ?? file.outputDir.map({ Self.joined(folder, $0.value) })
    else {
      throw ConfigError(root.place, "output_dir is missing: the directory for what the run makes")
    }
    self.init(task: task.name, start: start, languages: languages, outputDirectory: output)
    self.tasks = tasks
    for field in RunFile.ownFields { field.apply(file, &self) }
    tokenizer = file.tokenizer.map { Self.joined(folder, $0.value) }
    try readBF16(file)
    if fullDeterminism, gradientDtype == .bf16, let place = file.gradientDtype?.place {
      throw ConfigError(
        place,
        "gradient_dtype: bf16 rounds what each rank sends, which full_determinism forbids; use fp32"
      )
    }
    if let length = file.maxLength { try checkLength(length, key: "max_length") }
    stages = try StageBuilder(file: root, run: self, folder: folder).stages()
    try checkUsed(file)
  }

  /// The task that a file names; nil if it names none.
  static func task(
    _ name: Placed<String>?, key: String, among tasks: [TaskSchema]
  ) throws(ConfigError) -> TaskSchema? {
    guard let name else { return nil }
    guard let task = tasks.first(where: { $0.name == name.value }) else {
      throw ConfigError(
        name.place,
        "\(key): unknown value \(name.value.quotedForMessage); "
          + NearestName.hint(name.value, in: tasks.map(\.name)))
    }
    return task
  }

  /// What the tasks of all stages need of the run.
  private static func needs(
    _ file: RunFile, _ task: TaskSchema, _ tasks: [TaskSchema]
  ) throws(ConfigError) -> Set<TaskSchema.Need> {
    guard let stages = file.stages?.value, !stages.isEmpty else { return task.needs }
    var needs: Set<TaskSchema.Need> = []
    for (index, stage) in stages.enumerated() {
      let own = try Self.task(stage.value.task, key: "stages.\(index).task", among: tasks)
      needs.formUnion((own ?? task).needs)
    }
    return needs
  }

  /// A key that no stage of the run reads is a slip.
  private func checkUsed(_ file: RunFile) throws(ConfigError) {
    let used = Set(stages.map(\.task))
    let schemas = tasks.filter { used.contains($0.name) }
    for entry in file.own.values.sorted(by: { $0.keyPlace.line < $1.keyPlace.line }) {
      try checkOwn(entry, key: entry.key, of: schemas)
    }
    for member in file.languages?.value.members ?? [] {
      if let sentences = member.value.maxSentences,
        !schemas.contains(where: { $0.languageKeys.contains("max_sentences") })
      {
        throw ConfigError(
          sentences.place,
          "languages.\(member.name.value).max_sentences: is used only with task: "
            + tasks.filter { $0.languageKeys.contains("max_sentences") }.map(\.name)
            .joined(separator: " or "))
      }
    }
  }

  /// - Throws: ``ConfigError`` that says whose a key is, if it is of none of some tasks.
  func checkOwn(
    _ entry: YAMLNode.Entry, key: String, of schemas: [TaskSchema]
  ) throws(ConfigError) {
    func has(_ schema: TaskSchema) -> Bool { schema.keys.contains { $0.name == entry.key } }
    if schemas.contains(where: has) { return }
    throw ConfigError(
      entry.value.place,
      "\(key): is used only with task: "
        + tasks.filter(has).map(\.name).joined(separator: " or "))
  }

  /// `path` in `folder`, which is empty or ends with `/`; an absolute path stays.
  static func joined(_ folder: String, _ path: String) -> String {
    path.hasPrefix("/") ? path : folder + path
  }

  /// `bf16: true` says what `precision: bf16` says.
  private mutating func readBF16(_ file: RunFile) throws(ConfigError) {
    guard let bf16 = file.bf16 else { return }
    let named: Precision = bf16.value ? .bf16 : .fp32
    if let precision = file.precision, precision.value != named {
      throw ConfigError(
        bf16.place,
        "bf16: \(bf16.value) and precision: \(precision.value.rawValue) exclude each other; give one"
      )
    }
    precision = named
  }

  /// - Throws: ``ConfigError`` if sequences of a length do not fit in a model that starts from a shape.
  func checkLength(_ length: Placed<Int>, key: String) throws(ConfigError) {
    guard case .shape(let shape)? = start, length.value > shape.longestSequence else { return }
    throw ConfigError(
      length.place,
      "\(key): \(length.value) is more than the model's \(shape.longestSequence) tokens "
        + "(max_position_embeddings \(shape.positionCount))")
  }
}

extension RunConfiguration.Start {
  /// Nil where the file has none and no stage needs one.
  fileprivate init?(
    _ root: Placed<RunFile>, folder: String, needs: Set<TaskSchema.Need>
  ) throws(ConfigError) {
    let file = root.value
    if !needs.contains(.tokenizer), let tokenizer = file.tokenizer {
      throw ConfigError(tokenizer.place, "tokenizer: no stage of this run reads one")
    }
    switch (file.start, file.model) {
    case (let checkpoint?, nil):
      self = .checkpoint(directory: RunConfiguration.joined(folder, checkpoint.value))
    case (nil, let model?):
      guard needs.contains(.encoder) else {
        throw ConfigError(model.place, "model: no stage of this run has an encoder")
      }
      guard file.tokenizer != nil || !needs.contains(.tokenizer) else {
        throw ConfigError(
          model.place, "tokenizer is missing: a model of random weights needs one beside it")
      }
      self = .shape(try EncoderConfiguration(model))
    case (_?, let model?):
      throw ConfigError(model.place, "model: init is given too; keep one of them")
    case (nil, nil):
      if !needs.contains(.encoder) { return nil }
      throw ConfigError(
        root.place, "init or model is missing: a checkpoint directory or a shape to start from")
    }
  }
}

extension EncoderConfiguration {
  /// A shape whose vocabulary is not known yet.
  fileprivate init(_ model: Placed<ModelFile>) throws(ConfigError) {
    let file = model.value
    func required<T>(_ value: Placed<T>?, _ name: String) throws(ConfigError) -> Placed<T> {
      guard let value else { throw ConfigError(model.place, "model.\(name) is missing") }
      return value
    }
    self = .defaults
    for field in ModelFile.fields { field.apply(file, &self) }
    family = try required(file.family, "family").value
    // As transformers has it; the tokenizer has the last word.
    paddingID = family == .bert ? 0 : 1
    hiddenSize = try required(file.hiddenSize, "hidden_size").value
    layerCount = try required(file.numHiddenLayers, "num_hidden_layers").value
    let heads = try required(file.numAttentionHeads, "num_attention_heads")
    guard hiddenSize.isMultiple(of: heads.value) else {
      throw ConfigError(
        heads.place,
        "model.num_attention_heads: \(heads.value) does not divide hidden_size \(hiddenSize)")
    }
    headCount = heads.value
    innerSize = file.intermediateSize?.value ?? 4 * hiddenSize
    positionCount = file.maxPositionEmbeddings?.value ?? 512 + positionOffset
    tokenTypeCount = file.typeVocabSize?.value ?? (family == .bert ? 2 : 1)
    layerNormEpsilon = file.layerNormEps?.value ?? (family == .bert ? 1e-12 : 1e-5)
    guard longestSequence >= 3 else {
      throw ConfigError(
        file.maxPositionEmbeddings?.place ?? model.place,
        "model.max_position_embeddings: \(positionCount) leaves no room for a word; use "
          + "\(3 + positionOffset) or more")
    }
  }
}

extension RunConfiguration.Language {
  fileprivate static func all(_ root: Placed<RunFile>, folder: String) throws(ConfigError) -> [Self]
  {
    guard let languages = root.value.languages else {
      throw ConfigError(root.place, "languages is missing: files of each language, by its code")
    }
    guard !languages.value.members.isEmpty else {
      throw ConfigError(languages.place, "languages: at least one is needed")
    }
    var users: [String: String] = [:]
    var result: [Self] = []
    for member in languages.value.members {
      result.append(try Self(member, folder: folder, users: &users))
    }
    return result
  }

  /// - Parameter users: Which key each file is listed under so far.
  private init(
    _ member: Named<LanguageFile>.Member, folder: String, users: inout [String: String]
  ) throws(ConfigError) {
    code = member.name.value
    let isCode = code.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    guard isCode, (1...32).contains(code.utf8.count) else {
      throw ConfigError(
        member.name.place,
        "\(code.quotedForMessage) is no language code: 1 to 32 letters, digits, - and _")
    }
    func files(_ listed: Placed<[Placed<String>]>?, _ split: String) throws(ConfigError) -> [String]
    {
      var paths: [String] = []
      for file in listed?.value ?? [] {
        let key = "languages.\(member.name.value).\(split)"
        guard !file.value.isEmpty else {
          throw ConfigError(file.place, "\(key): an empty file name")
        }
        let path = RunConfiguration.joined(folder, file.value)
        if let user = users.updateValue(key, forKey: tidied(path)) {
          throw ConfigError(
            file.place, "\(key): \(file.value.quotedForMessage) is already listed in \(user)")
        }
        paths.append(path)
      }
      return paths
    }
    train = try files(member.value.train, "train")
    dev = try files(member.value.dev, "dev")
    test = try files(member.value.test, "test")
    guard !(train + dev + test).isEmpty else {
      throw ConfigError(
        member.value.train?.place ?? member.name.place,
        "languages.\(code): has no files; give train, dev or test")
    }
    maxSentences = member.value.maxSentences?.value
  }
}

/// The path without `.` and empty components, for telling whether two are the same.
private func tidied(_ path: String) -> String {
  (path.hasPrefix("/") ? "/" : "")
    + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
}
