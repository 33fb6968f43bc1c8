/// Something wrong in a file of text, tags or pieces: the place, what is wrong, and what to do.
public struct CorpusError: Error, Equatable, CustomStringConvertible {
  public enum Code: Sendable {
    /// The file is not there or cannot be opened. Exit code 66.
    case missing
    /// The file is there and its content is wrong. Exit code 65.
    case data
    /// Reading or writing failed. Exit code 74.
    case io
  }
  public var code: Code
  public var path: String
  /// The line, from 1; nil when the error is not at a line.
  public var line: Int?
  /// The member of a tokenizer's file or of its settings in which the error is, `model.vocab[3]`; nil when it is the whole
  /// file or a line.
  public var field: String?
  public var message: String

  public init(
    _ code: Code, _ path: String, line: Int? = nil, field: String? = nil, _ message: String
  ) {
    self.code = code
    self.path = path
    self.line = line
    self.field = field
    self.message = message
  }

  /// One line whatever the file holds: control characters of what a message quotes are replaced, and long ones cut.
  public var description: String {
    let place = line.map { "\(path):\($0): " } ?? "\(path): "
    let field = self.field.map { shown($0, limit: 200) + " " } ?? ""
    return place + field + shown(message, limit: 2000)
  }

  private func shown(_ words: String, limit: Int) -> String {
    var text = ""
    for (index, scalar) in words.unicodeScalars.enumerated() {
      if index == limit { return text + "…" }
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator: text += "\u{FFFD}"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}
