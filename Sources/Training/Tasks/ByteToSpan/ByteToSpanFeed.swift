public import Corpus

/// The windows of Byte-to-Span's steps: of every language those that begin at each of its bytes.
public struct ByteToSpanFeed: StageFeed {
  private var plan: StagePlan
  private let codes: [String]
  /// Of each language; one that has none is empty.
  private let texts: [ByteText]
  private let vocabulary: SpanVocabulary
  private var items: ArraySlice<ItemReference> = []

  init(
    _ sampling: StageSampling, codes: [String], _ texts: [ByteText], _ vocabulary: SpanVocabulary
  ) {
    plan = StagePlan(sampling)
    self.codes = codes
    self.texts = texts
    self.vocabulary = vocabulary
  }

  public mutating func stepCount(epochs: Double) -> Int { plan.stepCount(epochs: epochs) }

  public mutating func place(ofStep step: Int) -> (epoch: Int, index: Int) {
    plan.place(ofStep: step)
  }

  public mutating func representativeSteps(of steps: Int) -> Int { max(1, min(steps, 50)) }

  public mutating func go(toStep step: Int) -> ArraySlice<ItemReference> {
    items = plan.sentences(ofStep: step)
    return items
  }

  public func lengths(ofItem item: Int) -> [Int] {
    let reference = items[items.startIndex + item]
    return [texts[reference.language].window(at: reference.index).count]
  }

  public func batch(_ assignment: [[Int]], shards: Range<Int>) -> SpanBatch {
    SpanBatch(step: items, assignment: assignment, shards: shards, texts: texts, vocabulary)
  }

  public func place(of item: ItemReference) -> (path: String, line: Int) {
    texts[item.language].place(of: item.index)
  }

  public mutating func ledger(steps: Int, languages: [Int]) -> [[String]] {
    let draws = plan.drawCounts(steps: steps)
    let total = max(1, languages.reduce(0) { $0 + draws[$1] })
    let heading = [
      "language", "planned %", "drawn %", "windows", "sentences", "words", "bytes", "entities",
      "lost entities",
    ]
    return [heading]
      + languages.map { language in
        let text = texts[language]
        return [
          codes[language], Ledger.percent(plan.sampling.plannedShares[language]),
          Ledger.percent(Double(draws[language]) / Double(total)), "\(text.windowCount)",
          "\(text.sentences.count)", "\(text.words.count)", "\(text.bytes.count)",
          "\(text.spans.count + text.lostSpans)", "\(text.lostSpans)",
        ]
      }
  }
}
