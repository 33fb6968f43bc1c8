extension PackedBatch {
  /// What a rank works on in a training step: its shards, each a segment.
  ///
  /// - Parameters:
  ///   - step: The items of the whole step. An item's key is its index here.
  ///   - assignment: The items of every shard, as ``Sharding/assign(costs:shards:)`` gives them.
  ///   - shards: The shards of this rank, as `FoldTree.nodes` gives them.
  ///   - splits: The sentences, by the language index of the references.
  public init(
    step: some RandomAccessCollection<ItemReference>, assignment: [[Int]], shards: Range<Int>,
    splits: [Split]
  ) {
    precondition(
      assignment.indices.contains(shards) || shards.isEmpty,
      "shards \(shards) of \(assignment.count)")
    self.init()
    for shard in shards {
      for item in assignment[shard] {
        append(step[step.index(step.startIndex, offsetBy: item)], key: item, from: splits)
      }
      segmentBounds.append(itemCount)
    }
  }

  /// A batch of one segment, for evaluation: the sentences of a split in the given order, each with its
  /// place in that order as its key.
  public init(sentences: some Sequence<Int>, language: Int, of split: Split) {
    self.init()
    for (key, sentence) in sentences.enumerated() {
      append(ItemReference(language: language, index: sentence), key: key, split: split)
    }
    segmentBounds.append(itemCount)
  }

  private mutating func append(_ item: ItemReference, key: Int, from splits: [Split]) {
    precondition(
      splits.indices.contains(item.language), "language \(item.language) of \(splits.count)")
    append(item, key: key, split: splits[item.language])
  }

  private mutating func append(_ item: ItemReference, key: Int, split: Split) {
    precondition(item.index < split.count, "sentence \(item.index) of \(split.count)")
    let itemStart = tokenIDs.count
    let windows = split.sentenceBounds[item.index]..<split.sentenceBounds[item.index + 1]
    for window in windows {
      let tokens = split.windowBounds[window]..<split.windowBounds[window + 1]
      tokenIDs += split.tokens[tokens]
      for position in 0..<tokens.count { positions.append(Int32(position)) }
      sequenceBounds.append(tokenIDs.count)
    }
    tokenTypes.append(contentsOf: repeatElement(0, count: tokenIDs.count - itemStart))
    itemBounds.append(sequenceBounds.count - 1)
    itemKeys.append(UInt32(key))
    items.append(item)
    let words = split.wordBounds[item.index]..<split.wordBounds[item.index + 1]
    for token in split.wordTokens[words] { wordTokens.append(Int32(itemStart) + token) }
    wordLabels += split.labels[words]
    wordBounds.append(wordTokens.count)
  }
}
