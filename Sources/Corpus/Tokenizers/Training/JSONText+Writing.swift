extension JSONText {
  /// This value as JSON, objects and lists over several lines but for those without objects or lists.
  var text: String {
    var text = ""
    write(to: &text, indent: "")
    return text
  }

  private var isFlat: Bool {
    switch self {
    case .null, .bool, .number, .string: true
    case .array, .object: false
    }
  }

  private func write(to text: inout String, indent: String) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let digits): text += digits
    case .string(let content): JSONText.write(content, to: &text)
    case .array(let values):
      let isFlat = values.allSatisfy(\.isFlat)
      write(values.count, "[", "]", isFlat: isFlat, to: &text, indent) { index, text, indent in
        values[index].write(to: &text, indent: indent)
      }
    case .object(let members):
      let isFlat = members.allSatisfy(\.value.isFlat) && members.count <= 3
      write(members.count, "{", "}", isFlat: isFlat, to: &text, indent) { index, text, indent in
        JSONText.write(members[index].name, to: &text)
        text += ": "
        members[index].value.write(to: &text, indent: indent)
      }
    }
  }

  private func write(
    _ count: Int, _ open: String, _ close: String, isFlat: Bool, to text: inout String,
    _ indent: String, _ member: (Int, inout String, String) -> Void
  ) {
    text += open
    for index in 0..<count {
      if index > 0 { text += isFlat ? ", " : "," }
      if !isFlat { text += "\n" + indent + "  " }
      member(index, &text, indent + "  ")
    }
    if !isFlat, count > 0 { text += "\n" + indent }
    text += close
  }

  private static func write(_ content: String, to text: inout String) {
    text += "\""
    for scalar in content.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\0"..<" ":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
