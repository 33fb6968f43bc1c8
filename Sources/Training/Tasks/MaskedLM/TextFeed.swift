import Configuration
public import Corpus
import Determinism
import Files
import Tokenizers

/// How much of packed text the steps of a stage have taken.
public struct TextCursor: Sendable, Equatable, Codable {
  /// The sequences that came of each language.
  var drawn: [Int]
  /// Of each language's stream.
  var streams: [SequenceStream.Cursor]
  /// Of each language's text.
  var fingerprints: [UInt64]
}

/// The sequences of a stage's steps: each drawn from a language, whose stream then gives the next one.
///
/// The language of a draw is random by its share pₗ = nₗ^α / Σ nₖ^α, where n counts the tokens of a language's text, and
/// follows from the seed, the stage and the number of the draw alone.
public struct TextFeed: StageFeed {
  /// One language of the run; nil for a stage that does not train it.
  private var streams: [SequenceStream?]
  private let firstStreams: [SequenceStream?]
  private let codes: [String]
  /// Of each language of the run; nil for one that nothing trains.
  private let texts: [PackedText?]
  /// Of each text, made once: they take a pass over its index.
  private let fingerprints: [UInt64]
  private let batches: MaskedBatches
  private let seed: UInt64
  private let stage: Int
  private let sequencesPerStep: Int
  /// About as many as all text of the stage's languages makes.
  private let sequencesPerPass: Int
  private let shares: [Double]
  private var drawn: [Int]
  /// The step that ``go(toStep:)`` gives without going back or skipping.
  private var next = 0
  private var items: [MaskedBatches.Item] = []

  /// - Parameters:
  ///   - texts: Of all languages of the run.
  ///   - languages: The indices of those that the stage trains.
  init(
    _ texts: [PackedText?], codes: [String], languages: [Int], alpha: Double,
    stepSize: TrainingConfiguration.StepSize, batches: MaskedBatches, stage: Int
  ) {
    self.texts = texts
    fingerprints = texts.map { $0?.fingerprint ?? 0 }
    self.codes = codes
    self.batches = batches
    self.stage = stage
    seed = batches.seed
    streams = texts.indices.map { language in
      guard languages.contains(language), let text = texts[language] else { return nil }
      return SequenceStream(
        text, shape: batches.shape,
        key: .init(seed: batches.seed, stage: stage, language: language))
    }
    firstStreams = streams
    let trained = languages.compactMap { texts[$0] }
    let sequences = trained.reduce(0) { $0 + Self.sequences(of: $1, batches.shape) }
    sequencesPerPass = sequences
    switch stepSize {
    case .sentences(let count): sequencesPerStep = count
    case .tokens(let count):
      let tokens = trained.reduce(0) { $0 + $1.tokenCount }
      let length = Double(tokens) / Double(max(1, sequences)) + 2
      sequencesPerStep = max(1, Int(Double(count) / min(length, Double(batches.shape.maxLength))))
    }
    drawn = texts.map { _ in 0 }
    shares =
      StageSampling(
        seed: seed, stage: stage,
        sentenceCounts: texts.indices.map {
          languages.contains($0) ? texts[$0]?.tokenCount ?? 0 : 0
        }, alpha: alpha, stepSize: .sentences(1)
      ).plannedShares
  }

  /// About as many sequences as a text makes: full ones, or where documents are filled apart those of its mean document.
  private static func sequences(of text: PackedText, _ shape: SequenceShape) -> Int {
    let room = shape.maxLength - 2
    let documents = shape.filling == .language ? 1 : max(1, text.documentCount)
    return documents * ((text.tokenCount / documents + room - 1) / room)
  }

  /// As many steps as go once over all text of the stage's languages, about.
  private var epochSteps: Int {
    max(1, (sequencesPerPass + sequencesPerStep - 1) / sequencesPerStep)
  }

  public mutating func stepCount(epochs: Double) -> Int {
    Int((epochs * Double(epochSteps)).rounded(.up))
  }

  public mutating func place(ofStep step: Int) -> (epoch: Int, index: Int) {
    let (epoch, index) = step.quotientAndRemainder(dividingBy: epochSteps)
    return (epoch, index)
  }

  public mutating func representativeSteps(of steps: Int) -> Int { max(1, min(steps, 50)) }

  public mutating func go(toStep step: Int) throws -> ArraySlice<ItemReference> {
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
      items.append((ItemReference(language: language, index: drawn[language]), sequence))
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

  public func lengths(ofItem item: Int) -> [Int] {
    items[item].sequence.lengths(batches.shape, batches.specials)
  }

  public func batch(_ assignment: [[Int]], shards: Range<Int>) -> PackedBatch {
    batches.batch(
      items, assignment: assignment, shards: shards,
      name: ["train", .number(stage), .number(next - 1)])
  }

  public func place(of item: ItemReference) -> (path: String, line: Int) {
    guard let sequence = items.first(where: { $0.reference == item })?.sequence else {
      return (texts[item.language]?.path ?? "", 0)
    }
    return (sequence.shard.path, sequence.range.lowerBound)
  }

  public mutating func ledger(steps: Int, languages: [Int]) throws -> [[String]] {
    let counts =
      steps == next ? drawn : Apportionment.parts(of: steps * sequencesPerStep, by: shares)
    let total = max(1, counts.reduce(0, +))
    var rows = [
      ["language", "planned %", "drawn %", "sequences", "documents", "words", "tokens", "passes"]
    ]
    for language in languages {
      guard let text = texts[language] else { continue }
      let words = text.corpora.reduce(0) { $0 + $1.index.counts.words }
      rows.append([
        codes[language], Ledger.percent(shares[language]),
        Ledger.percent(Double(counts[language]) / Double(total)), "\(counts[language])",
        "\(text.documentCount)", "\(words)", "\(text.tokenCount)",
        Ledger.tenths(
          Double(counts[language]) / Double(max(1, Self.sequences(of: text, batches.shape)))),
      ])
    }
    return rows
  }

  public var cursor: TextCursor? {
    TextCursor(
      drawn: drawn, streams: streams.map { $0?.cursor ?? .init() },
      fingerprints: fingerprints)
  }

  public mutating func resume(at step: Int, from cursor: TextCursor?, path: String) throws {
    let draws = step * sequencesPerStep
    guard let cursor, cursor.streams.count == texts.count, cursor.drawn.count == texts.count,
      cursor.drawn.allSatisfy({ (0...draws).contains($0) }),
      cursor.drawn.reduce(0, { $0 &+ $1 }) == draws,
      cursor.streams.allSatisfy({
        (0...draws).contains($0.pass) && (0...draws).contains($0.group)
          && (0...draws).contains($0.offset)
      })
    else {
      throw RunError(
        .data, "\(path): does not tell how much text came in \(step) steps; start anew")
    }
    if let other = texts.indices.first(where: {
      $0 >= cursor.fingerprints.count || cursor.fingerprints[$0] != fingerprints[$0]
    }) {
      throw RunError(
        .data,
        "\(path): is of another text than \(texts[other]?.path ?? codes[other]); give the text that the run began with"
      )
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
