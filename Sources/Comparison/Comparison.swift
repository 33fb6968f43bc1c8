public import Corpus
public import Files

/// Two systems over the languages that both have predictions of: scores, differences, and what chance would make of them.
public struct Comparison: Sendable {
  /// How differences are judged.
  public struct Settings: Sendable {
    /// Of the bootstrap and of the randomisation.
    public var rounds = 10_000
    public var seed: UInt64 = 1
    /// `dev` or `test`.
    public var part = "test"

    public init() {}
  }

  /// A difference of F1 and how sure it is.
  public struct Difference: Sendable {
    public var scores: PairedScores
    /// Ends of the 95 % intervals of the first system's F1, of the second's and of their difference: percentiles of the
    /// bootstrap.
    public var first: ClosedRange<Double>
    public var second: ClosedRange<Double>
    public var difference: ClosedRange<Double>
    /// Of the two-sided approximate randomisation.
    public var pValue: Double
    /// Corrected over languages by Holm; nil of the macro average.
    public var corrected: Double?
  }

  /// The counts of a system's runs of a language, as a mean over them.
  public struct Counts: Sendable {
    /// By type: gold, predicted and correct spans, and errors.
    public var types: [(name: String, columns: [Double])]
    /// F1 by protocol; see ``Protocol``.
    public var protocols: [Double]
  }

  public struct OfLanguage: Sendable {
    public var language: String
    /// The paired runs' seeds, of the first system and of the second; nil where a file does not say one.
    public var seeds: [(Int?, Int?)]
    public var sentences: Int
    /// Nil where the corpus marks no documents, and sentences are drawn.
    public var documents: Int?
    public var difference: Difference
    public var counts: (first: Counts, second: Counts)
    /// Whether the models were trained on the language; nil where a file does not say on what they were.
    public var isTrained: (first: Bool?, second: Bool?)
  }

  public let first: String
  public let second: String
  public let languages: [OfLanguage]
  /// The mean over languages; nil of one.
  public let macro: Difference?
  /// Languages that only one of the systems has, and seeds that are not paired.
  public let notes: [String]

  /// Whether a system stands alone: compared with itself, for its scores and their intervals.
  public let isOfOne: Bool

  /// Compares the second system with the first, or shows the first one alone.
  ///
  /// - Throws: ``FileError`` where they have no language in common, or not the same gold.
  public init(
    _ first: ComparedSystem, _ other: ComparedSystem?, _ settings: Settings
  ) throws(FileError) {
    isOfOne = other == nil
    let second = other?.inLanguage(of: first) ?? first
    self.first = first.name
    self.second = second.name
    var notes: [String] = []
    let common = first.languages.filter(second.languages.contains)
    guard !common.isEmpty else { throw Self.nothingInCommon(first, second) }
    for (system, other) in [(first, second), (second, first)] {
      let unclear = system.ambiguousLanguages
      if !unclear.isEmpty {
        notes.append(
          "several models of \(system.name) have predictions of \(unclear.joined(separator: ", ")): left out; name the stage of one without its seed to compare it"
        )
      }
      let alone = system.languages.filter {
        !other.languages.contains($0) && !other.ambiguousLanguages.contains($0)
      }
      if !alone.isEmpty {
        notes.append(
          "only \(system.name) has predictions of \(alone.joined(separator: ", ")): left out")
      }
    }
    let resampling = Resampling(rounds: settings.rounds, seed: settings.seed)
    var languages: [OfLanguage] = []
    var samples: [[PairedScores]] = []
    var swaps: [[Double]] = []
    for (place, language) in common.enumerated() {
      let pairs = Self.pairs(first, second, language, &notes)
      for pair in pairs {
        try Self.checkGold(pairs[0].0, pair.0)
        try Self.checkGold(pairs[0].0, pair.1)
      }
      let left = pairs.map(\.0.counts)
      let right = pairs.map(\.1.counts)
      let counts = left + right
      let agree = counts.allSatisfy { $0.hasDocuments(of: counts[0]) }
      if !agree {
        notes.append("\(language): documents are not marked alike: sentences are drawn")
      }
      let rows = PairedRows(left, right, byDocument: agree)
      let hasDocuments = agree && left[0].total(.document) > 0
      if rows.units < Self.fewUnits {
        notes.append(
          "\(language): only \(rows.units) \(hasDocuments ? "documents" : "sentences") to draw: an interval of so few says little"
        )
      }
      if left[0].total(.gold) == 0 {
        notes.append("\(language): the gold has no spans: its F1 is 0 whatever is predicted")
      }
      let drawn = resampling.bootstrap(rows, stream: place)
      let swapped =
        isOfOne
        ? [Double](repeating: 0, count: settings.rounds) : resampling.swaps(rows, stream: place)
      samples.append(drawn)
      swaps.append(swapped)
      languages.append(
        OfLanguage(
          language: language,
          seeds: pairs.map { ($0.0.counts.origin.seed, $0.1.counts.origin.seed) },
          sentences: left[0].sentences,
          documents: hasDocuments ? rows.units : nil,
          difference: Difference(rows.scores, drawn, swapped),
          counts: (Counts(left), Counts(right)),
          isTrained: (Self.isTrained(left[0], language), Self.isTrained(right[0], language))))
    }
    for (index, value) in Statistics.holm(languages.map(\.difference.pValue)).enumerated() {
      languages[index].difference.corrected = value
    }
    self.languages = languages
    macro =
      languages.count < 2
      ? nil
      : Difference(
        Self.mean(languages.map(\.difference.scores)),
        (0..<settings.rounds).map { round in Self.mean(samples.map { $0[round] }) },
        (0..<settings.rounds).map { round in
          swaps.reduce(0) { $0 + $1[round] } / Double(swaps.count)
        })
    for system in [first, second] {
      let tries = system.runs.map(\.counts.origin.tries).max() ?? 1
      if tries > 1 { notes.append("\(system.name) was chosen by dev among \(tries) tries") }
    }
    let drawn = languages.compactMap { language in
      language.documents.map { "\(language.language) \($0)" }
    }
    if !drawn.isEmpty {
      notes.append("documents are drawn, not sentences: \(drawn.joined(separator: ", "))")
    }
    let single = languages.filter { $0.seeds.count == 1 }.map(\.language)
    if !single.isEmpty {
      let names = single.count == languages.count ? "" : single.joined(separator: ", ") + ": "
      notes.append(
        isOfOne
          ? "\(names)one run: intervals are of the sentences drawn, and say nothing of another seed"
          : "\(names)one run of each system: intervals and p-values are of the sentences drawn, and say nothing of another seed"
      )
    }
    if !isOfOne, single.count < languages.count {
      notes.append(
        "intervals draw sentences and seeds; p asks whether these very runs differ, and says nothing of another seed"
      )
    }
    // Of a system that is compared with itself all is said twice.
    var said: Set<String> = []
    self.notes = notes.filter { said.insert($0).inserted }
  }

