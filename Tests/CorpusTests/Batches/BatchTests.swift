import Corpus
import Determinism
import Files
import TestSupport
import Testing
import Tokenizers

private let shape = WindowShape(maxLength: 9, overlap: 3)

/// Sentences of random letters, labelled, of two languages.
private func splits() throws -> [Split] {
  var random = RandomStream(seed: 5, "batches")
  return try [40, 25].map { count in
    let sentences = (0..<count).map { line in
      let words = (0...random.below(12)).map { _ in
        String(
          (0...random.below(5)).map { _ in Character(UnicodeScalar(UInt8(97 + random.below(26)))) })
      }
      return Sentence(
        words: words, tags: words.map { $0 < "m" ? "O" : "B-X" }, path: "x", line: line + 1)
    }
    return try Split(
      sentences, labels: LabelSet(ordered: ["B-X", "O"]), tokenizer: LetterTokenizer(), shape: shape
    )
  }
}

@Suite struct ShardingTests {
  @Test func costliestItemsAreDealtFirst() {
    #expect(Sharding.assign(costs: [3, 9, 4, 5, 1], shards: 2) == [[0, 1], [2, 3, 4]])
    #expect(Sharding.assign(costs: [2, 2, 2, 2], shards: 3) == [[0, 3], [1], [2]])
    #expect(Sharding.assign(costs: [], shards: 2) == [[], []])
    #expect(Sharding.assign(costs: [7], shards: 3) == [[0], [], []])
  }

  @Test func everyItemIsDealtOnceAndShardsAreBalanced() {
    for seed in UInt64(0)..<100 {
      var random = RandomStream(seed: seed, "costs")
      let costs = (0..<random.below(60)).map { _ in 1 + random.below(1000) }
      let shards = 1 + random.below(9)
      let assignment = Sharding.assign(costs: costs, shards: shards)
      #expect(assignment.count == shards)
      #expect(assignment.joined().sorted() == Array(costs.indices), "seed \(seed)")
      #expect(assignment.allSatisfy { $0 == $0.sorted() }, "seed \(seed)")
      // Graham's bound for greedy dealing: the fullest shard had at most the mean of the others before its
      // last item.
      let loads = assignment.map { $0.reduce(0) { $0 + costs[$1] } }
      let mean = Double(costs.reduce(0, +)) / Double(shards)
      let bound = mean + Double(costs.max() ?? 0) * (1 - 1 / Double(shards))
      #expect(Double(loads.max() ?? 0) <= bound + 1e-9, "seed \(seed)")
    }
  }
}

