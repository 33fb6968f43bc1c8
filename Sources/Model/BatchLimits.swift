/// The tables of a network that a batch indexes: ids, positions and types outside of them are errors of the batch.
public struct BatchLimits: Sendable, Equatable {
  /// Ids are below it.
  public var vocabulary: Int
  /// Tokens of a sequence at most; positions are below it.
  public var longestSequence: Int
  /// Token types are below it.
  public var tokenTypes: Int

  public init(vocabulary: Int, longestSequence: Int, tokenTypes: Int) {
    self.vocabulary = vocabulary
    self.longestSequence = longestSequence
    self.tokenTypes = tokenTypes
  }
}
