import Corpus

/// What two systems found in each sentence of one language, over paired seeds: the numbers that a resample adds up.
///
/// A unit is what is drawn or swapped whole: a sentence, or a document where the corpus marks documents.
package struct PairedRows: Sendable {
  /// The systems' runs that are paired: one a seed that both have, or one if neither says its seed.
  package let seeds: Int
  package let units: Int
  /// A row a unit: gold spans, then predicted and correct of the first system's runs, then those of the second's. Shape
  /// `[units, 1 + 4 · seeds]`.
  package let values: [Int]

  package var width: Int { Self.width(seeds: seeds) }

  static func width(seeds: Int) -> Int { 1 + 4 * seeds }

  /// - Parameter byDocument: Whether documents are units where they are marked.
  /// - Precondition: All of equal gold, and of equal documents; as many runs of one as of the other.
  init(_ first: [SentenceCounts], _ second: [SentenceCounts], byDocument: Bool) {
    precondition(first.count == second.count && !first.isEmpty, "runs that are no pairs")
    let sentences = first[0].sentences
    seeds = first.count
    let width = Self.width(seeds: seeds)
    var unitOfSentence = [Int](0..<sentences)
    let documents = (0..<sentences).map { first[0][$0, .document] }
    if byDocument, let last = documents.max(), last > 0 {
      unitOfSentence = documents
      units = last + 1
    } else {
      units = sentences
    }
    var values = [Int](repeating: 0, count: units * width)
    for sentence in 0..<sentences {
      let start = unitOfSentence[sentence] * width
      values[start] += first[0].sum(.gold, ofSentence: sentence)
      for (index, counts) in (first + second).enumerated() {
        values[start + 1 + 2 * index] += counts.sum(.predicted, ofSentence: sentence)
        values[start + 2 + 2 * index] += counts.sum(.correct, ofSentence: sentence)
      }
    }
    self.values = values
  }

  package init(seeds: Int, units: Int, values: [Int]) {
    self.seeds = seeds
    self.units = units
    self.values = values
    precondition(values.count == units * Self.width(seeds: seeds), "\(values.count) numbers")
  }

  /// The sums of some units, of one perhaps several times. Shape `[1 + 4 · seeds]`.
  package func sums(of units: some Sequence<Int>) -> [Int] {
    var sums = [Int](repeating: 0, count: width)
    let values = values.span
    for unit in units {
      let start = unit * sums.count
      for column in sums.indices { sums[column] += values[start + column] }
    }
    return sums
  }

  /// The scores of all units and runs.
  package var scores: PairedScores {
    PairedScores(sums: sums(of: 0..<units), seeds: Array(0..<seeds), of: seeds)
  }
}

/// What a swap of a unit's outputs changes, for the units on which the two systems do not agree.
package struct UnitSwaps: Sendable {
  /// How many units there are that a swap changes.
  package let count: Int
  private let seeds: Int
  private let sums: [Int]
  /// The second system's number less the first's. Shape `[count, 2 · seeds]`.
  private let changes: [Int]

  package init(_ rows: PairedRows) {
    seeds = rows.seeds
    sums = rows.sums(of: 0..<rows.units)
    let numbers = 2 * rows.seeds
    var changes: [Int] = []
    for unit in 0..<rows.units {
      let start = unit * rows.width + 1
      let own = (start..<start + numbers).map { rows.values[$0 + numbers] - rows.values[$0] }
      if own.contains(where: { $0 != 0 }) { changes += own }
    }
    self.changes = changes
    count = changes.count / numbers
  }

  /// The difference of F1 when some units have changed sides.
  package func difference(swapping isSwapped: (Int) -> Bool) -> Double {
    var sums = sums
    let numbers = 2 * seeds
    let changes = changes.span
    for unit in 0..<count where isSwapped(unit) {
      for column in 0..<numbers {
        let change = changes[unit * numbers + column]
        sums[1 + column] += change
        sums[1 + numbers + column] -= change
      }
    }
    return PairedScores(sums: sums, seeds: Array(0..<seeds), of: seeds).difference
  }
}

/// Precision, recall and F1 of two systems, each the mean over its runs.
public struct PairedScores: Sendable, Equatable {
  public var first: Rates
  public var second: Rates

  public struct Rates: Sendable, Equatable {
    public var precision = 0.0
    public var recall = 0.0
    public var f1 = 0.0
  }

  /// - Parameters:
  ///   - sums: As ``PairedRows/sums``.
  ///   - seeds: Which runs count, one perhaps several times.
  package init(sums: [Int], seeds: [Int], of count: Int) {
    first = Self.rates(sums, seeds, at: 1)
    second = Self.rates(sums, seeds, at: 1 + 2 * count)
  }

  private static func rates(_ sums: [Int], _ seeds: [Int], at start: Int) -> Rates {
    var rates = Rates()
    for seed in seeds {
      let one = SpanScores.Rates(
        gold: sums[0], predicted: sums[start + 2 * seed], correct: sums[start + 1 + 2 * seed])
      rates.precision += one.precision
      rates.recall += one.recall
      rates.f1 += one.f1
    }
    let count = Double(seeds.count)
    rates.precision /= count
    rates.recall /= count
    rates.f1 /= count
    return rates
  }

  /// F1 of the second system less that of the first.
  public var difference: Double { second.f1 - first.f1 }
}
