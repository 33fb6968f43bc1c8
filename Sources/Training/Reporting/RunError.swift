/// Why a run cannot go on, where no part of it has an error of its own.
public struct RunError: Error, Sendable, CustomStringConvertible {
  public enum Code: Sendable {
    /// The config asks for what cannot be. Exit code 78.
    case configuration
    /// The data cannot be trained on. Exit code 65.
    case data
    /// Numbers left the finite. Exit code 70.
    case notFinite
    /// Weights of ranks differ that must be equal. Exit code 70.
    case diverged
    /// Reading or writing failed. Exit code 74.
    case io
    /// Another rank has failed and says why.
    case elsewhere
  }
  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}
