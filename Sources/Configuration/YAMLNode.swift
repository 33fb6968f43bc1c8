/// A part of a YAML document: a scalar, a sequence or a mapping, with the place it stands at.
public struct YAMLNode: Sendable, Equatable {
  public enum Style: Sendable {
    case plain, singleQuoted, doubleQuoted, literal, folded
  }

  /// One `key: value` of a mapping.
  public struct Entry: Sendable, Equatable {
    public var key: String
    public var keyPlace: Place
    public var value: YAMLNode
  }

  public enum Content: Sendable, Equatable {
    case scalar(String, Style)
    case sequence([YAMLNode])
    /// In the file's order; keys are unique.
    case mapping([Entry])
  }

  public var content: Content
  public var place: Place

  public init(_ content: Content, at place: Place) {
    self.content = content
    self.place = place
  }
}

extension YAMLNode {
  /// What kind of value a scalar written without quotes is (YAML 1.2's core schema: `no` is text).
  enum PlainKind { case null, bool, number, text }

  static func plainKind(_ text: String) -> PlainKind {
    switch text {
    case "", "~", "null", "Null", "NULL": .null
    case "true", "True", "TRUE", "false", "False", "FALSE": .bool
    default: number(text) == nil ? .text : .number
    }
  }

  /// The number that `text` is in YAML, decimal only; infinite when it is too large for a Double.
  static func number(_ text: String) -> Double? {
    let isDecimal = text.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "e"),
        UInt8(ascii: "E"), UInt8(ascii: "+"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    return isDecimal ? Double(text) : nil
  }

  /// Whether this is a plain `null`, `~` or nothing.
  var isNull: Bool {
    if case .scalar(let text, .plain) = content { Self.plainKind(text) == .null } else { false }
  }

  /// What was found, for a message about what was expected.
  var found: String {
    switch content {
    case .sequence: "a list"
    case .mapping: "a mapping"
    case .scalar(let text, .plain):
      switch Self.plainKind(text) {
      case .null: "no value"
      case .bool: text
      case .number: "the number \(text.quotedForMessage.dropFirst().dropLast())"
      case .text: text.quotedForMessage
      }
    case .scalar(let text, _): "the quoted text \(text.quotedForMessage)"
    }
  }

  /// `text` as a YAML scalar that reads back as the same text: plain where that is safe.
  static func scalarText(_ text: String) -> String {
    let isPlain =
      plainKind(text) == .text
      && text.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."),
          UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "+"):
          true
        default: false
        }
      } && !text.hasPrefix("-") && !text.hasPrefix(".inf") && !text.hasPrefix(".nan")
    guard !isPlain else { return text }
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.properties.generalCategory == .control:
        let hex = String(scalar.value, radix: 16)
        quoted += "\\x" + String(repeating: "0", count: 2 - hex.count) + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
