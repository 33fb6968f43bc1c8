/// Where a run is: equal on all ranks whenever they communicate.
public struct RunPosition: Sendable, Equatable {
  /// The steps done, over all stages.
  public var step: Int
  /// A hash of the data of the step.
  public var cursor: UInt32

  public init(step: Int = 0, cursor: UInt32 = 0) {
    self.step = step
    self.cursor = cursor
  }
}
