import Comparison
import Corpus
import Determinism
import Files
import Foundation
import Testing

/// Against SciPy, statsmodels and nervaluate; Tests/Golden/comparison.py made the values.
@Suite struct StatisticsTests {
  private let golden: JSONValue

  init() throws {
    let path =
      URL(filePath: #filePath).deletingLastPathComponent().path
      + "/Fixtures/comparison.json"
    golden = try JSONValue(parsing: Array(try Data(contentsOf: URL(filePath: path))), path: path)
  }

  private func rows(_ value: JSONValue?) throws -> PairedRows {
    let rows = try #require(value?.array).map { try #require($0.array).compactMap(\.int) }
    return PairedRows(
      seeds: (rows[0].count - 1) / 4, units: rows.count,
      values: Array(rows.joined()))
  }

  @Test func intervalsOfGivenSamplesAreSciPys() throws {
    let entry = try #require(golden["bootstrap"])
    let rows = try rows(entry["rows"])
    let scores = try #require(entry["samples"]?.array).map { sample in
      PairedScores(
        sums: rows.sums(of: try #require(sample.array).compactMap(\.int)),
        seeds: Array(0..<rows.seeds), of: rows.seeds)
    }
    #expect(scores.count == 300)
    for (name, values) in [
      ("first", scores.map(\.first.f1)), ("second", scores.map(\.second.f1)),
      ("difference", scores.map(\.difference)),
    ] {
      let wanted = try #require(entry["intervals"]?[name]?.array).compactMap(\.double)
      let found = Statistics.quantiles(values, at: [0.025, 0.975])
      #expect(zip(found, wanted).allSatisfy { abs($0 - $1) < 1e-12 }, "\(found) \(wanted)")
    }
  }

  /// The end of a percentile interval has a standard error of 2.7 deviations ÷ √rounds.
  @Test func ownSamplesGiveTheSameInterval() throws {
    let entry = try #require(golden["reference"])
    let wanted = try #require(entry["interval"]?.array).compactMap(\.double)
    let deviation = try #require(entry["deviation"]?.double)
    let samples = Resampling(rounds: 4000, seed: 1).bootstrap(
      try rows(entry["rows"]), stream: 0)
    let found = Statistics.quantiles(samples.map(\.difference), at: [0.025, 0.975])
    for (end, other) in zip(found, wanted) {
      #expect(abs(end - other) < 4 * 2.7 * deviation / 4000.squareRoot(), "\(found) \(wanted)")
    }
  }

  /// Two systems of one quality: at a level of 0.05, 5 % of comparisons find a difference.
  @Test func nullComparisonsAreRejectedAtTheirLevel() {
    var random = RandomStream(seed: 5, "null")
    var rejected = 0
    for trial in 0..<500 {
      let values = (0..<80).flatMap { _ -> [Int] in
        let gold = random.below(4)
        let found = (0..<2).flatMap { _ -> [Int] in
          let correct = (0..<gold).count { _ in random.unit() < 0.7 }
          return [correct + random.below(2), correct]
        }
        return [gold] + found
      }
      let rows = PairedRows(seeds: 1, units: 80, values: values)
      let swaps = Resampling(rounds: 199, seed: 1).swaps(rows, stream: trial)
      if Statistics.pValue(rows.scores.difference, among: swaps) <= 0.05 { rejected += 1 }
    }
    #expect((15...35).contains(rejected), "\(rejected) of 500")
  }

  /// A system that finds more in each sentence is better, whoever draws.
  @Test func aClearDifferenceIsFound() {
    let values = (0..<100).flatMap { _ -> [Int] in [2, 2, 1, 2, 2] }
    let rows = PairedRows(seeds: 1, units: 100, values: values)
    let resampling = Resampling(rounds: 500, seed: 1)
    let swaps = resampling.swaps(rows, stream: 0)
    #expect(Statistics.pValue(rows.scores.difference, among: swaps) == 1.0 / 501)
    let samples = resampling.bootstrap(rows, stream: 0)
    #expect(samples.allSatisfy { abs($0.difference - 0.5) < 1e-12 })
  }

  @Test func exactPermutationsAreSciPys() throws {
    for entry in try #require(golden["permutations"]?.array) {
      let rows = try rows(entry["rows"])
      let swaps = UnitSwaps(rows)
      let all = (0..<1 << swaps.count).map { pattern in
        swaps.difference { pattern >> $0 & 1 == 1 }
      }
      let difference = rows.scores.difference
      #expect(abs(difference - (try #require(entry["difference"]?.double))) < 1e-12)
      let p = Double(Statistics.extreme(difference, among: all)) / Double(all.count)
      #expect(abs(p - (try #require(entry["p"]?.double))) < 1e-12)
    }
  }

  @Test func holmIsStatsmodels() throws {
    for entry in try #require(golden["holm"]?.array) {
      let parts = try #require(entry.array).map { try #require($0.array).compactMap(\.double) }
      let found = Statistics.holm(parts[0])
      #expect(zip(found, parts[1]).allSatisfy { abs($0 - $1) < 1e-12 }, "\(parts[0])")
    }
  }

  /// All sequences are IOB2. Where one span overlaps several, `nervaluate` pairs in order, and so does this.
  @Test func errorKindsAreNervaluates() throws {
    let tags = ["O", "B-A", "I-A", "B-B", "I-B", "B-C", "I-C"]
    let cases = try #require(golden["errors"]?.array)
    #expect(cases.count == 1000)
    var wrongBoundaries = 0
    for entry in cases {
      let parts = try #require(entry.array)
      let (gold, predicted) = (
        try #require(parts[0].string).map { tags[Int("\($0)") ?? 0] },
        try #require(parts[1].string).map { tags[Int("\($0)") ?? 0] }
      )
      let counts = try SentenceCounts(
        [Sentence(words: gold, tags: gold)], predicted: [predicted],
        origin: .init(
          system: "", stage: "", seed: nil, language: "", part: "", trained: []))
      func sum(_ columns: SentenceCounts.TypeColumn...) -> Int {
        columns.reduce(0) { $0 + counts.total($1) }
      }
      let overlapping = sum(.wrongBoundary, .wrongBoth)
      let (missed, spurious) = (sum(.missed), sum(.spurious))
      let types = counts.total(.correctTypes)
      wrongBoundaries += sum(.wrongBoundary)
      let found = [
        [sum(.correct), sum(.wrongType) + overlapping, 0, missed, spurious],
        [sum(.correct, .wrongType), overlapping, 0, missed, spurious],
        [sum(.correct, .wrongType), 0, overlapping, missed, spurious],
      ]
      for (strategy, own) in found.enumerated() {
        #expect(parts[2 + strategy].array?.compactMap(\.int) == own, "\(gold) \(predicted)")
      }
      let wanted = try #require(parts[5].array).compactMap(\.int)
      #expect(wanted[0] == types, "\(gold) \(predicted)")
      #expect(sum(.predicted) == sum(.correct, .wrongType) + overlapping + spurious)
    }
    #expect(wrongBoundaries > 50)
  }
}
