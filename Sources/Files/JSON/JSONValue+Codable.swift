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
