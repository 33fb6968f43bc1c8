/// A JSON value that is written back as it was read: members keep their order, numbers their digits.
public enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The digits of the number as they stand in the text.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  /// The number as a 64-bit integer; nil for anything that is not written as one.
  public var int: Int? {
    if case .number(let digits) = self { Int(digits) } else { nil }
  }

  /// The number rounded to the nearest double; nil for anything that is not a finite number.
  public var double: Double? {
    guard case .number(let digits) = self, let value = Double(digits), value.isFinite else {
      return nil
    }
    return value
  }

  public var string: String? {
    if case .string(let text) = self { text } else { nil }
  }

  public var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  public var array: [JSONValue]? {
    if case .array(let values) = self { values } else { nil }
  }

  public var object: JSONObject? {
    if case .object(let object) = self { object } else { nil }
  }

  /// The value named `key` of an object; nil for any other value.
  public subscript(key: String) -> JSONValue? { object?[key] }
}

/// The members of a JSON object, in order. Looking one up by name takes time linear in their number.
public struct JSONObject: Sendable, Equatable {
  public struct Member: Sendable, Equatable {
    public var name: String
    public var value: JSONValue
  }

  public private(set) var members: [Member] = []

  public init() {}

  /// The value of the member `name`. Setting it keeps the member's place, or appends; nil removes it.
  public subscript(name: String) -> JSONValue? {
    get { members.first { $0.name == name }?.value }
    set {
      let index = members.firstIndex { $0.name == name }
      switch (index, newValue) {
      case (let index?, let value?): members[index].value = value
      case (let index?, nil): members.remove(at: index)
      case (nil, let value?): members.append(Member(name: name, value: value))
      case (nil, nil): break
      }
    }
  }

  /// The same members in the order of their names' UTF-8 bytes.
  public func sorted() -> JSONObject {
    var copy = self
    copy.members.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    return copy
  }

  mutating func append(unique name: String, _ value: JSONValue) {
    members.append(Member(name: name, value: value))
  }
}

// MARK: Literals

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int) { self = .number(String(value)) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    var object = JSONObject()
    for (name, value) in elements { object[name] = value }
    self = .object(object)
  }

  public init(_ value: Int) { self = .number(String(value)) }
  public init(_ value: String) { self = .string(value) }
  public init(_ value: Bool) { self = .bool(value) }

  /// The shortest digits that read back as `value`, which is finite: JSON has no other numbers.
  public init(_ value: Double) {
    precondition(value.isFinite, "\(value) has no form in JSON")
    self = .number("\(value)")
  }
}

// MARK: Text

extension JSONValue {
  /// Parses a whole text strictly: no duplicate names, no depth over 64, nothing after the value.
  ///
  /// - Throws: ``CheckpointError`` of code `data` with `path` and the byte at which the text is wrong.
  public init(parsing bytes: [UInt8], path: String) throws(CheckpointError) {
    do throws(JSONError) {
      var scanner = JSONScanner(bytes)
      self = try scanner.value()
      try scanner.finish()
    } catch {
      throw CheckpointError(.data, path, field: error.field, error.message)
    }
  }

  /// The value as text. Members stand in their order, one a line behind two spaces a level.
  public var text: String {
    var text = ""
    write(into: &text, indent: 0)
    return text
  }

  /// The value as text on one line, without spaces.
  public var compactText: String {
    var text = ""
    write(into: &text, indent: nil)
    return text
  }

  private func write(into text: inout String, indent: Int?) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let digits): text += digits
    case .string(let value): Self.quote(value, into: &text)
    case .array(let values):
      Self.list(values, "[", "]", into: &text, indent: indent) { text, value, indent in
        value.write(into: &text, indent: indent)
      }
    case .object(let object):
      Self.list(object.members, "{", "}", into: &text, indent: indent) { text, member, indent in
        Self.quote(member.name, into: &text)
        text += indent == nil ? ":" : ": "
        member.value.write(into: &text, indent: indent)
      }
    }
  }

  private static func list<Element>(
    _ elements: [Element], _ open: String, _ close: String, into text: inout String, indent: Int?,
    _ write: (inout String, Element, Int?) -> Void
  ) {
    text += open
    let inner = indent.map { $0 + 2 }
    for (index, element) in elements.enumerated() {
      if index > 0 { text += "," }
      if let inner { text += "\n" + String(repeating: " ", count: inner) }
      write(&text, element, inner)
    }
    if let indent, !elements.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
    text += close
  }

  private static func quote(_ value: String, into text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      case "\r": text += "\\r"
      case "\u{0}"..<" ":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

// MARK: Codable

extension JSONValue: Codable {
  private struct Name: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .object(let object):
      var container = encoder.container(keyedBy: Name.self)
      for member in object.members {
        try container.encode(member.value, forKey: Name(stringValue: member.name))
      }
    case .array(let values):
      var container = encoder.unkeyedContainer()
      for value in values { try container.encode(value) }
    default:
      var container = encoder.singleValueContainer()
      if let value = int {
        try container.encode(value)
      } else if let value = double {
        try container.encode(value)
      } else if let value = bool {
        try container.encode(value)
      } else if let value = string {
        try container.encode(value)
      } else {
        try container.encodeNil()
      }
    }
  }

  public init(from decoder: any Decoder) throws {
    if let container = try? decoder.container(keyedBy: Name.self) {
      var object = JSONObject()
      for name in container.allKeys.map(\.stringValue).sorted() {
        let value = try container.decode(JSONValue.self, forKey: Name(stringValue: name))
        object.append(unique: name, value)
      }
      self = .object(object)
    } else if var container = try? decoder.unkeyedContainer() {
      var values: [JSONValue] = []
      while !container.isAtEnd { values.append(try container.decode(JSONValue.self)) }
      self = .array(values)
    } else {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let value = try? container.decode(Bool.self) {
        self = .bool(value)
      } else if let value = try? container.decode(Int.self) {
        self = JSONValue(value)
      } else if let value = try? container.decode(Double.self) {
        self = JSONValue(value)
      } else {
        self = .string(try container.decode(String.self))
      }
    }
  }
}
