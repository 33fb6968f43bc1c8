public import Configuration
public import Tensors

/// A command of the program that is about one task alone. Options of threads and precision are added to its own.
public struct TaskCommand: Sendable {
  /// What a command is called with.
  public struct Call {
    public var arguments: ParsedArguments
    public var workspace: Workspace
    /// The next line of standard input without its end; nil where there is none.
    public var nextLine: () -> [UInt8]?
    /// Prints a value as one JSON object a line.
    public var printJSON: (any Encodable) throws -> Void

    public init(
      arguments: ParsedArguments, workspace: Workspace, nextLine: @escaping () -> [UInt8]?,
      printJSON: @escaping (any Encodable) throws -> Void
    ) {
      self.arguments = arguments
      self.workspace = workspace
      self.nextLine = nextLine
      self.printJSON = printJSON
    }
  }

  public var name: String
  public var summary: String
  public var positionals: [Positional]
  public var options: [Option]
  public var notes: [String]
  public var run: @Sendable (Call) throws -> Void

  public init(
    _ name: String, _ summary: String, positionals: [Positional] = [], options: [Option] = [],
    notes: [String] = [], run: @escaping @Sendable (Call) throws -> Void
  ) {
    self.name = name
    self.summary = summary
    self.positionals = positionals
    self.options = options
    self.notes = notes
    self.run = run
  }
}
