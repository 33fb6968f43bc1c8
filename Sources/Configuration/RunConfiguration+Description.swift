import Foundation
import Model

extension RunConfiguration: CustomStringConvertible {
  /// The run as a configuration file that says everything: read from the same folder as paths here are
  /// relative to, it gives an equal value.
  public var description: String {
    var lines: [String] = []
    func add(_ indent: Int, _ name: String, _ value: String?) {
      guard let value else { return }
      lines.append(String(repeating: " ", count: indent) + "\(name): \(value)")
    }
    add(0, "task", task.yaml)
    for field in RunFile.ownFields { add(0, field.key.name, field.show(self)) }
    add(0, "output_dir", outputDirectory.yaml)
    switch start {
    case .checkpoint(let directory)?: add(0, "init", directory.yaml)
    case .shape(let shape)?: add(0, "model", shape.yaml)
    case nil: break
    }
    add(0, "tokenizer", tokenizer?.yaml)
    lines.append("languages:")
    for language in languages {
      lines.append("  \(language.code.yaml):")
      if !language.train.isEmpty { add(4, "train", language.train.yaml) }
      add(4, "dev", language.dev.yaml)
      add(4, "test", language.test.yaml)
      add(4, "max_sentences", language.maxSentences?.yaml)
    }
    lines.append("stages:")
    for stage in stages where stage.tryOf == nil {
      lines.append("  - name: \(stage.template.yaml)")
      add(4, "task", stage.task.yaml)
      let each = (stage.eachLanguage == nil ? [] : ["language"]) + (stage.isOfSeed ? ["seed"] : [])
      if !each.isEmpty { add(4, "each", each.count == 1 ? each[0] : each.yaml) }
      if stage.isOfSeed { add(4, "seeds", [stage.seed].yaml) }
      add(4, "sweep", stage.sweep)
      add(4, "init", stage.start.yaml)
      if !stage.teachers.isEmpty { add(4, "teachers", stage.teachers.compactMap(\.text).yaml) }
      let train = stage.trainStages.map { "stage:" + $0 } + stage.trainFiles
      if !train.isEmpty { add(4, "train", train.yaml) }
      add(4, "languages", stage.languages.yaml)
      let schema = schema(of: stage)
      if schema.trains { add(4, "reset_optimizer", stage.resetOptimizer.yaml) }
      add(4, "max_length", stage.maxLength?.yaml)
      if schema.trains {
        for (name, value) in stage.training.settings { add(4, name, value) }
      }
      for (name, value) in schema.lines(stage.options) { add(4, name, value) }
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
}

extension Stage.Start {
  /// As a file names it; nil for what the run starts from.
  fileprivate var text: String? {
    switch self {
    case .run: nil
    case .stage(let name): name
    case .checkpoint(let directory): directory
    }
  }

  fileprivate var yaml: String? { text?.yaml }
}

extension EncoderConfiguration {
  fileprivate var yaml: String {
    var members = [
      "family: \(family.yaml)", "hidden_size: \(hiddenSize)",
      "num_hidden_layers: \(layerCount)", "num_attention_heads: \(headCount)",
      "intermediate_size: \(innerSize)", "max_position_embeddings: \(positionCount)",
      "type_vocab_size: \(tokenTypeCount)", "layer_norm_eps: \(layerNormEpsilon.yaml)",
    ]
    for field in ModelFile.fields {
      if let value = field.show(self) { members.append("\(field.key.name): \(value)") }
    }
    return "{" + members.joined(separator: ", ") + "}"
  }
}

extension TrainingConfiguration {
  /// Every key that has a value, in the reference's order.
  fileprivate var settings: [(name: String, value: String)] {
    TrainingFile.fields.compactMap { field in
      let name = field.key.name
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
    case ("metric_for_best_model", _, _, _):
      metricForBestModel.isEmpty ? nil : metricForBestModel.yaml
    case ("metric_languages", _, _, _): metricLanguages.isEmpty ? nil : metricLanguages.yaml
    default: nil
    }
  }
}

extension RunConfiguration {
  /// Every key of a configuration file: its kind, default and meaning, by the mapping it stands in.
  public static func keys(of tasks: [TaskSchema]) -> [(mapping: String, keys: [ConfigKey])] {
    [
      ("the run", RunFile.ownFields.map(\.key)),
      ("the run or any stage that trains", TrainingFile.fields.map(\.key)),
      ("model", ModelFile.fields.map(\.key)),
      ("languages.CODE", LanguageFile.fields.map(\.key)),
      ("freeze", FreezeFile.fields.map(\.key)),
      ("stages, each", StageFile.ownFields.map(\.key)),
    ] + tasks.map { ("task \($0.name), in the run or a stage of it", $0.keys) }
  }

  /// The keys as text, at most 100 columns: what `isogloss train --help-config` prints.
  public static func reference(of tasks: [TaskSchema]) -> String {
    var lines = ["Tasks, the first of which is the default:"]
    for task in tasks { lines += TextLayout.row(task.name, task.summary, indent: 2, column: 32) }
    for (mapping, keys) in keys(of: tasks) where !keys.isEmpty {
      lines += ["", "Keys of \(mapping):"]
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
