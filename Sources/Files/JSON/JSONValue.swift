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

  /// The number as the Rust library `serde_json` reads it; nil for anything else, and for a number that is too great.
  package var serdeDouble: Double? {
    if case .number(let digits) = self { Double(serdeJSON: digits) } else { nil }
  }

  /// The number rounded to the nearest double; nil for anything that is not a finite number.
  public var double: Double? {
    guard case .number(let digits) = self, let value = Double(digits), value.isFinite else {
      return nil
    }
    return value
  }

  package var isNull: Bool { if case .null = self { true } else { false } }

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

  /// The members in this order, names that are equal among them as well.
  package init(_ members: [(name: String, value: JSONValue)]) {
    self.members = members.map { Member(name: $0.name, value: $0.value) }
  }

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

  /// Appends a member of a name that no other has.
  package mutating func append(unique name: String, _ value: JSONValue) {
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
