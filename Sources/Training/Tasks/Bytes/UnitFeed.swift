public import Corpus

/// The sentences of the steps of a ``UnitModel``.
public struct UnitFeed: StageFeed {
  private var plan: StagePlan
  private let codes: [String]
  /// Of each language; one that has none is empty.
  private let corpora: [UnitCorpus]
  private var items: ArraySlice<ItemReference> = []

  init(_ sampling: StageSampling, codes: [String], _ corpora: [UnitCorpus]) {
    plan = StagePlan(sampling)
    self.codes = codes
    self.corpora = corpora
  }

  public mutating func stepCount(epochs: Double) -> Int { plan.stepCount(epochs: epochs) }

  public mutating func place(ofStep step: Int) -> (epoch: Int, index: Int) {
    plan.place(ofStep: step)
  }

  public mutating func representativeSteps(of steps: Int) -> Int {
    max(1, min(steps, plan.firstStep(ofEpoch: 1)))
  }

  public mutating func go(toStep step: Int) -> ArraySlice<ItemReference> {
    items = plan.sentences(ofStep: step)
    return items
  }

  public func lengths(ofItem item: Int) -> [Int] {
    let reference = items[items.startIndex + item]
    return [Int(corpora[reference.language].unitCount(of: reference.index))]
  }

  public func batch(_ assignment: [[Int]], shards: Range<Int>) -> UnitBatch {
    UnitBatch(step: items, assignment: assignment, shards: shards, corpora: corpora)
  }

  public func place(of item: ItemReference) -> (path: String, line: Int) {
    let sentence = corpora[item.language].sentences[item.index]
    return (sentence.path, sentence.line)
  }

  public mutating func ledger(steps: Int, languages: [Int]) -> [[String]] {
    let draws = plan.drawCounts(steps: steps)
    let total = max(1, languages.reduce(0) { $0 + draws[$1] })
    let heading = [
      "language", "planned %", "drawn %", "sentences", "words", "units", "cut words",
      "unknown words",
    ]
    return [heading]
      + languages.map { language in
        let corpus = corpora[language]
        return [
          codes[language], Ledger.percent(plan.sampling.plannedShares[language]),
          Ledger.percent(Double(draws[language]) / Double(total)), "\(corpus.count)",
          "\(corpus.wordBounds.count - 1)", "\(corpus.units.count)", "\(corpus.cutWords)",
          "\(corpus.unknownWords)",
        ]
      }
  }
}