@Suite struct PackedBatchTests {
  @Test func levelsNestAndWordsPointAtTheirTokens() throws {
    let splits = try splits()
    let step = Array(EpochPlan(plan(splits), epoch: 0)[1])
    let batch = PackedBatch(
      step: step, assignment: Sharding.assign(costs: costs(step, splits), shards: 3), shards: 0..<3,
      splits: splits)
    #expect(batch.segmentCount == 3 && batch.itemCount == step.count)
    #expect(batch.segmentBounds.last == batch.itemCount)
    #expect(batch.itemBounds.last == batch.sequenceBounds.count - 1)
    #expect(batch.sequenceBounds.last == batch.tokenCount)
    #expect(
      batch.positions.count == batch.tokenCount
        && batch.tokenTypes == batch.positions.map { _ in 0 })
    #expect(batch.wordBounds.count == batch.itemCount + 1)
    for sequence in 0..<batch.sequenceBounds.count - 1 {
      let tokens = batch.sequenceBounds[sequence]..<batch.sequenceBounds[sequence + 1]
      #expect(batch.tokenIDs[tokens.lowerBound] == 0 && batch.tokenIDs[tokens.upperBound - 1] == 1)
      #expect(Array(batch.positions[tokens]) == (0..<Int32(tokens.count)).map { $0 })
      #expect(tokens.count <= shape.maxLength)
    }
    for item in 0..<batch.itemCount {
      let reference = batch.items[item]
      #expect(step[Int(batch.itemKeys[item])] == reference)
      let split = splits[reference.language]
      let words = batch.wordBounds[item]..<batch.wordBounds[item + 1]
      #expect(Array(batch.wordLabels[words]) == Array(split.labels(of: reference.index)))
      let tokens =
        batch.sequenceBounds[
          batch.itemBounds[item]]..<batch.sequenceBounds[
          batch.itemBounds[item + 1]]
      #expect(tokens.count == split.tokenCount(of: reference.index))
      #expect(batch.wordTokens[words].allSatisfy { tokens.contains(Int($0)) })
      // Labels were made from the first letter, which the scored token is the id of.
      for word in words {
        let first = batch.tokenIDs[Int(batch.wordTokens[word])]
        #expect(batch.wordLabels[word] == (first < Int32(UInt8(ascii: "m") - 97 + 4) ? 1 : 0))
      }
    }
  }

  @Test(arguments: [1, 2, 3, 4, 7, 8])
  func ranksTogetherHoldTheSameSegments(ranks: Int) throws {
    let splits = try splits()
    let shards = 8
    for stepIndex in 0..<3 {
      let step = EpochPlan(plan(splits), epoch: 0)[stepIndex]
      let assignment = Sharding.assign(costs: costs(Array(step), splits), shards: shards)
      let singles = (0..<shards).map {
        PackedBatch(step: step, assignment: assignment, shards: $0..<$0 + 1, splits: splits)
      }
      for node in FoldTree.nodes(shards: shards, ranks: ranks) {
        let batch = PackedBatch(step: step, assignment: assignment, shards: node, splits: splits)
        #expect(batch.segmentCount == node.count)
        let parts = singles[node]
        #expect(batch.tokenIDs == parts.flatMap(\.tokenIDs))
        #expect(batch.positions == parts.flatMap(\.positions))
        #expect(batch.itemKeys == parts.flatMap(\.itemKeys))
        #expect(batch.items == parts.flatMap(\.items))
        #expect(batch.wordLabels == parts.flatMap(\.wordLabels))
        var items = 0
        for (segment, part) in parts.enumerated() {
          items += part.itemCount
          #expect(batch.segmentBounds[segment + 1] == items)
        }
      }
      #expect(singles.flatMap(\.itemKeys).sorted() == (0..<UInt32(step.count)).map { $0 })
    }
  }

  @Test func anEmptyShardIsAnEmptySegment() throws {
    let splits = try splits()
    let step = [ItemReference(language: 1, index: 3)]
    let batch = PackedBatch(
      step: step, assignment: Sharding.assign(costs: [1], shards: 3), shards: 0..<3, splits: splits)
    #expect(batch.segmentBounds == [0, 1, 1, 1])
    let nothing = PackedBatch(
      step: step, assignment: Sharding.assign(costs: [1], shards: 3), shards: 1..<3, splits: splits)
    #expect(nothing.tokenCount == 0 && nothing.segmentCount == 2)
  }

  @Test func evaluationBatchesDoNotDependOnRanks() throws {
    let split = try splits()[0]
    let plan = EvaluationPlan(split, tokenBudget: 60)
    let order = plan.batches.flatMap { $0 }
    #expect(order.sorted() == Array(0..<split.count))
    #expect(
      zip(order, order.dropFirst()).allSatisfy {
        (split.tokenCount(of: $0), $0) < (split.tokenCount(of: $1), $1)
      })
    for batch in plan.batches {
      let tokens = batch.reduce(0) { $0 + split.tokenCount(of: $1) }
      #expect(tokens <= 60 || batch.count == 1)
      let packed = PackedBatch(sentences: batch, language: 4, of: split)
      #expect(packed.segmentBounds == [0, batch.count] && packed.tokenCount == tokens)
      #expect(packed.items == batch.map { ItemReference(language: 4, index: $0) })
    }
    for ranks in 1...plan.batches.count + 1 {
      let all = (0..<ranks).flatMap { Array(plan.batches(ofRank: $0, ranks: ranks)) }
      #expect(all.sorted() == Array(plan.batches.indices))
    }
  }

  private func plan(_ splits: [Split]) -> StageSampling {
    StageSampling(
      seed: 1, stage: 0, sentenceCounts: splits.map(\.count), alpha: 0.5, stepSize: .sentences(16))
  }

  private func costs(_ step: [ItemReference], _ splits: [Split]) -> [Int] {
    step.map {
      // As an encoder's: linear in the tokens, and square in the length of a sequence.
      splits[$0.language].windowLengths(of: $0.index).reduce(0) { $0 + 2304 * $1 + $1 * $1 }
    }
  }
}

@Suite struct LedgerTests {
  @Test func theTableIsAligned() {
    var large = Split.Facts()
    large.sentences = 14041
    large.words = 203621
    large.tokens = 250000
    large.windows = 14050
    large.cutWords = 2
    var small = Split.Facts()
    small.sentences = 5
    small.words = 6
    small.tokens = 17
    small.windows = 5
    small.unknownWords = 1
    let ledger = Ledger(
      languages: ["en", "yor"], facts: [large, small], plannedShares: [0.75, 0.25], draws: [2, 1])
    #expect(
      TextTable(ledger.cells).text == """
        language  planned %  drawn %  sentences   words  tokens  windows  cut words  unknown words
        en             75.0     66.7      14041  203621  250000    14050          2              0
        yor            25.0     33.3          5       6      17        5          0              1
        all           100.0    100.0      14046  203627  250017    14055          2              1

        """)
    #expect(
      Ledger(languages: ["en"], facts: [small], plannedShares: [1], draws: [0]).cells.count
        == 2)
  }
}
