/// A value with the place it was written at, for errors found after reading.
package struct Placed<Value: Sendable>: Sendable {
  package var value: Value
  package var place: Place
}

/// What can stand behind a key of a configuration.
///
/// Readings are strict: nothing is converted, so `1.0` is no whole number and `5` is no text.
/// `key` is the dotted path of the value, as an override would spell it.
public protocol ConfigValue: Sendable {
  /// What the reference calls it: `whole number`.
  static var kind: String { get }
  static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Self
}

/// A value that can be written back.
public protocol WritableConfigValue: ConfigValue {
  /// The value as YAML on one line.
  var yaml: String { get }
}

extension ConfigValue {
  package static func mismatch(_ node: YAMLNode, _ key: String, _ expected: String) -> ConfigError {
    ConfigError(node.place, "\(key): expected \(expected), found \(node.found)")
  }
}

extension YAMLNode {
  /// The text of a scalar without quotes, if it is of this kind.
  fileprivate func plain(_ kind: PlainKind) -> String? {
    guard case .scalar(let text, .plain) = content, Self.plainKind(text) == kind else { return nil }
    return text
  }
}

extension Bool: WritableConfigValue {
  public static var kind: String { "true or false" }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Bool {
    switch node.plain(.bool) {
    case "true": true
    case "false": false
    default: throw mismatch(node, key, "true or false")
    }
  }

  public var yaml: String { String(self) }
}

extension Int: WritableConfigValue {
  public static var kind: String { "whole number" }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Int {
    guard let text = node.plain(.number), !text.contains(where: { ".eE".contains($0) }) else {
      throw mismatch(node, key, "a whole number such as 32")
    }
    guard let value = Int(text) else {
      throw ConfigError(node.place, "\(key): \(text.quotedForMessage) does not fit in 64 bits")
    }
    return value
  }

  public var yaml: String { String(self) }
}

extension Double: WritableConfigValue {
  public static var kind: String { "number" }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Double {
    guard let text = node.plain(.number), let value = YAMLNode.number(text) else {
      throw mismatch(node, key, "a number such as 0.1 or 1e-4")
    }
    guard value.isFinite else {
      throw ConfigError(node.place, "\(key): \(text.quotedForMessage) is too large")
    }
    return value
  }

  public var yaml: String { description }
}

extension Float: WritableConfigValue {
  public static var kind: String { Double.kind }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Float {
    Float(try Double.read(node, key: key))
  }

  public var yaml: String { description }
}

extension String: WritableConfigValue {
  public static var kind: String { "text" }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> String {
    switch node.content {
    case .scalar(let text, .plain):
      switch YAMLNode.plainKind(text) {
      case .text: return text
      case .null: throw mismatch(node, key, "text")
      case .bool, .number: throw mismatch(node, key, "text (in quotes if it is meant as text)")
      }
    case .scalar(let text, _):
      guard !text.unicodeScalars.contains("\0") else {
        throw ConfigError(node.place, "\(key): text with a zero character")
      }
      return text
    default: throw mismatch(node, key, "text")
    }
  }

  public var yaml: String { YAMLNode.scalarText(self) }
}

extension Placed: ConfigValue where Value: ConfigValue {
  package static var kind: String { Value.kind }

  package static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Placed {
    Placed(value: try Value.read(node, key: key), place: node.place)
  }
}

/// A part of the document that is read later.
extension YAMLNode: ConfigValue {
  public static var kind: String { "mapping" }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> YAMLNode { node }
}

extension Array: ConfigValue where Element: ConfigValue {
  public static var kind: String {
    Element.kind == String.kind ? "list" : "list of \(Element.kind)s"
  }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> [Element] {
    guard case .sequence(let members) = node.content else {
      throw mismatch(node, key, "a list such as [a, b]")
    }
    var values: [Element] = []
    for (index, member) in members.enumerated() {
      values.append(try Element.read(member, key: "\(key).\(index)"))
    }
    return values
  }
}

extension Array: WritableConfigValue where Element: WritableConfigValue {
  public var yaml: String { "[" + map(\.yaml).joined(separator: ", ") + "]" }
}

/// One of a few named values.
public protocol ConfigChoice: WritableConfigValue, RawRepresentable<String>, CaseIterable {}

extension ConfigChoice {
  public static var names: [String] { allCases.map(\.rawValue) }
  public static var kind: String { names.joined(separator: " | ") }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Self {
    guard case .scalar(let text, _) = node.content else {
      throw mismatch(node, key, "one of \(names.joined(separator: ", "))")
    }
    guard let value = Self(rawValue: text) else {
      throw ConfigError(
        node.place,
        "\(key): unknown value \(text.quotedForMessage); \(NearestName.hint(text, in: names))")
    }
    return value
  }

  public var yaml: String { rawValue.yaml }
}

/// Values by names that the file chooses, in its order.
struct Named<Value: ConfigValue>: ConfigValue {
  struct Member: Sendable {
    var name: Placed<String>
    var value: Value
  }
  var members: [Member]

  static var kind: String { "mapping" }

  static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> Named {
    guard case .mapping(let entries) = node.content else { throw mismatch(node, key, "a mapping") }
    var members: [Member] = []
    for entry in entries {
      members.append(
        Member(
          name: Placed<String>(value: entry.key, place: entry.keyPlace),
          value: try Value.read(entry.value, key: "\(key).\(entry.key)")))
    }
    return Named(members: members)
  }
}

/// What a value must fulfil beyond its type.
public struct Requirement<Value>: Sendable {
  /// Follows "must be" in a message: `at least 1`.
  public var text: String
  public var holds: @Sendable (Value) -> Bool

  public init(text: String, holds: @escaping @Sendable (Value) -> Bool) {
    self.text = text
    self.holds = holds
  }
}

extension Requirement where Value: Comparable & Sendable {
  public static func atLeast(_ bound: Value) -> Self {
    Requirement(text: "at least \(bound)") { $0 >= bound }
  }
  public static func above(_ bound: Value) -> Self {
    Requirement(text: "above \(bound)") { $0 > bound }
  }
  public static func inside(_ range: ClosedRange<Value>) -> Self {
    Requirement(text: "from \(range.lowerBound) to \(range.upperBound)") { range.contains($0) }
  }
  public static func inside(_ range: Range<Value>) -> Self {
    Requirement(text: "at least \(range.lowerBound) and below \(range.upperBound)") {
      range.contains($0)
    }
  }
}

extension Requirement where Value == String {
  public static var notEmpty: Self { Requirement(text: "some text") { !$0.isEmpty } }
}
