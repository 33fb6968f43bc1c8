/// Precision, recall and F1 of span counts, each from 0 to 1, by seqeval's formulas to the last bit.
///
/// A ratio whose denominator is 0 is 0. The averages are those of seqeval's `classification_report`.
public struct SpanScores: Sendable {
  /// Precision, recall and F1.
  public struct Rates: Sendable, Equatable, Codable {
    public var precision: Double
    public var recall: Double
    public var f1: Double

    public init(precision: Double, recall: Double, f1: Double) {
      self.precision = precision
      self.recall = recall
      self.f1 = f1
    }

    init(_ row: SpanCounts.OfType) {
      self.init(gold: row.gold, predicted: row.predicted, correct: row.correct)
    }

    /// `correct ÷ predicted`, `correct ÷ gold`, and `2·p·r ÷ (p + r)`.
    package init(gold: Int, predicted: Int, correct: Int) {
      precision = predicted == 0 ? 0 : Double(correct) / Double(predicted)
      recall = gold == 0 ? 0 : Double(correct) / Double(gold)
      let sum = precision + recall
      f1 = sum == 0 ? 0 : 2 * precision * recall / sum
    }
  }

  public var counts: SpanCounts
  /// One entry for each type of `counts`, in their order.
  public var perType: [Rates]
  /// Of all spans together.
  public var micro: Rates
  /// The mean over types; nil if there is no type (seqeval's is then not a number).
  public var macro: Rates?
  /// The mean over types weighted by their gold spans; 0 if there is no gold span.
  public var weighted: Rates
  /// The share of tokens with the right tag; 0 if there is no token.
  public var accuracy: Double

  public init(_ counts: SpanCounts) {
    self.counts = counts
    perType = counts.types.map { Rates($0) }
    micro = Rates(counts.overall)
    macro = counts.types.isEmpty ? nil : Self.mean(perType, weights: nil)
    weighted = Self.mean(perType, weights: counts.types.map { Double($0.gold) })
    accuracy = counts.tokens == 0 ? 0 : Double(counts.correctTokens) / Double(counts.tokens)
  }

  private static func mean(_ rates: [Rates], weights: [Double]?) -> Rates {
    let total = weights?.reduce(0, +) ?? Double(rates.count)
    guard total > 0 else { return Rates(precision: 0, recall: 0, f1: 0) }
    func mean(_ value: (Rates) -> Double) -> Double {
      let values = rates.map(value)
      return pairwiseSum(weights.map { zip(values, $0).map { $0 * $1 } } ?? values) / total
    }
    return Rates(
      precision: mean { $0.precision }, recall: mean { $0.recall }, f1: mean { $0.f1 })
  }

  /// The sum in the order in which numpy adds a contiguous array of doubles: eight running sums over
  /// at most 128 elements, halves above that.
  static func pairwiseSum(_ values: some RandomAccessCollection<Double>) -> Double {
    let count = values.count
    if count < 8 { return values.reduce(0, +) }
    if count <= 128 {
      var partial = Array(values.prefix(8))
      let whole = count - count % 8
      for (index, value) in values.prefix(whole).enumerated().dropFirst(8) {
        partial[index % 8] += value
      }
      let folded =
        ((partial[0] + partial[1]) + (partial[2] + partial[3]))
        + ((partial[4] + partial[5]) + (partial[6] + partial[7]))
      return values.dropFirst(whole).reduce(folded, +)
    }
    let half = count / 2 - (count / 2) % 8
    return pairwiseSum(values.prefix(half)) + pairwiseSum(values.dropFirst(half))
  }
}
