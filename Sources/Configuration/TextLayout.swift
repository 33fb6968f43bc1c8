/// Text for a terminal of 100 columns.
enum TextLayout {
  static let width = 100

  /// `name`, and `text` wrapped beside it from `column` on; below it if the name is too long.
  static func row(_ name: String, _ text: String, indent: Int, column: Int) -> [String] {
    let head = String(repeating: " ", count: indent) + name
    let margin = String(repeating: " ", count: column)
    let wrapped = wrap(text, width: width - column)
    guard let first = wrapped.first else { return [head] }
    guard head.count + 2 <= column else { return [head] + wrapped.map { margin + $0 } }
    let gap = String(repeating: " ", count: column - head.count)
    return [head + gap + first] + wrapped.dropFirst().map { margin + $0 }
  }

  /// The words of `text` in lines of at most `width` characters, unless a word is longer.
  static func wrap(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    return line.isEmpty ? lines : lines + [line]
  }
}
