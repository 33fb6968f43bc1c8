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
  public var message: String

  public init(_ code: Code, _ path: String, line: Int? = nil, _ message: String) {
    self.code = code
    self.path = path
    self.line = line
    self.message = message
  }

  /// One line whatever the file holds: control characters of what a message quotes are replaced, and long ones cut.
  public var description: String {
    var text = line.map { "\(path):\($0): " } ?? "\(path): "
    for (index, scalar) in message.unicodeScalars.enumerated() {
      if index == Self.messageLimit { return text + "…" }
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator: text += "\u{FFFD}"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  private static let messageLimit = 2000
}
