extension Tape {
  /// `Σ w·x` over all elements: a term whose gradient is the given weights. For tests of operations.
  package func weightedSum(_ x: Tensor, weights: [Float]) -> LossTerm {
    precondition(weights.count == x.count, "\(weights.count) weights of \(x.count) elements")
    let sum = x.withSpan { span in
      span.indices.reduce(0.0) { $0 + Double(weights[$1]) * Double(span[$1]) }
    }
    let term = LossTerm(name: "weighted_sum", segmentSums: [sum], segmentWeights: [1])
    record(term)
    record("weighted sum") { [self] in
      let target = unsafe claimGradient(x)
      for (index, weight) in weights.enumerated() {
        let value = weight * term.seed
        unsafe target.pointer[index] = target.adds ? target.pointer[index] + value : value
      }
    }
    return term
  }
}
