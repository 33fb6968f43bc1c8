/// What a task says of itself before any data is read: its name, its own keys, its metrics, what its stages need and
/// what they leave for later ones.
public struct TaskSchema: Sendable {
  /// What `task:` calls it: `token-classification`.
  public let name: String
  /// What it does, in one sentence.
  public let summary: String
  /// What a stage of it leaves in its directory.
  public let makes: Set<Artifact>
  /// What stages are chosen and reported by, the default first; none of a task that trains nothing.
  public let metrics: [TaskMetric]
  /// What of the run's keys its stages start from.
  public let needs: Set<Need>
  /// What other stages may give to one of it.
  public let takes: Set<Input>
  /// Which keys of `languages.CODE` it reads in addition to `train`, `dev` and `test`.
  public let languageKeys: Set<String>
  /// Its own keys and other programs' names of them: theirs, ours. Made when asked for: few commands read keys.
  private let ownKeys: @Sendable () -> (keys: [ConfigKey], otherNames: [(String, String)])
  /// Reads the keys of a stage; see ``OwnKeys``.
  let options: @Sendable (OwnKeys) throws(ConfigError) -> any TaskOptions
  /// Options as lines of YAML, by key.
  let lines: @Sendable (any TaskOptions) -> [(name: String, value: String)]

  /// What a run gives to stages that start from an encoder: `init` or `model`, and a tokenizer.
  public enum Need: Sendable { case encoder, tokenizer }

  /// A key other than `init` by which a stage names earlier ones.
  public enum Input: String, Sendable, CaseIterable { case train, teachers }

  /// - Parameters:
  ///   - options: The task's own keys and their values.
  ///   - metrics: Empty for a task that makes data and trains nothing.
  public init<Options: TaskOptions>(
    name: String, summary: String, options: Options.Type, makes: Set<Artifact>,
    metrics: [TaskMetric] = [], needs: Set<Need> = [], takes: Set<Input> = [],
    languageKeys: Set<String> = []
  ) {
    self.name = name
    self.summary = summary
    self.makes = makes
    self.metrics = metrics
    self.needs = needs
    self.takes = takes
    self.languageKeys = languageKeys
    ownKeys = {
      (
        Options.keys.map(\.key),
        Options.keys.flatMap { key in key.otherNames.map { ($0, key.key.name) } }
      )
    }
    self.options = { own throws(ConfigError) in
      var options = Options()
      for key in Options.keys {
        if let value = own.values[key.key.name] {
          try key.read(value.node, own.path(value, key.key.name), &options)
        }
      }
      try options.check(own)
      return options
    }
    lines = { erased in
      guard let options = erased as? Options else {
        preconditionFailure("options of another task than \(name)")
      }
      return Options.keys.compactMap { key in key.show(options).map { (key.key.name, $0) } }
    }
  }

  /// Its own keys, which the run or any stage of the task may have.
  public var keys: [ConfigKey] { ownKeys().keys }

  /// Other programs' names of its keys: theirs, ours.
  var otherNames: [(String, String)] { ownKeys().otherNames }

  /// Whether its stages train, and do not only make data.
  public var trains: Bool { makes.contains(.model) }
}

/// What a stage leaves in its directory for later stages to name.
public struct Artifact: Sendable, Hashable {
  /// With its article: `a model`.
  public let words: String

  public init(_ words: String) { self.words = words }

  /// `STAGE/model`, which `init` and `teachers` name.
  public static let model = Artifact("a model")
  /// `STAGE/corpus`: a tagged file a language, which `train` names.
  public static let corpus = Artifact("a corpus")
}

/// A score by which checkpoints are chosen and runs are compared.
public struct TaskMetric: Sendable, Equatable {
  /// How `metric_for_best_model` spells it: `macro_f1`.
  public var name: String
  /// Which score of a language it is the mean of: `f1`.
  public var score: String
  public var moreIsBetter: Bool
  /// What it is called in the lines of an evaluation: `F1`.
  public var title: String
  public var format: Format
  /// What a table of results shows of each language.
  public var table: Column

  /// How a number is printed.
  public enum Format: Sendable, Equatable {
    /// A share as per cent with two decimals.
    case percent
    case decimals(Int)
  }

  /// A column of a table: `test F1`.
  public struct Column: Sendable, Equatable {
    public var heading: String
    public var part: ScoredPart
    public var score: String
    public var format: Format

    public init(_ heading: String, of part: ScoredPart, score: String, format: Format) {
      self.heading = heading
      self.part = part
      self.score = score
      self.format = format
    }
  }

  public init(
    name: String, score: String, moreIsBetter: Bool, title: String, format: Format, table: Column
  ) {
    self.name = name
    self.score = score
    self.moreIsBetter = moreIsBetter
    self.title = title
    self.format = format
    self.table = table
  }

  /// The metric's name in the log, behind `eval_`.
  public var logName: String {
    name.hasPrefix("eval_") ? String(name.dropFirst("eval_".count)) : name
  }
}

/// A part of a language's data that is scored.
public enum ScoredPart: String, Sendable { case dev, test }

/// The values of a task's own keys in one stage: a struct with a member for each key.
public protocol TaskOptions: Sendable, Equatable, Encodable {
  static var keys: [TaskKey<Self>] { get }
  /// The defaults.
  init()
  /// Refuses values that do not fit together, or do not fit the run.
  ///
  /// - Throws: ``ConfigError`` at the place of a key; see ``OwnKeys/error(at:_:)``.
  func check(_ own: OwnKeys) throws(ConfigError)
  /// What the model of a stage with these options says of words, for later stages that label files with it. By default
  /// nothing.
  var wordLabels: WordLabels { get }
}

