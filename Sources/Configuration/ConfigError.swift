/// A place in a configuration: the file, or the command line's override, and where in it.
public struct Place: Sendable, Hashable {
  /// The path of the file as it was given, or `override 'key=value'`.
  public var source: String
  /// From 1.
  public var line: Int
  /// In characters, from 1.
  public var column: Int

  public init(_ source: String, line: Int, column: Int) {
    self.source = source
    self.line = line
    self.column = column
  }
}

/// Something wrong in a configuration: the place, what is wrong, and what to do.
public struct ConfigError: Error, Equatable, CustomStringConvertible {
  public enum Code: Sendable {
    /// The file is not there or cannot be opened. Exit code 66.
    case missing
    /// The file is there and what it says cannot be run. Exit code 78.
    case content
    /// Reading failed. Exit code 74.
    case io
  }
  public var code: Code
  /// The path of the file as it was given, or `override 'key=value'`.
  public var path: String
  /// From 1; nil when the error is not at a line.
  public var line: Int?
  /// In characters, from 1; nil when the error is not at a line.
  public var column: Int?
  public var message: String

  /// An error of the file itself, at no line.
  public init(_ code: Code, _ path: String, _ message: String) {
    self.code = code
    self.path = path
    self.message = message
  }

  /// An error of what the configuration says at `place`.
  public init(_ place: Place, _ message: String) {
    self.code = .content
    self.path = place.source
    self.line = place.line
    self.column = place.column
    self.message = message
  }

  /// One line, `path:line:column: message`, whatever characters the file or the override holds.
  public var description: String {
    let place = [line, column].compactMap { $0.map { ":\($0)" } }.joined()
    return "\(path)\(place): \(message)".onOneLine
  }
}

extension String {
  /// The text with each control character and line separator replaced by its escape.
  var onOneLine: String {
    var line = ""
    for scalar in unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator:
        line += scalar.escaped(asASCII: true)
      default: line.unicodeScalars.append(scalar)
      }
    }
    return line
  }

  /// The text in quotes for a message, cut after 60 characters.
  var quotedForMessage: String { count > 60 ? "'\(prefix(57))…'" : "'\(self)'" }
}
