import Corpus
import Determinism

/// How much of packed text the steps of a stage have taken.
public struct TextCursor: Sendable, Equatable, Codable {
  /// The sequences that came of each language.
  var drawn: [Int]
  /// Of each language's stream.
  var streams: [SequenceStream.Cursor]
}

/// The sequences of a stage's steps: each drawn from a language, whose stream then gives the next one.
///
/// The language of a draw is random by its share pₗ = nₗ^α / Σ nₖ^α, where n counts the tokens of a language's text, and
/// follows from the seed, the stage and the number of the draw alone.
struct TextFeed: StageFeed {
  /// One language of the run; nil for a stage that does not train it.
  private var streams: [SequenceStream?]
  private let firstStreams: [SequenceStream?]
  private let codes: [String]
  private let texts: [PackedText]
  private let batches: MaskedBatches
  private let seed: UInt64
  private let stage: Int
  private let sequencesPerStep: Int
  private let shares: [Double]
  private var drawn: [Int]
  /// The step that ``go(toStep:)`` gives without going back or skipping.
  private var next = 0
  private var items: [MaskedBatches.Item] = []

  /// - Parameters:
  ///   - texts: Of all languages of the run.
  ///   - languages: The indices of those that the stage trains.
  init(
    _ texts: [PackedText], codes: [String], languages: [Int], alpha: Double,
    sequencesPerStep: Int, batches: MaskedBatches, stage: Int
  ) {
    self.texts = texts
    self.codes = codes
    self.batches = batches
    self.sequencesPerStep = sequencesPerStep
    self.stage = stage
    seed = batches.seed
    streams = texts.indices.map { language in
      languages.contains(language)
        ? SequenceStream(
          texts[language], shape: batches.shape,
          key: .init(seed: batches.seed, stage: stage, language: language)) : nil
    }
    firstStreams = streams
    drawn = texts.map { _ in 0 }
    shares =
      StageSampling(
        seed: seed, stage: stage,
        sentenceCounts: texts.indices.map {
          languages.contains($0) ? texts[$0].tokenCount : 0
        }, alpha: alpha, stepSize: .sentences(sequencesPerStep)
      ).plannedShares
  }

  /// As many sequences as all text of the stage's languages fills.
  private var epochSteps: Int {
    let tokens = zip(texts, streams).reduce(0) { $0 + ($1.1 == nil ? 0 : $1.0.tokenCount) }
    let room = batches.shape.maxLength - 2
    let sequences = (tokens + room - 1) / room
    return max(1, (sequences + sequencesPerStep - 1) / sequencesPerStep)
  }

  mutating func stepCount(epochs: Double) -> Int {
    Int((epochs * Double(epochSteps)).rounded(.up))
  }

  mutating func place(ofStep step: Int) -> (epoch: Int, index: Int) {
    let (epoch, index) = step.quotientAndRemainder(dividingBy: epochSteps)
    return (epoch, index)
  }

  mutating func representativeSteps(of steps: Int) -> Int { max(1, min(steps, 50)) }

  mutating func go(toStep step: Int) throws -> ArraySlice<SentenceReference> {
    if step < next {
      streams = firstStreams
      drawn = drawn.map { _ in 0 }
      next = 0
    }
    while next <= step { try advance() }
    return items.map(\.reference)[...]
  }

  private mutating func advance() throws {
    items = []
    for index in 0..<sequencesPerStep {
      let language = language(ofDraw: next * sequencesPerStep + index)
      guard var stream = streams[language] else { preconditionFailure("a language of no share") }
      streams[language] = nil
      let sequence = try stream.next()
      streams[language] = stream
      items.append((SentenceReference(language: language, sentence: drawn[language]), sequence))
      drawn[language] += 1
    }
    next += 1
  }

  private func language(ofDraw draw: Int) -> Int {
    var random = RandomStream(seed: seed, "language", .number(stage), .number(draw))
    var place = random.unit()
    var chosen = 0
    for (language, share) in shares.enumerated() where share > 0 {
      chosen = language
      place -= share
      if place < 0 { break }
    }
    return chosen
  }

  func lengths(ofItem item: Int) -> [Int] {
    items[item].sequence.lengths(batches.shape, batches.specials)
  }

  func tokens(ofItem item: Int) -> [Int32] {
    items[item].sequence.tokens(batches.shape, batches.specials).ids
  }

  func batch(_ assignment: [[Int]], shards: Range<Int>) -> PackedBatch {
    batches.batch(
      items, assignment: assignment, shards: shards,
      name: ["train", .number(stage), .number(next - 1)])
  }

  func place(of item: SentenceReference) -> (path: String, line: Int) {
    guard let sequence = items.first(where: { $0.reference == item })?.sequence else {
      return (texts[item.language].path, 0)
    }
    return (sequence.shard.path, sequence.range.lowerBound)
  }

  mutating func ledger(steps: Int, languages: [Int]) throws -> String {
    let counts =
      steps == next ? drawn : StageSampling.apportion(steps * sequencesPerStep, by: shares)
    let total = max(1, counts.reduce(0, +))
    var rows = [
      ["language", "planned %", "drawn %", "sequences", "documents", "words", "tokens", "passes"]
    ]
    for language in languages {
      let text = texts[language]
      let documents = text.corpora.reduce(0) { $0 + $1.index.counts.documents }
      let words = text.corpora.reduce(0) { $0 + $1.index.counts.words }
      let room = Double(batches.shape.maxLength - 2)
      rows.append([
        codes[language], Ledger.percent(shares[language]),
        Ledger.percent(Double(counts[language]) / Double(total)), "\(counts[language])",
        "\(documents)", "\(words)", "\(text.tokenCount)",
        Ledger.tenths(Double(counts[language]) * room / Double(max(1, text.tokenCount))),
      ])
    }
    return Ledger.aligned(rows)
  }

  var cursor: TextCursor? {
    TextCursor(drawn: drawn, streams: streams.map { $0?.cursor ?? .init() })
  }

  mutating func resume(at step: Int, from cursor: TextCursor?) throws {
    guard let cursor, cursor.streams.count == streams.count, cursor.drawn.count == drawn.count
    else {
      throw RunError(
        .data, "the checkpoint of step \(step) does not tell how much text came; start anew")
    }
    for (language, stream) in firstStreams.enumerated() {
      guard let stream else { continue }
      streams[language] = SequenceStream(
        stream.text, shape: stream.shape, key: stream.key, from: cursor.streams[language])
    }
    drawn = cursor.drawn
    next = step
  }
}
