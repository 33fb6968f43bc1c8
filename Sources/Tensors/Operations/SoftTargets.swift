import Glibc

extension Tape {
  /// Cross entropy against distributions over labels, in nats, summed and not averaged: the loss of distillation (Hinton et
  /// al., 2015) and of averaged labels.
  ///
  /// `Σ w[t] · Σₖ y[t, k] · (lse(z[t]) − z[t, k])`, as PyTorch's `CrossEntropyLoss(reduction="none")` with probabilities as
  /// targets, weighted by rows. A row whose targets are all zero is not scored. The weight is the sum of `w` over scored
  /// rows.
  ///
  /// Cost: one pass over the logits forward and one backward.
  ///
  /// - Parameters:
  ///   - logits: z, shape `[rows, labels]`.
  ///   - targets: y, shape `[rows, labels]`, row-major, at least 0. Rows need not sum to 1.
  ///   - weights: w, shape `[rows]`; nil for all 1.
  @discardableResult
  public func softCrossEntropy(
    _ logits: Tensor, targets: [Float], weights: [Float]? = nil,
    named name: String = "soft_cross_entropy"
  ) -> LossTerm {
    let labels = logits.columns
    let space = logits.space
    precondition(
      targets.count == logits.count, "\(targets.count) targets for \(space.count) × \(labels)")
    precondition(targets.allSatisfy { $0 >= 0 }, "a target below 0")
    precondition(weights.map { $0.count == space.count } ?? true, "one weight for each row")
    // The sum of a row's targets; 0 where the row is not scored.
    let totals = (0..<space.count).map { row in
      targets[row * labels..<(row + 1) * labels].reduce(0.0) { $0 + Double($1) }
    }
    func weight(_ row: Int) -> Double { weights.map { Double($0[row]) } ?? 1 }
    var sums = [Double](repeating: 0, count: space.segmentCount)
    var scored = sums
    for segment in 0..<space.segmentCount {
      for row in space.segmentBounds[segment]..<space.segmentBounds[segment + 1]
      where totals[row] > 0 {
        let normaliser = logSumExp(logits, row: row)
        var loss = 0.0
        for label in 0..<labels where targets[row * labels + label] > 0 {
          let score = unsafe Double(logits.base[row * labels + label])
          loss += Double(targets[row * labels + label]) * (normaliser - score)
        }
        sums[segment] += weight(row) * loss
        scored[segment] += weight(row)
      }
    }
    let term = LossTerm(name: name, segmentSums: sums, segmentWeights: scored)
    record(term)
    guard logits.needsGradient else { return term }
    record("soft cross-entropy") { [self] in
      if term.seed == 0 { return }
      let target = unsafe claimGradient(logits)
      forEachBlock(of: space) { block in
        for row in block {
          let gradient = unsafe target.pointer + row * labels
          let normaliser = totals[row] > 0 ? logSumExp(logits, row: row) : 0
          let factor = Double(term.seed) * weight(row)
          for label in 0..<labels {
            var value: Float = 0
            if totals[row] > 0 {
              let score = unsafe Double(logits.base[row * labels + label])
              let wanted = Double(targets[row * labels + label])
              value = Float(factor * (totals[row] * exp(score - normaliser) - wanted))
            }
            unsafe gradient[label] = target.adds ? gradient[label] + value : value
          }
        }
      }
    }
    return term
  }

  /// The squared distance from float targets, summed and not averaged.
  ///
  /// `Σ w[t] · Σₖ (x[t, k] − y[t, k])²`, as PyTorch's `MSELoss(reduction="none")` weighted by rows. The weight is the sum of
  /// `w` times the columns, so that sum over weight is the mean over elements that `MSELoss` gives.
  ///
  /// Cost: one pass over the elements forward and one backward.
  ///
  /// - Parameters:
  ///   - targets: y, of the shape of `x`, row-major.
  ///   - weights: w, shape `[rows]`; nil for all 1. A row of weight 0 is not scored.
  @discardableResult
  public func squaredError(
    _ x: Tensor, targets: [Float], weights: [Float]? = nil, named name: String = "squared_error"
  ) -> LossTerm {
    let columns = x.columns
    let space = x.space
    precondition(
      targets.count == x.count, "\(targets.count) targets for \(space.count) × \(columns)")
    precondition(weights.map { $0.count == space.count } ?? true, "one weight for each row")
    func weight(_ row: Int) -> Double { weights.map { Double($0[row]) } ?? 1 }
    var sums = [Double](repeating: 0, count: space.segmentCount)
    var scored = sums
    for segment in 0..<space.segmentCount {
      for row in space.segmentBounds[segment]..<space.segmentBounds[segment + 1]
      where weight(row) != 0 {
        var loss = 0.0
        for index in row * columns..<(row + 1) * columns {
          let difference = unsafe Double(x.base[index]) - Double(targets[index])
          loss += difference * difference
        }
        sums[segment] += weight(row) * loss
        scored[segment] += weight(row) * Double(columns)
      }
    }
    let term = LossTerm(name: name, segmentSums: sums, segmentWeights: scored)
    record(term)
    guard x.needsGradient else { return term }
    record("squared error") { [self] in
      if term.seed == 0 { return }
      let target = unsafe claimGradient(x)
      forEachBlock(of: space) { block in
        for row in block {
          let factor = 2 * Double(term.seed) * weight(row)
          for index in row * columns..<(row + 1) * columns {
            let difference = unsafe Double(x.base[index]) - Double(targets[index])
            let value = factor == 0 ? 0 : Float(factor * difference)
            unsafe target.pointer[index] = target.adds ? target.pointer[index] + value : value
          }
        }
      }
    }
    return term
  }
}
