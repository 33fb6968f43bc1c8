public import Tokenizers

/// A sequence of a packed text: a range of a shard's ids.
public struct TextSequence: Sendable {
  public let shard: TokenShard
  public let range: Range<Int>

  public init(shard: TokenShard, range: Range<Int>) {
    self.shard = shard
    self.range = range
  }

  /// The lengths of its parts, as ``tokens(_:_:)`` gives them.
  public func lengths(_ shape: SequenceShape, _ specials: SpecialTokens) -> [Int] {
    if shape.attention == .document { return tokens(shape, specials).parts }
    return [range.count + (shard[range.upperBound - 1] == specials.end ? 1 : 2)]
  }

  /// The ids with their special tokens, and the lengths of the parts that attend to themselves alone.
  ///
  /// A part opens with the tokenizer's opening token and closes with its closing one, once.
  public func tokens(
    _ shape: SequenceShape, _ specials: SpecialTokens
  ) -> (ids: [Int32], parts: [Int]) {
    var text: [Int32] = []
    text.reserveCapacity(range.count)
    shard.append(range, to: &text)
    var ids: [Int32] = []
    ids.reserveCapacity(text.count + 2)
    var parts: [Int] = []
    var rest = text[...]
    while !rest.isEmpty {
      var count = rest.count
      if shape.attention == .document, let end = rest.firstIndex(of: shard.documentEnd) {
        count = end + 1 - rest.startIndex
      }
      let first = ids.count
      ids.append(specials.start)
      ids += rest.prefix(count)
      if ids[ids.count - 1] != specials.end { ids.append(specials.end) }
      parts.append(ids.count - first)
      rest = rest.dropFirst(count)
    }
    return (ids, parts)
  }
}
