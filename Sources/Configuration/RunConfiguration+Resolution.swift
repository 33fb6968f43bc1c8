extension RunConfiguration {
  /// The step from what a file says to what the run will do: defaults, stages, impossible sums.
  ///
  /// - Parameter folder: What relative paths are joined to: empty, or with its final `/`.
  init(_ root: Placed<RunFile>, folder: String, outputDirectory: String?) throws(ConfigError) {
    let file = root.value
    let start = try Start(root, folder: folder)
    let languages = try Language.all(root, folder: folder)
    guard
      let output = outputDirectory ?? file.outputDir.map({ Self.joined(folder, $0.value) })
    else {
      throw ConfigError(root.place, "output_dir is missing: the directory for what the run makes")
    }
    self.init(start: start, languages: languages, outputDirectory: output, stages: [])
    for field in RunFile.ownFields { field.apply(file, &self) }
    tokenizer = file.tokenizer.map { Self.joined(folder, $0.value) }
    columns = try Columns(file.columns)
    try readBF16(file)
    if fullDeterminism, gradientDtype == .bf16, let place = file.gradientDtype?.place {
      throw ConfigError(
        place,
        "gradient_dtype: bf16 rounds what each rank sends, which full_determinism forbids; use fp32"
      )
    }
    try checkTask(file)
    try checkWindows(file)
    stages = try StageBuilder(file: root, run: self, folder: folder).stages()
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

  /// Keys that only sentences with labels have are slips beside text.
  private func checkTask(_ file: RunFile) throws(ConfigError) {
    guard task == .maskedLM else { return }
    for field in RunFile.ownFields
    where ["labels", "head", "columns", "window_stride"].contains(field.key.name) {
      if let place = field.place(file) {
        throw ConfigError(
          place, "\(field.key.name): is used only with task: token-classification")
      }
    }
    for member in file.languages?.value.members ?? [] {
      if let sentences = member.value.maxSentences {
        throw ConfigError(
          sentences.place,
          "languages.\(member.name.value).max_sentences: is used only with task: token-classification"
        )
      }
    }
  }

  /// - Throws: ``ConfigError`` if sequences of a length do not fit in a model that starts from a shape.
  func checkLength(_ length: Placed<Int>, key: String) throws(ConfigError) {
    guard case .shape(let shape) = start, length.value > shape.longestSequence else { return }
    throw ConfigError(
      length.place,
      "\(key): \(length.value) is more than the model's \(shape.longestSequence) tokens "
        + "(max_position_embeddings \(shape.maxPositionEmbeddings))")
  }

  private func checkWindows(_ file: RunFile) throws(ConfigError) {
    var longest = maxLength
    if let length = file.maxLength { try checkLength(length, key: "max_length") }
    if case .shape(let shape) = start { longest = maxLength ?? shape.longestSequence }
    if let stride = file.windowStride, let longest, stride.value >= longest - 2 {
      throw ConfigError(
        stride.place,
        "window_stride: \(stride.value) leaves no room in windows of \(longest) tokens, 2 of them "
          + "special; use \(max(0, longest - 3)) or less")
    }
  }
}

extension RunConfiguration.Start {
  fileprivate init(_ root: Placed<RunFile>, folder: String) throws(ConfigError) {
    let file = root.value
    switch (file.start, file.model) {
    case (let checkpoint?, nil):
      self = .checkpoint(directory: RunConfiguration.joined(folder, checkpoint.value))
    case (nil, let model?):
      guard file.tokenizer != nil else {
        throw ConfigError(
          model.place, "tokenizer is missing: a model of random weights needs one beside it")
      }
      self = .shape(try ModelShape(model))
    case (_?, let model?):
      throw ConfigError(model.place, "model: init is given too; keep one of them")
    case (nil, nil):
      throw ConfigError(
        root.place, "init or model is missing: a checkpoint directory or a shape to start from")
    }
  }
}

extension ModelShape {
  fileprivate init(_ model: Placed<ModelFile>) throws(ConfigError) {
    let file = model.value
    func required<T>(_ value: Placed<T>?, _ name: String) throws(ConfigError) -> Placed<T> {
      guard let value else { throw ConfigError(model.place, "model.\(name) is missing") }
      return value
    }
    self.init()
    for field in ModelFile.fields { field.apply(file, &self) }
    family = try required(file.family, "family").value
    hiddenSize = try required(file.hiddenSize, "hidden_size").value
    numHiddenLayers = try required(file.numHiddenLayers, "num_hidden_layers").value
    let heads = try required(file.numAttentionHeads, "num_attention_heads")
    guard hiddenSize.isMultiple(of: heads.value) else {
      throw ConfigError(
        heads.place,
        "model.num_attention_heads: \(heads.value) does not divide hidden_size \(hiddenSize)")
    }
    numAttentionHeads = heads.value
    intermediateSize = file.intermediateSize?.value ?? 4 * hiddenSize
    maxPositionEmbeddings =
      file.maxPositionEmbeddings?.value ?? 512 + family.reservedPositions
    typeVocabSize = file.typeVocabSize?.value ?? (family == .bert ? 2 : 1)
    layerNormEps = file.layerNormEps?.value ?? (family == .bert ? 1e-12 : 1e-5)
    guard longestSequence >= 3 else {
      throw ConfigError(
        file.maxPositionEmbeddings?.place ?? model.place,
        "model.max_position_embeddings: \(maxPositionEmbeddings) leaves no room for a word; use "
          + "\(3 + family.reservedPositions) or more")
    }
  }
}

extension RunConfiguration.Columns {
  fileprivate init(_ file: Placed<ColumnsFile>?) throws(ConfigError) {
    self.init()
    guard let file else { return }
    for field in ColumnsFile.fields { field.apply(file.value, &self) }
    guard token != tag else {
      throw ConfigError(file.place, "columns: token and tag are both column \(token)")
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
    guard !train.isEmpty else {
      throw ConfigError(
        member.value.train?.place ?? member.name.place,
        "languages.\(code).train is missing: at least one file")
    }
    maxSentences = member.value.maxSentences?.value
  }
}

/// The path without `.` and empty components, for telling whether two are the same.
private func tidied(_ path: String) -> String {
  (path.hasPrefix("/") ? "/" : "")
    + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
}
