public import Determinism
public import Tokenizers

/// How sequences of text become the batches of a masked language model.
public struct MaskedBatches: Sendable {
  public let shape: SequenceShape
  public let masking: Masking
  public let specials: SpecialTokens
  /// Before the name of a sequence's random numbers.
  public let seed: UInt64

  public init(shape: SequenceShape, masking: Masking, specials: SpecialTokens, seed: UInt64) {
    self.shape = shape
    self.masking = masking
    self.specials = specials
    self.seed = seed
  }

  /// An item of a step.
  public typealias Item = (reference: ItemReference, sequence: TextSequence)

  /// What a rank works on in a step: its shards, each a segment.
  ///
  /// What is hidden of an item follows from the seed, `name` and the item's index in the step alone. It is told as the
  /// batch's words: the place of each hidden token, and the id that is wanted there.
  ///
  /// - Parameters:
  ///   - items: Of the whole step.
  ///   - assignment: The items of every shard.
  ///   - shards: The shards of this rank.
  ///   - name: Names the step, such as `["train", stage, step]`.
  public func batch(
    _ items: [Item], assignment: [[Int]], shards: Range<Int>, name: [StreamPart]
  ) -> PackedBatch {
    var batch = PackedBatch()
    for shard in shards {
      for index in assignment[shard] { append(items[index], key: index, name, to: &batch) }
      batch.segmentBounds.append(batch.itemCount)
    }
    return batch
  }

  private func append(_ item: Item, key: Int, _ name: [StreamPart], to batch: inout PackedBatch) {
    var (ids, parts) = item.sequence.tokens(shape, specials)
    var random = RandomStream(seed: seed, ["mask"] + name + [.number(key)])
    let (places, wanted) = masking.hide(&ids, random: &random)
    let first = batch.tokenIDs.count
    batch.tokenIDs += ids
    for length in parts {
      for position in 0..<length { batch.positions.append(Int32(position)) }
      batch.sequenceBounds.append(batch.positions.count)
    }
    batch.tokenTypes.append(contentsOf: repeatElement(0, count: ids.count))
    batch.itemBounds.append(batch.sequenceBounds.count - 1)
    batch.itemKeys.append(UInt32(key))
    batch.items.append(item.reference)
    batch.wordTokens += places.map { Int32(first) + $0 }
    batch.wordLabels += wanted
    batch.wordBounds.append(batch.wordTokens.count)
  }
}