/// What a model says of each word of a sentence.
public enum WordLabels: Sendable {
  case none
  /// A label.
  case labels
  /// A label, and the probability of each.
  case probabilities
}

extension TaskOptions {
  public func check(_ own: OwnKeys) throws(ConfigError) {}

  public var wordLabels: WordLabels { .none }

  /// Whether the other options are of the same task and equal.
  func isEqual(to other: any TaskOptions) -> Bool { (other as? Self) == self }
}

/// A value of one part, as other formats than YAML have it too.
public enum ConfigScalar: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The digits as they are written.
  case number(String)
  case text(String)

  fileprivate init(yaml text: String) {
    self =
      switch YAMLNode.plainKind(text) {
      case .null: .null
      case .bool: .bool(text == "true")
      case .number: .number(text)
      case .text: .text(text)
      }
  }

  fileprivate var content: YAMLNode.Content {
    switch self {
    case .null: .scalar("null", .plain)
    case .bool(let value): .scalar(String(value), .plain)
    case .number(let digits): .scalar(digits, .plain)
    case .text(let text): .scalar(text, .doubleQuoted)
    }
  }
}

extension TaskOptions {
  /// The keys that have a value, and their values.
  public var values: [(name: String, value: ConfigScalar)] {
    Self.keys.compactMap { key in key.show(self).map { (key.key.name, ConfigScalar(yaml: $0)) } }
  }

  /// Gives a key a value that another file than a config has.
  ///
  /// - Throws: ``ConfigError`` where the key may not have it.
  public mutating func set(_ name: String, to value: ConfigScalar) throws(ConfigError) {
    for key in Self.keys where key.key.name == name {
      try key.read(YAMLNode(value.content, at: Place("", line: 1, column: 1)), name, &self)
    }
  }
}

/// The options of a task without keys of its own.
public struct NoOptions: TaskOptions {
  public static let keys: [TaskKey<NoOptions>] = []
  public init() {}
}

/// The keys that a stage's task has in the file, in the stage or, where the stage is silent, in the run.
public struct OwnKeys: Sendable {
  struct Value: Sendable {
    var node: YAMLNode
    /// Whether the stage itself has it.
    var isOfStage: Bool
  }
  var values: [String: Value] = [:]
  /// Of the stage in the file, `stages.0`; empty for the one stage of a file without `stages`.
  var stageKey: String
  /// Of the stage.
  var stagePlace: Place
  /// ` (in stage 'x')`, or nothing.
  var suffix: String
  /// The stage, but for its options, and the run, with the stages before this one.
  public var stage: Stage
  public var run: RunConfiguration

  func path(_ value: Value, _ name: String) -> String {
    value.isOfStage && !stageKey.isEmpty ? "\(stageKey).\(name)" : name
  }

  /// Whether the file has a key.
  public func has(_ key: String) -> Bool { values[key] != nil }

  /// An error at the place of a key, or at the stage's where the file does not have the key.
  ///
  /// - Parameter message: Begins with the key that is wrong.
  public func error(at key: String, _ message: String) -> ConfigError {
    ConfigError(values[key]?.node.place ?? stagePlace, message + suffix)
  }
}

/// One of a task's own keys: how it is read into the task's options, and how the reference describes it.
public struct TaskKey<Options>: Sendable {
  let key: ConfigKey
  let otherNames: [String]
  let read: @Sendable (YAMLNode, String, inout Options) throws(ConfigError) -> Void
  let show: @Sendable (Options) -> String?

  /// A key that always has a value; its default is that of the options.
  ///
  /// - Parameter requirement: What the value must be, in addition to its type: `.inside(0...1)`.
  public init<Value: WritableConfigValue>(
    _ name: String, _ path: WritableKeyPath<Options, Value> & Sendable,
    must requirement: Requirement<Value>? = nil, otherNames: [String] = [], _ help: String
  ) where Options: TaskOptions {
    key = ConfigKey(
      name: name, kind: Value.kind, defaultText: Options()[keyPath: path].yaml, help: help)
    self.otherNames = otherNames
    read = { node, key, options throws(ConfigError) in
      options[keyPath: path] = try Value.read(node, key: key, requirement)
    }
    show = { $0[keyPath: path].yaml }
  }

  /// A key that may be absent; `default` says what that means.
  public init<Value: WritableConfigValue>(
    _ name: String, _ path: WritableKeyPath<Options, Value?> & Sendable,
    must requirement: Requirement<Value>? = nil, default defaultText: String,
    otherNames: [String] = [], _ help: String
  ) {
    key = ConfigKey(name: name, kind: Value.kind, defaultText: defaultText, help: help)
    self.otherNames = otherNames
    read = { node, key, options throws(ConfigError) in
      options[keyPath: path] = try Value.read(node, key: key, requirement)
    }
    show = { $0[keyPath: path]?.yaml }
  }
}

extension ConfigValue {
  /// Reads a value and checks what it must fulfil beyond its type.
  static func read(
    _ node: YAMLNode, key: String, _ requirement: Requirement<Self>?
  ) throws(ConfigError) -> Self {
    let value = try read(node, key: key)
    if let requirement, !requirement.holds(value) {
      throw ConfigError(node.place, "\(key): must be \(requirement.text), found \(node.found)")
    }
    return value
  }
}
