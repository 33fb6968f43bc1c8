/// `sweep:` of a stage: keys and the values to try, all with all. Each combination is a stage of its own, a try, and the
/// stage becomes the one of them that is best on dev.
struct Sweep: ConfigValue {
  struct Axis {
    var key: String
    var place: Place
    var values: [YAMLNode]
  }

  var axes: [Axis]

  static var kind: String { "mapping of lists" }

  static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Sweep {
    guard case .mapping(let entries) = node.content, !entries.isEmpty else {
      if case .mapping = node.content { throw ConfigError(node.place, "\(key): is empty") }
      throw mismatch(node, key, "a mapping of keys to lists of values")
    }
    var axes: [Axis] = []
    for entry in entries {
      guard case .sequence(let values) = entry.value.content, !values.isEmpty else {
        if case .sequence = entry.value.content {
          throw ConfigError(entry.value.place, "\(key).\(entry.key): is empty")
        }
        throw mismatch(entry.value, "\(key).\(entry.key)", "a list of values")
      }
      // 1e-3 and 0.001 are one value.
      let texts = values.map { value in
        Double(value.compact).map { "\($0)" } ?? value.compact
      }
      guard Set(texts).count == texts.count else {
        throw ConfigError(entry.value.place, "\(key).\(entry.key): a value is listed twice")
      }
      axes.append(Axis(key: entry.key, place: entry.keyPlace, values: values))
    }
    return Sweep(axes: axes)
  }

  /// One value of each axis.
  typealias Combination = [(axis: Axis, value: YAMLNode)]

  /// All combinations, the last axis changing fastest.
  var combinations: [Combination] {
    axes.reduce([[]]) { found, axis in
      found.flatMap { one in axis.values.map { one + [(axis, $0)] } }
    }
  }

  /// How many combinations there are; no more than a run may have stages is counted.
  var count: Int { axes.reduce(1) { min(StageCells.limit + 1, $0 * $1.values.count) } }

  /// The sweep as a file says it.
  var yaml: String {
    let parts = axes.map { axis in
      "\(axis.key.yaml): [\(axis.values.map(\.compact).joined(separator: ", "))]"
    }
    return "{" + parts.joined(separator: ", ") + "}"
  }

  /// ` (learning_rate 1.0e-4, head crf)`: what a try is called behind its stage.
  static func name(of combination: Combination) -> String {
    let parts = combination.map { axis, value in "\(axis.key) \(value.compact)" }
    return " (" + parts.joined(separator: ", ") + ")"
  }

  /// A stage's keys with the values of a combination.
  static func applied(
    _ combination: Combination, to file: Placed<StageFile>, task: TaskSchema, key: String
  ) throws(ConfigError) -> Placed<StageFile> {
    var file = file
    file.value.sweep = nil
    for (axis, value) in combination {
      let path = "\(key).sweep.\(axis.key)"
      if let field = TrainingFile.fields.first(where: { $0.key.name == axis.key }) {
        try field.read(value, path, &file.value.training)
      } else if task.keys.contains(where: { $0.name == axis.key }) {
        file.value.own[axis.key] = YAMLNode.Entry(
          key: axis.key, keyPlace: axis.place, value: value)
      } else {
        let known = TrainingFile.fields.map(\.key.name) + task.keys.map(\.name)
        throw ConfigError(
          axis.place,
          "\(path): is no key of training and none of task \(task.name); "
            + NearestName.hint(axis.key, in: known))
      }
    }
    return file
  }
}

extension YAMLNode {
  /// The node on one line.
  fileprivate var compact: String {
    switch content {
    case .scalar(let text, .plain): text
    case .scalar(let text, _): text.yaml
    case .sequence(let nodes): "[" + nodes.map(\.compact).joined(separator: ", ") + "]"
    case .mapping(let entries):
      "{" + entries.map { "\($0.key.yaml): \($0.value.compact)" }.joined(separator: ", ") + "}"
    }
  }
}
