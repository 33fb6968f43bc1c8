/// A value of a JSON text (RFC 8259), its strings byte for byte.
///
/// Vocabularies tell apart spellings that Unicode holds equivalent, which dictionaries of `String` do
/// not: the members of an object stay a list, in the order of the file.
enum JSONText {
  case null
  case bool(Bool)
  case number(String)
  case string(String)
  case array([JSONText])
  case object([(name: String, value: JSONText)])

  /// What is wrong in a text, and where.
  struct Failure: Error {
    var line: Int
    /// The member or element, `model.vocab[3]`; empty for the whole text.
    var field = ""
    var message: String

    /// The same failure, seen from the object or list around.
    func within(_ place: String) -> Failure {
      var outer = self
      let inner = field.isEmpty || field.hasPrefix("[") ? field : "." + field
      // What is cut off a long path is its beginning.
      outer.field = inner.utf8.count > 150 ? "…" + inner.suffix(149) : place + inner
      return outer
    }
  }

  /// Reads one value and nothing after it but white space.
  init(parsing bytes: [UInt8]) throws(Failure) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.value(depth: 0)
    try parser.finish()
  }

  /// The first member of that name; nil if there is none or this is no object.
  subscript(name: String) -> JSONText? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  var isNull: Bool { if case .null = self { true } else { false } }
  var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  var string: String? { if case .string(let value) = self { value } else { nil } }
  var array: [JSONText]? { if case .array(let values) = self { values } else { nil } }
  var members: [(name: String, value: JSONText)]? {
    if case .object(let members) = self { members } else { nil }
  }
  var int: Int? { if case .number(let digits) = self { Int(digits) } else { nil } }
  /// The number as the Rust library reads it; nil if it is none or too great.
  var double: Double? { if case .number(let digits) = self { Double(json: digits) } else { nil } }
}

private struct JSONParser {
  private static let depthLimit = 64
  let bytes: [UInt8]
  private var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func finish() throws(JSONText.Failure) {
    if next() != nil { throw failure("text after the end of the value") }
  }

  mutating func value(depth: Int) throws(JSONText.Failure) -> JSONText {
    guard depth < Self.depthLimit else { throw failure("nested deeper than \(Self.depthLimit)") }
    switch next() {
    case UInt8(ascii: "{"):
      position += 1
      var members: [(name: String, value: JSONText)] = []
      if skip("}") { return .object(members) }
      repeat {
        let name = try string()
        do throws(JSONText.Failure) {
          try expect(":")
          members.append((name, try value(depth: depth + 1)))
        } catch {
          throw error.within(name)
        }
      } while skip(",")
      try expect("}")
      return .object(members)
    case UInt8(ascii: "["):
      position += 1
      var values: [JSONText] = []
      if skip("]") { return .array(values) }
      repeat {
        // By a quarter at a time: a list that doubles takes up to three times its size meanwhile, 36 bytes for each of ‘0,0,0’.
        if values.count == values.capacity { values.reserveCapacity(values.count * 5 / 4 + 1) }
        do throws(JSONText.Failure) {
          values.append(try value(depth: depth + 1))
        } catch {
          throw error.within("[\(values.count)]")
        }
      } while skip(",")
      try expect("]")
      return .array(values)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try number())
    }
  }

  /// The next byte that is not white space, left in place.
  private mutating func next() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return bytes[position]
      }
    }
    return nil
  }

  private mutating func skip(_ byte: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: byte) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ byte: Unicode.Scalar) throws(JSONText.Failure) {
    if !skip(byte) { throw failure("‘\(byte)’ expected") }
  }

  private mutating func word(
    _ word: StaticString, _ value: JSONText
  ) throws(JSONText.Failure) -> JSONText {
    let text = "\(word)".utf8
    guard bytes[position...].starts(with: text) else { throw failure("a value expected") }
    position += text.count
    return value
  }

  private mutating func number() throws(JSONText.Failure) -> String {
    let start = position
    take("-")
    if !take("0") { try digits() }
    if take(".") { try digits() }
    if take("e") || take("E") {
      if !take("+") { take("-") }
      try digits()
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits() throws(JSONText.Failure) {
    let start = position
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
    if position == start { throw failure("a value expected") }
  }

  @discardableResult private mutating func take(_ byte: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: byte) else { return false }
    position += 1
    return true
  }

  private mutating func string() throws(JSONText.Failure) -> String {
    try expect("\"")
    var content: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: content, as: UTF8.self) else {
          throw failure("a string that is not UTF-8")
        }
        position += 1
        return text
      case UInt8(ascii: "\\"):
        position += 1
        content.append(contentsOf: String(Character(try escape())).utf8)
      case 0..<0x20: throw failure("a control character in a string")
      default:
        content.append(byte)
        position += 1
      }
    }
    throw failure("the text ends within a string")
  }

  private mutating func escape() throws(JSONText.Failure) -> Unicode.Scalar {
    guard position < bytes.count else { throw failure("the text ends within a string") }
    let letter = bytes[position]
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var code = try codeUnit()
      if (0xD800..<0xDC00).contains(code), take("\\"), take("u") {
        let low = try codeUnit()
        guard (0xDC00..<0xE000).contains(low) else { throw failure("half of a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw failure("half of a surrogate pair") }
      return scalar
    default: throw failure("no such escape in a string")
    }
  }

  private mutating func codeUnit() throws(JSONText.Failure) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard position < bytes.count,
        let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue
      else { throw failure("four hexadecimal digits expected") }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  private func failure(_ message: String) -> JSONText.Failure {
    let line = 1 + bytes[..<position].reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
    return JSONText.Failure(line: line, message: message)
  }
}