  /// Below this number of sentences or documents a note warns of the interval.
  private static let fewUnits = 20

  private static func nothingInCommon(
    _ first: ComparedSystem, _ second: ComparedSystem
  ) -> FileError {
    for system in [first, second] {
      if let language = system.ambiguousLanguages.first {
        let paths = system.runs(of: language).map(\.path).prefix(2).joined(separator: " and ")
        return FileError(
          .data, system.name,
          "has several predictions of \(language) by models of one seed, such as \(paths); name a stage, or leave one out"
        )
      }
    }
    func words(_ system: ComparedSystem) -> String { system.languages.joined(separator: ", ") }
    return FileError(
      .data, second.name,
      "has predictions of \(words(second)), and \(first.name) of \(words(first)): no language in common"
    )
  }

  /// The runs of both systems, paired by seed.
  private static func pairs(
    _ first: ComparedSystem, _ second: ComparedSystem, _ language: String,
    _ notes: inout [String]
  ) -> [(ComparedSystem.Run, ComparedSystem.Run)] {
    let left = first.runs(of: language)
    let right = second.runs(of: language)
    let pairs = left.compactMap { run in
      right.first { $0.counts.origin.seed == run.counts.origin.seed }.map { (run, $0) }
    }
    func seeds(_ runs: [ComparedSystem.Run]) -> String {
      runs.map { $0.counts.origin.seed.map { "\($0)" } ?? "-" }.joined(separator: ", ")
    }
    if pairs.isEmpty {
      notes.append(
        "\(language): no seed in common (\(seeds(left)) and \(seeds(right))): paired in their order, of which the intervals depend"
          + (left.count == right.count
            ? "" : "; only the first \(min(left.count, right.count)) of each")
      )
      return Array(zip(left, right))
    }
    if pairs.count < max(left.count, right.count) {
      notes.append(
        "\(language): of the seeds \(seeds(left)) and \(seeds(right)) only \(seeds(pairs.map(\.0))) are paired"
      )
    }
    return pairs
  }

