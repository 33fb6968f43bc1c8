import Checkpoints
import Collectives
import Configuration
import Corpus
import Files
import Model
import Tensors
import Tokenizers

/// Labels for words: sentences with tags, encoded for a model.
struct TokenClassificationTask: RunTask {
  let corpora: [LanguageCorpus]
  let labels: [LabelSet]
  private let configuration: RunConfiguration

  /// Reads all files of the languages, and reports their tags.
  init(
    _ configuration: RunConfiguration, tokenizer: any Tokenizer, windowLength: Int,
    reporter: Reporter
  ) throws {
    let window = WindowShape(
      maxLength: windowLength, overlap: configuration.overlap(windowLength: windowLength))
    let texts = try configuration.languages.map { language in
      try LanguageText(language, columns: configuration.columns)
    }
    for report in texts.flatMap(\.reports) { reporter.line("\(report)") }
    let policy = LabelPolicy(rawValue: configuration.labels.rawValue) ?? .union
    let sets = policy.labelSets(texts.map { LabelSet(of: $0.train.sentences) })
    var corpora: [LanguageCorpus] = []
    for (text, set) in zip(texts, sets) {
      corpora.append(try text.encoded(labels: set, tokenizer: tokenizer, shape: window))
    }
    self.corpora = corpora
    labels = policy == .union ? [sets[0]] : sets
    self.configuration = configuration
  }

  var fingerprints: [String] { corpora.flatMap(\.fingerprints) }

  var architecture: String { "ForTokenClassification" }

  func network(_ encoder: EncoderConfiguration) -> any Network {
    TokenClassifier(
      encoder, head: HeadKind(rawValue: configuration.head.rawValue) ?? .softmax,
      languages: labels.count == 1 ? [] : corpora.map(\.code), labelCounts: labels.map(\.count))
  }

  func adjustFirst(
    _ parameters: inout ParameterSet, entries: [Int], of network: any Network, for stage: Stage
  ) {}

  func dataFacts(_ languages: [RunConfiguration.Language]) throws(CheckpointError) -> JSONValue {
    var data = JSONObject()
    for (language, corpus) in zip(languages, corpora) {
      var splits = JSONObject()
      for (name, files, split) in [
        ("train", language.train, corpus.train), ("dev", language.dev, corpus.dev),
        ("test", language.test, corpus.test),
      ] {
        guard let facts = split?.facts else { continue }
        var hashes: [JSONValue] = []
        for file in files {
          hashes.append([
            "name": .init(RunFacts.lastPart(of: file)),
            "sha256": .init(try SHA256.digest(ofFile: file)),
          ])
        }
        splits[name] = [
          "files": .array(hashes), "sentences": .init(facts.sentences),
          "words": .init(facts.words), "tokens": .init(facts.tokens),
        ]
      }
      data[language.code] = .object(splits)
    }
    return .object(data)
  }

  func stage(
    _ stage: Stage, index: Int, network: any Network, in workspace: Workspace
  ) -> any StageTask {
    guard let classifier = network as? TokenClassifier else {
      preconditionFailure("\(type(of: network)) is no token classifier")
    }
    let sampling = sampling(stage, index: index)
    let method = TokenClassification(
      model: classifier,
      headOfLanguage: corpora.indices.map { classifier.heads.count == 1 ? 0 : $0 },
      labelSmoothing: Float(stage.training.labelSmoothingFactor))
    return TaggingStage(
      corpora: corpora, sentences: method, sampling: sampling,
      tagger: Tagger(
        method: method, labels: labels, workspace: workspace,
        tokensPerBatch: stage.training.evalTokensPerBatch))
  }

  /// How a stage draws its sentences: languages that it does not train have none.
  private func sampling(_ stage: Stage, index: Int) -> StageSampling {
    let counts = corpora.map { corpus in
      stage.languages.contains(corpus.code) ? corpus.train?.count ?? 0 : 0
    }
    let size: StageSampling.StepSize
    var tokenCounts: [[Int32]] = []
    switch stage.training.stepSize {
    case .sentences(let count): size = .sentences(count)
    case .tokens(let count):
      size = .tokens(count)
      tokenCounts = zip(counts, corpora).map { count, corpus in
        count == 0 ? [] : corpus.train?.tokenCounts ?? []
      }
    }
    return StageSampling(
      seed: UInt64(bitPattern: Int64(configuration.seed)), stage: index,
      sentenceCounts: counts, alpha: stage.training.samplingAlpha, stepSize: size,
      tokenCounts: tokenCounts)
  }
}

/// A stage over sentences with labels.
private struct TaggingStage: StageTask {
  let corpora: [LanguageCorpus]
  let sentences: TokenClassification
  let sampling: StageSampling
  let tagger: Tagger

  var method: any TrainingMethod { sentences }

  var feed: any StageFeed { SentenceFeed(sampling, corpora) }

  var labelCounts: [Int] {
    let heads = sentences.model.heads
    return corpora.indices.map { heads[heads.count == 1 ? 0 : $0].labelCount }
  }

