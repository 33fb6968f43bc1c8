/// What one rank works on in one step: sequences packed one after the other, without padding.
///
/// Levels nest: tokens in sequences (windows of at most the model's length), sequences in items (a
/// sentence, the unit of sharding), items in segments (shards). Each level is a list of bounds into the
/// level below, of one entry more than it has members, from 0. A segment may be empty.
public struct PackedBatch: Sendable, Equatable {
  /// The id of each token. Shape `[tokens]`.
  public var tokenIDs: [Int32] = []
  /// The position of each token in its sequence, from 0, before any model's offset. Shape `[tokens]`.
  public var positions: [Int32] = []
  /// The token type of each token (0 unless a method says otherwise). Shape `[tokens]`.
  public var tokenTypes: [Int32] = []
  /// Token bounds of the sequences. Shape `[sequences + 1]`.
  public var sequenceBounds: [Int] = [0]
  /// Sequence bounds of the items. Shape `[items + 1]`.
  public var itemBounds: [Int] = [0]
  /// Item bounds of the segments. Shape `[segments + 1]`.
  public var segmentBounds: [Int] = [0]
  /// The index of each item in the step's global batch: what its random numbers are keyed by,
  /// whichever rank holds it. Shape `[items]`.
  public var itemKeys: [UInt32] = []
  /// Which sentence each item is, for messages and for putting predictions back. Shape `[items]`.
  public var items: [ItemReference] = []
  /// The token that stands for each scored word, in word order within each item. Shape `[words]`.
  public var wordTokens: [Int32] = []
  /// The label of each scored word, an index into the label set of the item's language, or −1 for a
  /// word that is not scored. Shape `[words]`.
  public var wordLabels: [Int32] = []
  /// Word bounds of the items. Shape `[items + 1]`.
  public var wordBounds: [Int] = [0]

  public init() {}

  public var tokenCount: Int { tokenIDs.count }
  public var itemCount: Int { itemBounds.count - 1 }
  public var segmentCount: Int { segmentBounds.count - 1 }
}

/// An item of the data, such as a sentence: the index of its language in the config's order, and its index among that
/// language's items.
public struct ItemReference: Sendable, Hashable {
  public var language: Int
  public var index: Int

  public init(language: Int, index: Int) {
    self.language = language
    self.index = index
  }
}
