/// What each language gives to a run: shares, sizes, and what the tokenizer made of its words.
public struct Ledger: Sendable, Equatable, Codable {
  public struct Row: Sendable, Equatable, Codable {
    public var language: String
    /// The share of draws that the sampling plans, from 0 to 1.
    public var plannedShare: Double
    /// The share of the sentences drawn; 0 before the first step.
    public var drawnShare: Double
    public var sentences: Int
    public var words: Int
    public var tokens: Int
    public var windows: Int
    public var cutWords: Int
    public var unknownWords: Int
  }

  public var rows: [Row]

  /// - Parameters:
  ///   - languages: The codes.
  ///   - facts: Of each language's training sentences.
  ///   - plannedShares: As ``StageSampling/plannedShares`` has them.
  ///   - draws: The sentences drawn of each language, as ``StagePlan/drawCounts(steps:)`` counts them.
  public init(languages: [String], facts: [Split.Facts], plannedShares: [Double], draws: [Int]) {
    let counts = [facts.count, plannedShares.count, draws.count]
    precondition(
      counts.allSatisfy { $0 == languages.count },
      "facts, shares and draws of \(counts) languages for \(languages.count)")
    let total = draws.reduce(0, +)
    rows = languages.indices.map { index in
      Row(
        language: languages[index], plannedShare: plannedShares[index],
        drawnShare: total == 0 ? 0 : Double(draws[index]) / Double(total),
        sentences: facts[index].sentences, words: facts[index].words, tokens: facts[index].tokens,
        windows: facts[index].windows, cutWords: facts[index].cutWords,
        unknownWords: facts[index].unknownWords)
    }
  }

  /// A heading, a row a language, and one of sums if there are several. Shares are in per cent.
  public var cells: [[String]] {
    var lines = [
      [
        "language", "planned %", "drawn %", "sentences", "words", "tokens", "windows", "cut words",
        "unknown words",
      ]
    ]
    for row in rows {
      lines.append(
        [row.language, Ledger.percent(row.plannedShare), Ledger.percent(row.drawnShare)]
          + row.counts.map(String.init))
    }
    if rows.count > 1 {
      let sums = rows.map(\.counts).reduce([0, 0, 0, 0, 0, 0]) { zip($0, $1).map(+) }
      let planned = rows.reduce(0) { $0 + $1.plannedShare }
      let drawn = rows.reduce(0) { $0 + $1.drawnShare }
      lines.append(["all", Ledger.percent(planned), Ledger.percent(drawn)] + sums.map(String.init))
    }
    return lines
  }

  /// A share as per cent with one decimal.
  package static func percent(_ share: Double) -> String { tenths(100 * share) }

  /// A number with one decimal.
  package static func tenths(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}

extension Ledger.Row {
  fileprivate var counts: [Int] { [sentences, words, tokens, windows, cutWords, unknownWords] }
}
