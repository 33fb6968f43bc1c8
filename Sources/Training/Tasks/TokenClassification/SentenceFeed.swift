public import Corpus

/// The sentences of a stage's steps.
public struct SentenceFeed: StageFeed {
  private var plan: StagePlan
  /// Of each language; one that has none is empty.
  private let splits: [Split]
  private let corpora: [LanguageCorpus]
  private var items: ArraySlice<ItemReference> = []

  init(_ sampling: StageSampling, _ corpora: [LanguageCorpus]) {
    plan = StagePlan(sampling)
    splits = corpora.map { $0.train ?? .none }
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

  private func reference(_ item: Int) -> ItemReference { items[items.startIndex + item] }

  public func lengths(ofItem item: Int) -> [Int] {
    splits[reference(item).language].windowLengths(of: reference(item).index)
  }

  public func batch(_ assignment: [[Int]], shards: Range<Int>) -> PackedBatch {
    PackedBatch(step: items, assignment: assignment, shards: shards, splits: splits)
  }

  public func place(of item: ItemReference) -> (path: String, line: Int) {
    splits[item.language].place(of: item.index)
  }

  public mutating func ledger(steps: Int, languages: [Int]) -> [[String]] {
    let draws = plan.drawCounts(steps: steps)
    return Ledger(
      languages: languages.map { corpora[$0].code },
      facts: languages.map { corpora[$0].train?.facts ?? Split.Facts() },
      plannedShares: languages.map { plan.sampling.plannedShares[$0] },
      draws: languages.map { draws[$0] }
    ).cells
  }
}