  var metric: (name: String, moreIsBetter: Bool) { ("f1", true) }

  var facts: JSONObject {
    var facts = JSONObject()
    facts["head"] = .init(sentences.model.heads[0].kind.rawValue)
    facts["head_languages"] = .array(sentences.model.headLanguages.map { .init($0) })
    facts["labels"] = .array(tagger.labels.map { .array($0.labels.map { .init($0) }) })
    return facts
  }

  func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    over communicator: any Communicator
  ) throws -> [[String: Double]?] {
    try languages.map { try score(part, ofLanguage: $0, parameters, over: communicator) }
  }

  private func score(
    _ part: ScoredPart, ofLanguage language: Int, _ parameters: ParameterSet,
    over communicator: any Communicator
  ) throws -> [String: Double]? {
    guard let split = part == .dev ? corpora[language].dev : corpora[language].test else {
      return nil
    }
    let counts = try tagger.evaluate(
      split, language: language, parameters: parameters, over: communicator)
    let rates = SpanScores(counts[0]).micro
    return [
      "precision": rates.precision, "recall": rates.recall, "f1": rates.f1,
      "entities": Double(counts[0].overall.gold),
    ]
  }

  func words(_ score: StageResult.Score) -> String {
    "F1 \(ResultTable.percent(score["f1"])) (precision \(ResultTable.percent(score["precision"])), "
      + "recall \(ResultTable.percent(score["recall"])), \(Int(score["entities"])) entities)"
  }
}

/// The sentences of a stage's steps.
private struct SentenceFeed: StageFeed {
  private var plan: StagePlan
  private let splits: [Split]
  private let corpora: [LanguageCorpus]
  private var items: ArraySlice<SentenceReference> = []

  init(_ sampling: StageSampling, _ corpora: [LanguageCorpus]) {
    plan = StagePlan(sampling)
    splits = corpora.compactMap(\.train)
    self.corpora = corpora
  }

  mutating func stepCount(epochs: Double) -> Int { plan.stepCount(epochs: epochs) }

  mutating func place(ofStep step: Int) -> (epoch: Int, index: Int) { plan.place(ofStep: step) }

  mutating func representativeSteps(of steps: Int) -> Int {
    max(1, min(steps, plan.firstStep(ofEpoch: 1)))
  }

  mutating func go(toStep step: Int) -> ArraySlice<SentenceReference> {
    items = plan.sentences(ofStep: step)
    return items
  }

  private func reference(_ item: Int) -> SentenceReference { items[items.startIndex + item] }

  func lengths(ofItem item: Int) -> [Int] {
    splits[reference(item).language].windowLengths(of: reference(item).sentence)
  }

  func tokens(ofItem item: Int) -> [Int32] {
    let split = splits[reference(item).language]
    let sentence = reference(item).sentence
    let windows = split.sentenceBounds[sentence]..<split.sentenceBounds[sentence + 1]
    return Array(
      split.tokens[split.windowBounds[windows.lowerBound]..<split.windowBounds[windows.upperBound]])
  }

  func batch(_ assignment: [[Int]], shards: Range<Int>) -> PackedBatch {
    PackedBatch(step: items, assignment: assignment, shards: shards, splits: splits)
  }

  func place(of item: SentenceReference) -> (path: String, line: Int) {
    splits[item.language].place(of: item.sentence)
  }

  mutating func ledger(steps: Int, languages: [Int]) -> String {
    let draws = plan.drawCounts(steps: steps)
    return Ledger(
      languages: languages.map { corpora[$0].code },
      facts: languages.map { corpora[$0].train?.facts ?? Split.Facts() },
      plannedShares: languages.map { plan.sampling.plannedShares[$0] },
      draws: languages.map { draws[$0] }
    ).table
  }

  var cursor: TextCursor? { nil }

  mutating func resume(at step: Int, from cursor: TextCursor?, path: String) {}
}

/// The files of one language, read and not yet encoded.
private struct LanguageText {
  let code: String
  let train: TaggedText
  let dev: TaggedText?
  let test: TaggedText?

  init(_ language: RunConfiguration.Language, columns: RunConfiguration.Columns) throws {
    let choice = ColumnChoice(token: columns.token, tag: columns.tag)
    code = language.code
    train = try TaggedText(
      reading: language.train, columns: choice, maxSentences: language.maxSentences)
    dev = language.dev.isEmpty ? nil : try TaggedText(reading: language.dev, columns: choice)
    test = language.test.isEmpty ? nil : try TaggedText(reading: language.test, columns: choice)
  }

  var reports: [TagReport] { train.reports + (dev?.reports ?? []) + (test?.reports ?? []) }

  func encoded(
    labels: LabelSet, tokenizer: any Tokenizer, shape: WindowShape
  ) throws -> LanguageCorpus {
    func split(_ text: TaggedText) throws -> Split {
      try Split(text.sentences, labels: labels, tokenizer: tokenizer, shape: shape)
    }
    return LanguageCorpus(
      code: code, labels: labels, train: try split(train), dev: try dev.map(split),
      test: try test.map(split))
  }
}
