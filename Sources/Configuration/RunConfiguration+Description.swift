import Foundation

extension RunConfiguration: CustomStringConvertible {
  /// The run as a configuration file that says everything: read from the same folder as paths here are
  /// relative to, it gives an equal value.
  public var description: String {
    var lines: [String] = []
    func add(_ indent: Int, _ name: String, _ value: String?) {
      guard let value else { return }
      lines.append(String(repeating: " ", count: indent) + "\(name): \(value)")
    }
    for field in RunFile.ownFields
    where task == .tokenClassification || !["labels", "head"].contains(field.key.name) {
      add(0, field.key.name, field.show(self))
    }
    add(0, "output_dir", outputDirectory.yaml)
    switch start {
    case .checkpoint(let directory): add(0, "init", directory.yaml)
    case .shape(let shape): add(0, "model", shape.yaml)
    }
    add(0, "tokenizer", tokenizer?.yaml)
    if task == .tokenClassification {
      add(0, "columns", "{token: \(columns.token), tag: \(columns.tag)}")
    }
    lines.append("languages:")
    for language in languages {
      lines.append("  \(language.code.yaml):")
      add(4, "train", language.train.yaml)
      add(4, "dev", language.dev.yaml)
      add(4, "test", language.test.yaml)
      add(4, "max_sentences", language.maxSentences?.yaml)
    }
    lines.append("stages:")
    for stage in stages {
      lines.append("  - name: \(stage.template.yaml)")
      add(4, "each", stage.eachLanguage.map { _ in "language" })
      switch stage.start {
      case .run: break
      case .stage(let name): add(4, "init", name.yaml)
      case .checkpoint(let directory): add(4, "init", directory.yaml)
      }
      add(4, "languages", stage.languages.yaml)
      add(4, "reset_optimizer", stage.resetOptimizer.yaml)
      add(4, "max_length", stage.maxLength?.yaml)
      for (name, value) in stage.training.settings(of: task) { add(4, name, value) }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// The first lines of the two descriptions that are not the same, nothing for a line that one lacks; nil
  /// if all are.
  package func firstDifference(from other: RunConfiguration) -> (here: String, there: String)? {
    let lines = [self, other].map { $0.description.split(separator: "\n") }
    let equal = zip(lines[0], lines[1]).prefix { $0 == $1 }.count
    let differing = lines.map { equal < $0.count ? String($0[equal].drop { $0 == " " }) : "" }
    return differing == ["", ""] ? nil : (differing[0], differing[1])
  }

  /// The run as JSON: keys in Hugging Face's spelling, sorted, two spaces of indent. Equal runs give
  /// equal bytes.
  public func json() -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    guard let data = try? encoder.encode(self) else {
      preconditionFailure("a run configuration holds finite numbers and text alone")
    }
    return String(decoding: data, as: UTF8.self)
  }

  /// The run that ``json()`` wrote.
  ///
  /// - Throws: ``ConfigError`` naming `path` if the text is not such JSON.
  public init(json text: String, path: String) throws(ConfigError) {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do {
      self = try decoder.decode(RunConfiguration.self, from: Data(text.utf8))
    } catch {
      throw ConfigError(.content, path, "not the saved configuration of a run")
    }
  }
}

extension ModelShape {
  fileprivate var yaml: String {
    var members = [
      "family: \(family.yaml)", "hidden_size: \(hiddenSize)",
      "num_hidden_layers: \(numHiddenLayers)", "num_attention_heads: \(numAttentionHeads)",
      "intermediate_size: \(intermediateSize)",
      "max_position_embeddings: \(maxPositionEmbeddings)", "type_vocab_size: \(typeVocabSize)",
      "layer_norm_eps: \(layerNormEps.yaml)",
    ]
    for field in ModelFile.fields {
      if let value = field.show(self) { members.append("\(field.key.name): \(value)") }
    }
    return "{" + members.joined(separator: ", ") + "}"
  }
}

extension TrainingConfiguration {
  /// Every key of a task that has a value, in the reference's order.
  fileprivate func settings(of task: RunConfiguration.Task) -> [(name: String, value: String)] {
    let others = TrainingFile.keysOfTask.filter { $0.key != task }.flatMap(\.value)
    return TrainingFile.fields.compactMap { field in
      let name = field.key.name
      if others.contains(name) { return nil }
      return (value(of: name) ?? field.show(self)).map { (name, $0) }
    }
  }

  /// The value of a key whose resolved form is not a plain value.
  private func value(of key: String) -> String? {
    switch (key, stepSize, duration, warmup) {
    case ("per_step_sentences", .sentences(let count), _, _): count.yaml
    case ("per_step_tokens", .tokens(let count), _, _): count.yaml
    case ("num_train_epochs", _, .epochs(let count), _): count.yaml
    case ("max_steps", _, .steps(let count), _): count.yaml
    case ("warmup_steps", _, _, .steps(let count)): count.yaml
    case ("warmup_ratio", _, _, .ratio(let share)): share.yaml
    case ("freeze", _, _, _): "{embeddings: \(freeze.embeddings), layers: \(freeze.layers)}"
    case ("metric_languages", _, _, _): metricLanguages.isEmpty ? nil : metricLanguages.yaml
    default: nil
    }
  }
}

extension RunConfiguration {
  /// Every key of a configuration file: its kind, default and meaning, by the mapping it stands in.
  public static let keys: [(mapping: String, keys: [ConfigKey])] = [
    ("the run", RunFile.ownFields.map(\.key)),
    ("the run or any stage", TrainingFile.fields.map(\.key)),
    ("model", ModelFile.fields.map(\.key)),
    ("languages.CODE", LanguageFile.fields.map(\.key)),
    ("columns", ColumnsFile.fields.map(\.key)),
    ("freeze", FreezeFile.fields.map(\.key)),
    ("stages, each", StageFile.ownFields.map(\.key)),
  ]

  /// `keys` as text, at most 100 columns: what `isogloss train --help-config` prints.
  public static var reference: String {
    var lines: [String] = []
    for (mapping, keys) in keys {
      if !lines.isEmpty { lines.append("") }
      lines.append("Keys of \(mapping):")
      for key in keys {
        let fallback = key.defaultText
        let otherwise = fallback.hasPrefix("required") ? fallback : "default \(fallback)"
        let meaning = "\(key.help) [\(key.kind); \(otherwise)]"
        lines += TextLayout.row(key.name, meaning, indent: 2, column: 32)
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
