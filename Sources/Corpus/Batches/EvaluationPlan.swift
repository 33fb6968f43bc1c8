/// The batches in which a split is evaluated: fixed by the data, whatever the number of ranks.
public struct EvaluationPlan: Sendable, Equatable {
  /// The sentences of each batch, shortest first over the whole plan.
  public let batches: [[Int]]

  /// Sorts sentences by their tokens, keeping the order of equal ones, and fills batches in that order.
  ///
  /// - Parameters:
  ///   - tokenCounts: The tokens of each sentence over all its windows. Shape `[sentences]`.
  ///   - tokenBudget: The most tokens of a batch; a sentence with more is a batch alone.
  public init(tokenCounts: [Int32], tokenBudget: Int) {
    precondition(tokenBudget > 0, "batches of \(tokenBudget) tokens")
    let order = tokenCounts.indices.sorted { left, right in
      tokenCounts[left] == tokenCounts[right]
        ? left < right : tokenCounts[left] < tokenCounts[right]
    }
    var batches: [[Int]] = []
    var filled = 0
    for sentence in order {
      let tokens = Int(tokenCounts[sentence])
      if batches.isEmpty || filled + tokens > tokenBudget {
        batches.append([])
        filled = 0
      }
      batches[batches.count - 1].append(sentence)
      filled += tokens
    }
    self.batches = batches
  }

  public init(_ split: Split, tokenBudget: Int) {
    self.init(tokenCounts: split.tokenCounts, tokenBudget: tokenBudget)
  }

  /// The indices of the batches that one of `ranks` ranks evaluates: every `ranks`-th from its own.
  public func batches(ofRank rank: Int, ranks: Int) -> StrideTo<Int> {
    precondition(rank >= 0 && rank < ranks, "rank \(rank) of \(ranks)")
    return stride(from: rank, to: batches.count, by: ranks)
  }
}
