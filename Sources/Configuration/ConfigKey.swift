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
package struct Field<File: Sendable, Resolved>: Sendable {
  package let key: ConfigKey
  /// Other programs' names for the same thing, offered when one is met.
  var otherNames: [String] = []
  let read: @Sendable (YAMLNode, String, inout File) throws(ConfigError) -> Void
  /// Where the file says it; nil if it does not.
  let place: @Sendable (File) -> Place?
  /// Takes the value of an enclosing mapping if this one has none.
  let inherit: @Sendable (inout File, File) -> Void
  package var apply: @Sendable (File, inout Resolved) -> Void = { _, _ in }
  /// The resolved value as YAML; nil when there is none or it is written elsewhere.
  package var show: @Sendable (Resolved) -> String? = { _ in nil }
}

/// A mapping whose keys are known.
package protocol ConfigRecord: ConfigValue {
  associatedtype Resolved
  static var fields: [Field<Self, Resolved>] { get }
  /// A record that says nothing.
  init()
}

/// A resolved record in which every value is the default.
package protocol HasDefaults: Sendable {
  static var defaults: Self { get }
}

/// A mapping that may also have keys that tasks declare.
package protocol HasOwnKeys: ConfigRecord {
  /// Those that the file has, as it has them.
  var own: [String: YAMLNode.Entry] { get set }
}

/// The keys of all tasks of a program, for reading mappings that may have them.
package struct KnownTasks: Sendable {
  let schemas: [TaskSchema]
  let names: [String]
  let otherNames: [String: String]

  init(_ schemas: [TaskSchema]) {
    self.schemas = schemas
    names = schemas.flatMap { $0.keys.map(\.name) }
    otherNames = Dictionary(schemas.flatMap(\.otherNames)) { first, _ in first }
  }
}

extension ConfigRecord {
  package static var kind: String { "mapping" }

  package static func read(_ node: YAMLNode, key path: String) throws(ConfigError) -> Self {
    try read(node, key: path, tasks: KnownTasks([]))
  }

  /// Reads a mapping, in which keys of tasks are kept as they stand where the record has room for them.
  package static func read(
    _ node: YAMLNode, key path: String, tasks: KnownTasks
  ) throws(ConfigError) -> Self {
    guard case .mapping(let entries) = node.content else {
      throw mismatch(
        node, path.isEmpty ? "the configuration" : path, "a mapping of keys")
    }
    let byName = Dictionary(uniqueKeysWithValues: fields.map { ($0.key.name, $0) })
    var record = Self()
    let takesOwn = record is any HasOwnKeys
    for entry in entries {
      let isOwn = takesOwn && tasks.names.contains(entry.key)
      guard isOwn || byName[entry.key] != nil else {
        throw unknown(entry, in: path, takesOwn ? tasks : KnownTasks([]))
      }
      let key = path.isEmpty ? entry.key : "\(path).\(entry.key)"
      guard !entry.value.isNull else {
        throw ConfigError(entry.keyPlace, "\(key): has no value; remove the key for its default")
      }
      if let field = byName[entry.key] {
        try field.read(entry.value, key, &record)
      } else if var holder = record as? any HasOwnKeys {
        holder.own[entry.key] = entry
        if let kept = holder as? Self { record = kept }
      }
    }
    return record
  }

  private static func unknown(
    _ entry: YAMLNode.Entry, in path: String, _ tasks: KnownTasks
  ) -> ConfigError {
    let name = entry.key
    let place = path.isEmpty ? "" : " in \(path)"
    let hint =
      (fields.first { $0.otherNames.contains(name) }?.key.name ?? tasks.otherNames[name])
      .map { "here it is '\($0)'" }
      ?? NearestName.hint(name, in: fields.map(\.key.name) + tasks.names)
    return ConfigError(entry.keyPlace, "unknown key \(name.quotedForMessage)\(place); \(hint)")
  }
}

extension Field {
  /// A key whose value the checked step treats by hand.
  package init<Value: ConfigValue>(
    _ name: String, _ path: WritableKeyPath<File, Placed<Value>?> & Sendable,
    _ requirement: Requirement<Value>? = nil, kind: String = Value.kind,
    default defaultText: String,
    otherNames: [String] = [], _ help: String
  ) {
    key = ConfigKey(name: name, kind: kind, defaultText: defaultText, help: help)
    self.otherNames = otherNames
    read = { node, key, file throws(ConfigError) in
      let value = try Value.read(node, key: key, requirement)
      file[keyPath: path] = Placed(value: value, place: node.place)
    }
    place = { $0[keyPath: path]?.place }
    inherit = { file, outer in file[keyPath: path] = file[keyPath: path] ?? outer[keyPath: path] }
  }

  /// A key whose value is used as it stands; the default is that of `Resolved`.
  package init<Value: WritableConfigValue>(
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
  package init<Value: WritableConfigValue>(
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
