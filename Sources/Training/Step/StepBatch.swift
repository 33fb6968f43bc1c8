public import Corpus

/// A batch of a method's own type. The loop reads no more of it than how its items are dealt and what they are called; soft
/// labels, pairs and decoder targets are between the feed and the method.
public protocol StepBatch: Sendable {
  /// Item bounds of the segments, from 0: a segment is a shard. Shape `[segments + 1]`.
  var segmentBounds: [Int] { get }
  /// The index of each item in the step: what its random numbers are keyed by. Shape `[items]`.
  var itemKeys: [UInt32] { get }
  /// Which item of the data each is, for messages. Shape `[items]`.
  var items: [ItemReference] { get }
  /// The tokens, bytes or whatever else the batch's work grows with.
  var tokenCount: Int { get }
  /// What stands at a token of an item, for messages: `id 17`; nil where there is nothing to say.
  func description(ofToken token: Int, item: Int) -> String?
}

extension StepBatch {
  public var segmentCount: Int { segmentBounds.count - 1 }

  public func description(ofToken token: Int, item: Int) -> String? { nil }
}

extension PackedBatch: StepBatch {
  public func description(ofToken token: Int, item: Int) -> String? {
    let place = sequenceBounds[itemBounds[item]] + token
    return place < tokenCount ? "id \(tokenIDs[place])" : nil
  }
}
