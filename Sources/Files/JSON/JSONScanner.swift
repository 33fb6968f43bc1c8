/// A strict reader of JSON (RFC 8259) over bytes that nobody vouches for.
///
/// Strings are valid UTF-8, nesting ends at 64 levels. Streams of members and elements are given to
/// closures, so that a caller who wants no tree builds none.
package struct JSONScanner {
  /// What is done about names that an object has twice.
  package enum Names: Sendable {
    /// A name that equals an earlier one, as strings are equal, is an error.
    case distinct
    /// All members are read. Vocabularies tell apart spellings that Unicode holds equivalent.
    case any
  }

  private let bytes: [UInt8]
  private let names: Names
  private var position = 0
  private static let depthLimit = 64

  package init(_ bytes: [UInt8], names: Names = .distinct) {
    self.bytes = bytes
    self.names = names
  }

  // MARK: Structure

  /// The next byte that is not white space, left in place.
  package mutating func peek() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return bytes[position]
      }
    }
    return nil
  }

  /// Steps over `byte` if it is next.
  private mutating func take(_ byte: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: byte) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ byte: Unicode.Scalar, _ place: String) throws(JSONError) {
    if !take(byte) { throw wrong("‘\(byte)’ expected \(place)") }
  }

  /// Checks that only white space is left.
  package mutating func finish() throws(JSONError) {
    if peek() != nil { throw wrong("text after the end of the JSON value") }
  }

  /// Reads an object, giving each name to `body`, which reads the value.
  package mutating func members(
    _ body: (inout JSONScanner, String) throws(JSONError) -> Void
  ) throws(JSONError) {
    try expect("{", "before an object")
    if take("}") { return }
    var seen: Set<String> = []
    repeat {
      guard peek() == UInt8(ascii: "\"") else { throw wrong("a name in quotes expected") }
      let name = try string()
      guard names == .any || seen.insert(name).inserted else {
        throw JSONError(
          field: name, message: "the name ‘\(printable(name, limit: 80))’ appears twice")
      }
      try expect(":", "after a name")
      try body(&self, name)
    } while take(",")
    try expect("}", "after an object")
  }

  /// Reads an array, calling `body` to read each element.
  package mutating func elements(_ body: (inout JSONScanner) throws(JSONError) -> Void)
    throws(JSONError)
  {
    try expect("[", "before a list")
    if take("]") { return }
    repeat { try body(&self) } while take(",")
    try expect("]", "after a list")
  }

  // MARK: Values

  package mutating func value(depth: Int = 0) throws(JSONError) -> JSONValue {
    guard depth < Self.depthLimit else {
      throw wrong("more than \(Self.depthLimit) levels of nesting")
    }
    switch peek() {
    case UInt8(ascii: "{"):
      var object = JSONObject()
      try members { (scanner, name) throws(JSONError) in
        do throws(JSONError) {
          object.append(unique: name, try scanner.value(depth: depth + 1))
        } catch {
          throw error.within(name)
        }
      }
      return .object(object)
    case UInt8(ascii: "["):
      var values: [JSONValue] = []
      try elements { (scanner) throws(JSONError) in
        // By a quarter at a time: a list that doubles takes up to three times its size meanwhile, 36 bytes for each of ‘0,0,0’.
        if values.count == values.capacity { values.reserveCapacity(values.count * 5 / 4 + 1) }
        do throws(JSONError) {
          values.append(try scanner.value(depth: depth + 1))
        } catch {
          throw error.within("[\(values.count)]")
        }
      }
      return .array(values)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case nil: throw wrong("the text ends where a value is expected")
    default: return .number(try number())
    }
  }

  private mutating func word(_ text: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    guard bytes[position...].starts(with: text.utf8) else { throw wrong("no such word in JSON") }
    position += text.utf8.count
    return value
  }

  /// Reads a number and returns its digits.
  private mutating func number() throws(JSONError) -> String {
    _ = peek()
    let start = position
    _ = step(over: "-")
    if !step(over: "0") { try digits() }
    if step(over: ".") { try digits() }
    if step(over: "e") || step(over: "E") {
      if !step(over: "+") { _ = step(over: "-") }
      try digits()
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  /// Reads an integer of at least 0 that fits in 64 bits with its sign.
  package mutating func count() throws(JSONError) -> Int {
    let digits = try number()
    guard let value = Int(digits), value >= 0, !digits.hasPrefix("-") else {
      throw wrong("\(printable(digits, limit: 32)) is not an integer from 0 to 2⁶³ − 1")
    }
    return value
  }

  private mutating func digits() throws(JSONError) {
    let start = position
    while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 { position += 1 }
    if position == start { throw wrong("a digit expected") }
  }

  private mutating func step(over byte: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: byte) else { return false }
    position += 1
    return true
  }

  // MARK: Strings

  package mutating func string() throws(JSONError) -> String {
    try expect("\"", "before a string")
    let start = position
    while position < bytes.count, bytes[position] >= 0x20, bytes[position] != UInt8(ascii: "\\") {
      if bytes[position] == UInt8(ascii: "\"") {
        defer { position += 1 }
        return try text(of: bytes[start..<position])
      }
      position += 1
    }
    var content = Array(bytes[start..<position])
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return try text(of: content[...])
      case UInt8(ascii: "\\"): content.append(contentsOf: try escape())
      case 0..<0x20: throw wrong("a control character in a string")
      default: content.append(byte)
      }
    }
    throw wrong("the text ends within a string")
  }

  private func text(of content: ArraySlice<UInt8>) throws(JSONError) -> String {
    guard let text = String(validating: content, as: UTF8.self) else {
      throw wrong("a string that is not valid UTF-8")
    }
    return text
  }

  private mutating func escape() throws(JSONError) -> [UInt8] {
    guard position < bytes.count else { throw wrong("the text ends within a string") }
    let letter = bytes[position]
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      var code = try unit()
      if (0xD800..<0xDC00).contains(code), step(over: "\\"), step(over: "u") {
        let low = try unit()
        guard (0xDC00..<0xE000).contains(low) else { throw wrong("half of a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw wrong("half of a surrogate pair") }
      return Array(String(Character(scalar)).utf8)
    default: throw wrong("no such escape in a string")
    }
  }

  private mutating func unit() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard position < bytes.count,
        let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue
      else { throw wrong("four hexadecimal digits expected") }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  /// An error at the next byte.
  package func wrong(_ message: String) -> JSONError {
    JSONError(message: message, offset: position)
  }
}