  /// - Throws: ``FileError`` with the first sentence in which two runs differ in gold.
  private static func checkGold(
    _ one: ComparedSystem.Run, _ other: ComparedSystem.Run
  ) throws(FileError) {
    let (left, right) = (one.counts, other.counts)
    for sentence in 0..<min(left.sentences, right.sentences)
    where left[sentence, .goldCheck] != right[sentence, .goldCheck]
      || left.sum(.gold, ofSentence: sentence) != right.sum(.gold, ofSentence: sentence)
    {
      let (words, others) = (left[sentence, .tokens], right[sentence, .tokens])
      throw FileError(
        .data, other.path,
        "is of other gold than \(one.path): sentence \(sentence + 1) has "
          + (words == others
            ? "other tags" : "\(others) words and not \(words), as if it were cut into other words")
          + "; compare predictions of the same file")
    }
    guard left.sentences == right.sentences else {
      throw FileError(
        .data, other.path,
        "is of \(right.sentences) sentences, \(one.path) of \(left.sentences); compare predictions of the same file"
      )
    }
  }

  private static func isTrained(_ counts: SentenceCounts, _ language: String) -> Bool? {
    counts.origin.trained.isEmpty ? nil : counts.origin.trained.contains(language)
  }

  private static func mean(_ scores: [PairedScores]) -> PairedScores {
    func mean(_ value: (PairedScores) -> Double) -> Double {
      scores.reduce(0) { $0 + value($1) } / Double(scores.count)
    }
    var result = scores[0]
    result.first.precision = mean(\.first.precision)
    result.first.recall = mean(\.first.recall)
    result.first.f1 = mean(\.first.f1)
    result.second.precision = mean(\.second.precision)
    result.second.recall = mean(\.second.recall)
    result.second.f1 = mean(\.second.f1)
    return result
  }
}

extension Comparison.Difference {
  init(_ scores: PairedScores, _ samples: [PairedScores], _ swaps: [Double]) {
    func interval(_ value: (PairedScores) -> Double) -> ClosedRange<Double> {
      let ends = Statistics.quantiles(samples.map(value), at: [0.025, 0.975])
      return ends[0]...ends[1]
    }
    self.init(
      scores: scores, first: interval(\.first.f1), second: interval(\.second.f1),
      difference: interval(\.difference),
      pValue: Statistics.pValue(scores.difference, among: swaps))
  }
}

/// Whose rules say what is correct, by name.
public enum ScoringProtocol: String, Sendable, CaseIterable {
  case conlleval
  /// seqeval's default mode, which all other figures of a comparison are of.
  case seqeval = "seqeval default"
  case strict = "seqeval strict IOB2"
  /// MUC: a pair that overlaps is half correct, whatever the types.
  case partial = "MUC partial"
  /// MUC: a pair of the same tokens is correct, whatever the types.
  case boundary = "MUC exact boundary"
  /// MUC: a pair that overlaps and is of one type is correct.
  case type = "MUC type"

  /// F1 of all sentences.
  package func f1(_ counts: SentenceCounts) -> Double {
    func f1(_ correct: Double, _ predicted: Int, _ gold: Int) -> Double {
      let precision = predicted == 0 ? 0 : correct / Double(predicted)
      let recall = gold == 0 ? 0 : correct / Double(gold)
      return precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall)
    }
    let gold = counts.total(.gold)
    let predicted = counts.total(.predicted)
    func total(_ columns: [SentenceCounts.TypeColumn]) -> Double {
      Double(columns.reduce(0) { $0 + counts.total($1) })
    }
    switch self {
    case .conlleval:
      return f1(
        Double(counts.total(.conllevalCorrect)), counts.total(.conllevalPredicted),
        counts.total(.conllevalGold))
    case .seqeval: return f1(total([.correct]), predicted, gold)
    case .strict:
      return f1(
        Double(counts.total(.strictCorrect)), counts.total(.strictPredicted),
        counts.total(.strictGold))
    case .partial:
      return f1(
        total([.correct, .wrongType]) + 0.5 * total([.wrongBoundary, .wrongBoth]), predicted, gold)
    case .boundary: return f1(total([.correct, .wrongType]), predicted, gold)
    case .type: return f1(Double(counts.total(.correctTypes)), predicted, gold)
    }
  }
}

extension Comparison.Counts {
  init(_ runs: [SentenceCounts]) {
    let count = Double(runs.count)
    var types: [(name: String, columns: [Double])] = []
    for counts in runs {
      for (place, name) in counts.types.enumerated() {
        let columns = SentenceCounts.TypeColumn.allCases.map {
          Double(counts.total($0, type: place))
        }
        if let index = types.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
          types[index].columns = zip(types[index].columns, columns).map { $0 + $1 }
        } else {
          types.append((name, columns))
        }
      }
    }
    self.types = types.map { ($0.name, $0.columns.map { $0 / count }) }
      .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    protocols = ScoringProtocol.allCases.map { scoring in
      runs.reduce(0) { $0 + scoring.f1($1) } / count
    }
  }

  /// The sum over types.
  public func total(_ column: SentenceCounts.TypeColumn) -> Double {
    types.reduce(0) { $0 + $1.columns[column.rawValue] }
  }
}
