/// A key of a configuration as the reference describes it.
public struct ConfigKey: Sendable, Equatable {
  public var name: String
  /// What its value is: `whole number`, `no | steps | epoch`.
  public var kind: String
  /// The value of a file that does not say, in words or as YAML.
  public var defaultText: String
  /// One line: meaning and unit.
  public var help: String
}

/// One key of a mapping: how it is read into what the file says (`File`) and from there into what the
/// run will do (`Resolved`), and how the reference describes it.
struct Field<File: Sendable, Resolved>: Sendable {
  let key: ConfigKey
  /// Other programs' names for the same thing, offered when one is met.
  var otherNames: [String] = []
  let read: @Sendable (YAMLNode, String, inout File) throws(ConfigError) -> Void
  /// Where the file says it; nil if it does not.
  let place: @Sendable (File) -> Place?
  /// Takes the value of an enclosing mapping if this one has none.
  let inherit: @Sendable (inout File, File) -> Void
  var apply: @Sendable (File, inout Resolved) -> Void = { _, _ in }
  /// The resolved value as YAML; nil when there is none or it is written elsewhere.
  var show: @Sendable (Resolved) -> String? = { _ in nil }
}

/// A mapping whose keys are known.
protocol ConfigRecord: ConfigValue {
  associatedtype Resolved
  static var fields: [Field<Self, Resolved>] { get }
  /// A record that says nothing.
  init()
}

/// A resolved record in which every value is the default.
protocol HasDefaults: Sendable {
  static var defaults: Self { get }
}

extension ConfigRecord {
  static var kind: String { "mapping" }

  static func read(_ node: YAMLNode, key path: String) throws(ConfigError) -> Self {
    guard case .mapping(let entries) = node.content else {
      throw mismatch(
        node, path.isEmpty ? "the configuration" : path, "a mapping of keys")
    }
    let byName = Dictionary(uniqueKeysWithValues: fields.map { ($0.key.name, $0) })
    var record = Self()
    for entry in entries {
      guard let field = byName[entry.key] else { throw unknown(entry, in: path) }
      let key = path.isEmpty ? entry.key : "\(path).\(entry.key)"
      guard !entry.value.isNull else {
        throw ConfigError(entry.keyPlace, "\(key): has no value; remove the key for its default")
      }
      try field.read(entry.value, key, &record)
    }
    return record
  }

  private static func unknown(_ entry: YAMLNode.Entry, in path: String) -> ConfigError {
    let name = entry.key
    let place = path.isEmpty ? "" : " in \(path)"
    let hint =
      fields.first { $0.otherNames.contains(name) }.map { "here it is '\($0.key.name)'" }
      ?? NearestName.hint(name, in: fields.map(\.key.name))
    return ConfigError(entry.keyPlace, "unknown key \(name.quotedForMessage)\(place); \(hint)")
  }
}

extension Field {
  /// A key whose value the checked step treats by hand.
  init<Value: ConfigValue>(
    _ name: String, _ path: WritableKeyPath<File, Placed<Value>?> & Sendable,
    _ requirement: Requirement<Value>? = nil, kind: String = Value.kind,
    default defaultText: String,
    otherNames: [String] = [], _ help: String
  ) {
    key = ConfigKey(name: name, kind: kind, defaultText: defaultText, help: help)
    self.otherNames = otherNames
    read = { node, key, file throws(ConfigError) in
      let value = try Value.read(node, key: key)
      if let requirement, !requirement.holds(value) {
        throw ConfigError(node.place, "\(key): must be \(requirement.text), found \(node.found)")
      }
      file[keyPath: path] = Placed(value: value, place: node.place)
    }
    place = { $0[keyPath: path]?.place }
    inherit = { file, outer in file[keyPath: path] = file[keyPath: path] ?? outer[keyPath: path] }
  }

  /// A key whose value is used as it stands; the default is that of `Resolved`.
  init<Value: WritableConfigValue>(
    _ name: String, _ path: WritableKeyPath<File, Placed<Value>?> & Sendable,
    _ requirement: Requirement<Value>? = nil,
    into resolved: WritableKeyPath<Resolved, Value> & Sendable, otherNames: [String] = [],
    _ help: String
  ) where Resolved: HasDefaults {
    self.init(
      name, path, requirement, default: Resolved.defaults[keyPath: resolved].yaml,
      otherNames: otherNames, help)
    apply = { file, result in
      if let value = file[keyPath: path]?.value { result[keyPath: resolved] = value }
    }
    show = { $0[keyPath: resolved].yaml }
  }

  /// A key whose value is used as it stands and may be absent; `default` says what that means.
  init<Value: WritableConfigValue>(
    _ name: String, _ path: WritableKeyPath<File, Placed<Value>?> & Sendable,
    _ requirement: Requirement<Value>? = nil,
    into resolved: WritableKeyPath<Resolved, Value?> & Sendable, default defaultText: String,
    otherNames: [String] = [], _ help: String
  ) {
    self.init(
      name, path, requirement, default: defaultText, otherNames: otherNames, help)
    apply = { file, result in
      if let value = file[keyPath: path]?.value { result[keyPath: resolved] = value }
    }
    show = { $0[keyPath: resolved]?.yaml }
  }

  /// The same key in a mapping that has this one's keys among its own.
  func lifted<Outer: Sendable, OuterResolved>(
    _ part: WritableKeyPath<Outer, File> & Sendable, to: OuterResolved.Type
  ) -> Field<Outer, OuterResolved> {
    Field<Outer, OuterResolved>(
      key: key, otherNames: otherNames,
      read: { [read] node, key, outer throws(ConfigError) in
        try read(node, key, &outer[keyPath: part])
      },
      place: { [place] in place($0[keyPath: part]) },
      inherit: { [inherit] file, outer in
        inherit(&file[keyPath: part], outer[keyPath: part])
      })
  }
}
