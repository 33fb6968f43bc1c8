import Glibc

extension Tape {
  /// Cross entropy of the labelled rows, in nats, summed and not averaged.
  ///
  /// `Σ (1 − ε)·(lse(z[t]) − z[t, y[t]]) + ε/K · Σₖ (lse(z[t]) − z[t, k])` over rows with `y[t] ≥ 0`, as
  /// PyTorch's `CrossEntropyLoss(label_smoothing=ε, reduction="sum")`. The weight is the number of
  /// labelled rows.
  ///
  /// - Parameters:
  ///   - logits: Shape `[rows, labels]`.
  ///   - targets: Shape `[rows]`: a label, or a negative number for a row that is not scored.
  ///   - smoothing: ε, in `[0, 1)`.
  @discardableResult
  public func crossEntropy(
    _ logits: Tensor, targets: [Int32], smoothing: Float = 0, named name: String = "cross_entropy"
  ) -> LossTerm {
    let labels = logits.columns
    let space = logits.space
    precondition(targets.count == space.count, "\(targets.count) targets, \(space.count) rows")
    precondition(targets.allSatisfy { $0 < labels }, "a target out of \(labels) labels")
    precondition(smoothing >= 0 && smoothing < 1, "a label smoothing of \(smoothing)")
    var losses = [Double](repeating: 0, count: space.count)
    var weights = [Double](repeating: 0, count: space.segmentCount)
    for row in 0..<space.count where targets[row] >= 0 {
      let normaliser = logSumExp(logits, row: row)
      var picked = 0.0
      var total = 0.0
      for label in 0..<labels {
        let score = unsafe Double(logits.base[row * labels + label])
        if label == Int(targets[row]) { picked = score }
        total += normaliser - score
      }
      losses[row] =
        (1 - Double(smoothing)) * (normaliser - picked) + Double(smoothing) / Double(labels) * total
    }
    var sums = [Double](repeating: 0, count: space.segmentCount)
    for segment in 0..<space.segmentCount {
      for row in space.segmentBounds[segment]..<space.segmentBounds[segment + 1]
      where targets[row] >= 0 {
        sums[segment] += losses[row]
        weights[segment] += 1
      }
    }
    let term = LossTerm(name: name, segmentSums: sums, segmentWeights: weights)
    record(term)
    guard logits.needsGradient else { return term }
    record("cross-entropy") { [self] in
      if term.seed == 0 { return }
      let target = unsafe claimGradient(logits)
      forEachBlock(of: space) { block in
        for row in block {
          let gradient = unsafe target.pointer + row * labels
          let scored = targets[row] >= 0
          let normaliser = scored ? logSumExp(logits, row: row) : 0
          for label in 0..<labels {
            var value: Float = 0
            if scored {
              let score = unsafe Double(logits.base[row * labels + label])
              let wanted =
                (label == Int(targets[row]) ? 1 - Double(smoothing) : 0)
                + Double(smoothing) / Double(labels)
              value = Float(Double(term.seed) * (exp(score - normaliser) - wanted))
            }
            unsafe gradient[label] = target.adds ? gradient[label] + value : value
          }
        }
      }
    }
    return term
  }

  func logSumExp(_ logits: Tensor, row: Int) -> Double {
    let base = unsafe logits.base + row * logits.columns
    var largest = -Double.infinity
    for label in 0..<logits.columns { largest = unsafe max(largest, Double(base[label])) }
    if !largest.isFinite { return unsafe Double(base[0]) + largest }
    var sum = 0.0
    for label in 0..<logits.columns { unsafe sum += exp(Double(base[label]) - largest) }
    return largest + log(sum)
  }
}
