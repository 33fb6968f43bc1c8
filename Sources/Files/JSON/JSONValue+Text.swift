// MARK: Reading

extension JSONValue {
  /// Parses a whole text strictly: no duplicate names, no depth over 64, nothing after the value.
  ///
  /// - Throws: ``FileError`` of code `data` with `path` and the byte at which the text is wrong.
  public init(parsing bytes: [UInt8], path: String) throws(FileError) {
    do throws(JSONError) {
      try self.init(parsing: bytes)
    } catch {
      throw error.inFile(path)
    }
  }

  /// Parses a whole text: no depth over 64, nothing after the value.
  package init(
    parsing bytes: [UInt8], names: JSONScanner.Names = .distinct
  ) throws(JSONError) {
    var scanner = JSONScanner(bytes, names: names)
    self = try scanner.value()
    try scanner.finish()
  }
}

// MARK: Writing

extension JSONValue {
  /// Where the text of a value has line ends and blanks.
  package enum Layout {
    /// One line, without blanks.
    case compact
    /// Each member and element on a line of its own, behind two blanks a level.
    case lines
    /// As `lines`, but lists without lists or objects, and such objects of at most three members, on one line.
    case groups
  }

  /// The value as text. Members stand in their order, one a line behind two spaces a level.
  public var text: String { text(.lines) }

  /// The value as text on one line, without spaces.
  public var compactText: String { text(.compact) }

  /// The value as text, its members in their order.
  package func text(_ layout: Layout) -> String {
    var text = ""
    write(into: &text, layout, indent: "")
    return text
  }

  private var isFlat: Bool {
    switch self {
    case .null, .bool, .number, .string: true
    case .array, .object: false
    }
  }

  private func write(into text: inout String, _ layout: Layout, indent: String) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let digits): text += digits
    case .string(let value): Self.quote(value, into: &text)
    case .array(let values):
      let isGroup = layout == .groups && values.allSatisfy(\.isFlat)
      Self.list(values, "[", "]", into: &text, layout, isGroup: isGroup, indent: indent) {
        text, value, indent in
        value.write(into: &text, layout, indent: indent)
      }
    case .object(let object):
      let members = object.members
      let isGroup =
        layout == .groups && members.count <= 3 && members.allSatisfy(\.value.isFlat)
      Self.list(members, "{", "}", into: &text, layout, isGroup: isGroup, indent: indent) {
        text, member, indent in
        Self.quote(member.name, into: &text)
        text += layout == .compact ? ":" : ": "
        member.value.write(into: &text, layout, indent: indent)
      }
    }
  }

  private static func list<Element>(
    _ elements: [Element], _ open: String, _ close: String, into text: inout String,
    _ layout: Layout, isGroup: Bool, indent: String,
    _ write: (inout String, Element, String) -> Void
  ) {
    let hasLines = layout != .compact && !isGroup
    let inner = indent + "  "
    text += open
    for (index, element) in elements.enumerated() {
      if index > 0 { text += isGroup ? ", " : "," }
      if hasLines { text += "\n" + inner }
      write(&text, element, inner)
    }
    if hasLines, !elements.isEmpty { text += "\n" + indent }
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
