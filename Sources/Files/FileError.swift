/// Something wrong with a file or directory: the path, the place in it, what is wrong and what to do.
public struct FileError: Error, Equatable, CustomStringConvertible {
  public enum Code: Sendable {
    /// The file or directory is not there or cannot be opened. Exit code 66.
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
  /// The tensor, header field, key or member (`model.vocab[3]`) in which the error is; nil when it is the whole file
  /// or a line.
  public var field: String?
  public var message: String
  /// The `errno` of the call that failed, when it was one.
  public var systemError: Int32?
  /// Whether the message is a sentence of which the field is the subject.
  private var isFieldSubject = false

  /// - Parameter message: What is wrong, and what to do; a colon stands before it.
  public init(
    _ code: Code, _ path: String, line: Int? = nil, field: String? = nil, _ message: String,
    systemError: Int32? = nil
  ) {
    self.code = code
    self.path = path
    self.line = line
    self.field = field
    self.message = message
    self.systemError = systemError
  }

  /// - Parameters:
  ///   - subject: The field in which the error is.
  ///   - predicate: What is wrong with the field, as the rest of a sentence: “is missing”.
  public init(
    _ code: Code, _ path: String, line: Int? = nil, subject: String?, _ predicate: String
  ) {
    self.init(code, path, line: line, field: subject, predicate)
    isFieldSubject = true
  }

  /// One line, `path:line: field: message`, whatever the file holds: names and words of hostile files are cut, and
  /// their control characters made visible.
  public var description: String {
    let place = printable(path, limit: 1024) + (line.map { ":\($0)" } ?? "") + ": "
    let subject = field.map { shown($0, limit: 200) + (isFieldSubject ? " " : ": ") } ?? ""
    return place + subject + shown(message, limit: 2048)
  }

  /// The two joiners stay as they are: words of Persian and Indic languages are spelt with them.
  private func shown(_ text: String, limit: Int) -> String {
    printable(text, limit: limit, except: ["\u{200C}", "\u{200D}"])
  }
}
