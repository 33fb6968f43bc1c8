/// Where a run tells people how it goes. The first rank's reporter speaks; the others' are silent.
public struct Reporter: Sendable {
  /// One line that stays.
  public var line: @Sendable (String) -> Void
  /// How far a stage is: on a terminal the line is written over by the next.
  public var progress: @Sendable (String) -> Void

  public init(
    line: @escaping @Sendable (String) -> Void, progress: @escaping @Sendable (String) -> Void
  ) {
    self.line = line
    self.progress = progress
  }

  /// Says nothing.
  public static let silent = Reporter(line: { _ in }, progress: { _ in })
}
