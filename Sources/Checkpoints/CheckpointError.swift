/// Something wrong with a checkpoint on disk: the file, what in it, what is wrong and what to do.
public struct CheckpointError: Error, Equatable, CustomStringConvertible {
  public enum Code: Sendable {
    /// The file or directory is not there. Exit code 66.
    case missing
    /// The file is there and its content is wrong. Exit code 65.
    case data
    /// Reading or writing failed. Exit code 74.
    case io
  }
  public var code: Code
  public var path: String
  /// The tensor, header field or key in which the error is; nil when it is the whole file.
  public var field: String?
  public var message: String
  /// The `errno` of the call that failed, when it was one.
  public var systemError: Int32?

  public init(
    _ code: Code, _ path: String, field: String? = nil, _ message: String,
    systemError: Int32? = nil
  ) {
    self.code = code
    self.path = path
    self.field = field
    self.message = message
    self.systemError = systemError
  }

  /// One line: names out of hostile files are cut, and their control characters made visible.
  public var description: String {
    let place =
      printable(path, limit: 1024) + (field.map { ": " + printable($0, limit: 120) } ?? "")
    return place + ": " + printable(message, limit: 2048)
  }
}

/// `text` without control characters, cut after `limit` of its scalars.
func printable(_ text: String, limit: Int) -> String {
  var line = ""
  for (index, scalar) in text.unicodeScalars.enumerated() {
    if index == limit { return line + "…" }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator:
      line += "\\u{" + String(scalar.value, radix: 16) + "}"
    default: line.unicodeScalars.append(scalar)
    }
  }
  return line
}
