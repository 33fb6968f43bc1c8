import Checkpoints
public import Collectives
public import Configuration
public import Corpus
public import Files
public import Model
public import Tensors
import Tokenizers

/// Labels for words: sentences with tags, encoded for a model with one head or one a language.
public struct TokenClassificationTask: TrainingTask {
  public static let schema = TaskSchema(
    name: "token-classification", summary: "Labels for words: named entities and the like.",
    options: TaggingOptions.self, makes: [.model],
    metrics: [TagScores.metric], needs: [.encoder, .tokenizer], takes: [.train],
    languageKeys: ["max_sentences"])

  public static var benches: [any StepBench.Type] { [TaggingBench.self] }

  public static func loaded(_ checkpoint: StoredCheckpoint) throws -> (any Predictor)? {
    try LoadedTagger(checkpoint)
  }

  /// The corpora and label sets of a run, which its stages share.
  private struct Data: Sendable {
    var corpora: [LanguageCorpus]
    /// Of each head.
    var labels: [LabelSet]
    /// The files that each language is trained on.
    var trainFiles: [[String]]
  }

  private let setup: StageSetup
  private let options: TaggingOptions
  private let start: EncoderStart
  private let data: Data
  private let classifier: TokenClassifier
  public let method: TokenClassification
  private let tagger: Tagger

  /// Reads all files of the languages, and reports their tags.
  public init(_ setup: StageSetup) throws {
    self.setup = setup
    options = setup.options()
    start = try EncoderStart(setup)
    let options = options
    data = try Self.data(setup, options, start)
    var encoder = start.encoder
    // One of the states is the embeddings'.
    guard options.headLayers <= encoder.layerCount + 1 else {
      throw RunError(
        .configuration,
        "head_layers: \(options.headLayers) of an encoder of \(encoder.layerCount) layers; use \(encoder.layerCount) or less"
      )
    }
    if let rate = options.classifierDropout { encoder.classifierDropout = Float(rate) }
    classifier = TokenClassifier(
      encoder, head: options.headShape,
      languages: data.labels.count == 1 ? [] : data.corpora.map(\.code),
      labelCounts: data.labels.map(\.count))
    let heads = classifier.heads
    method = TokenClassification(
      model: classifier,
      headOfLanguage: data.corpora.indices.map { heads.count == 1 ? 0 : $0 },
      labelSmoothing: Float(options.labelSmoothingFactor))
    tagger = Tagger(
      method: method, labels: data.labels, workspace: setup.workspace,
      tokensPerBatch: setup.stage.training.evalTokensPerBatch)
  }

  private static func data(
    _ setup: StageSetup, _ options: TaggingOptions, _ start: EncoderStart
  ) throws -> Data {
    let languages = setup.configuration.languages
    let window = WindowShape(
      maxLength: start.maxLength, overlap: options.overlap(windowLength: start.maxLength))
    let files = try languages.map { try setup.trainingFiles(of: $0) }
    let key = "\(languages)\n\(files)\n\(options)\n\(start.tokenizerPath)\n\(window)"
    return try setup.shared.value(schema.name, key: key) {
      setup.communicator.activity.begin("reading data")
      let texts = try zip(languages, files).map { language, files in
        let known = try setup.artifacts(of: language.code).flatMap { try $0.labels() }
        return try LanguageText(
          language, train: files, known: Set(known).sorted(), columns: options.columns)
      }
      for report in texts.flatMap(\.reports) { setup.reporter.line("\(report)") }
      let sets = options.labels.labelSets(texts.map(\.labels))
      var corpora: [LanguageCorpus] = []
      for (text, set) in zip(texts, sets) {
        corpora.append(try text.encoded(labels: set, tokenizer: start.tokenizer, shape: window))
      }
      return Data(
        corpora: corpora, labels: options.labels == .union ? [sets[0]] : sets, trainFiles: files)
    }
  }

  public var fingerprints: [String] { data.corpora.flatMap(\.fingerprints) }

  public func dataFacts() throws -> JSONValue {
    var facts = JSONObject()
    for ((language, corpus), trained) in zip(
      zip(setup.configuration.languages, data.corpora), data.trainFiles)
    {
      var splits = JSONObject()
      for (name, files, split) in [
        ("train", trained, corpus.train), ("dev", language.dev, corpus.dev),
        ("test", language.test, corpus.test),
      ] {
        guard let facts = split?.facts else { continue }
        splits[name] = [
          "files": try DataFiles.hashes(files), "sentences": .init(facts.sentences),
          "words": .init(facts.words), "tokens": .init(facts.tokens),
        ]
      }
      facts[language.code] = .object(splits)
    }
    return .object(facts)
  }

  // MARK: Training

  public var network: any Network { classifier }

  public var feed: SentenceFeed {
    SentenceFeed(
      setup.sampling(
        sentences: data.corpora.map { $0.train?.count ?? 0 },
        tokenCounts: { data.corpora[$0].train?.tokenCounts ?? [] }), data.corpora)
  }

  public func problem(in batch: PackedBatch) -> (message: String, item: Int?)? {
    batch.problem(
      classifier.limits,
      labelCounts: method.headOfLanguage.map { classifier.heads[$0].labelCount })
  }

  // MARK: Scores

  public func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    keptIn files: PredictionFiles?, over communicator: any Communicator
  ) throws -> [[String: Double]?] {
    try languages.map { language in
      let corpus = data.corpora[language]
      guard let split = part == .dev ? corpus.dev : corpus.test, hasTrainedHead(language) else {
        return nil
      }
      let counts =
        try files.map {
          try keep(split, part, of: language, parameters, in: $0, over: communicator)
        }
        ?? tagger.evaluate(
          split, language: language, parameters: parameters, over: communicator)[0]
      return TagScores.values(counts)
    }
  }

  /// Whether the head of a language has learned anything: one for all has, of several those that the stage trains.
  private func hasTrainedHead(_ language: Int) -> Bool {
    data.labels.count == 1 || setup.stage.languages.contains(data.corpora[language].code)
  }

  /// Labels a part, keeps the labels and counts them.
  private func keep(
    _ split: Split, _ part: ScoredPart, of language: Int, _ parameters: ParameterSet,
    in files: PredictionFiles, over communicator: any Communicator
  ) throws -> SpanCounts {
    let labels = data.labels[method.headOfLanguage[language]].labels
    let found = try tagger.labels(
      of: split, language: language, parameters: parameters, over: communicator)
    func tags(_ labels: [String], _ ids: some Sequence<Int32>) -> [String] {
      ids.map { labels[Int($0)] }
    }
    let predicted = (0..<split.count).map { tags(labels, found[split.words(of: $0)]) }
    let gold = (0..<split.count).map { tags(labels, split.labels(of: $0)) }
    try files.write(
      setup.configuration.languages[language], part: part, columns: options.columns, gold: gold,
      predicted: predicted)
    return TagScores.counts(gold: gold, predicted: predicted)
  }

  public func words(_ score: StageResult.Score) -> String {
    TagScores.words(score)
  }

  // MARK: Files

  public func manifestName(ofScore name: String) -> String {
    TagScores.manifestName(ofScore: name)
  }

  public var facts: JSONObject {
    var facts = JSONObject()
    facts["head"] = .init(options.head.rawValue)
    if !options.headShape.isLinear {
      facts["head_layers"] = .init(options.headLayers)
      facts["sentence_units"] = .init(options.sentenceUnits)
    }
    if options.head == .crf, !options.chainEnds { facts["chain_ends"] = .init(false) }
    facts["head_languages"] = .array(classifier.headLanguages.map { .init($0) })
    facts["labels"] = .array(data.labels.map { .array($0.labels.map { .init($0) }) })
    facts["card"] =
      options.headShape.isLinear
      ? ["model": "A token classifier", "pipeline_tag": "token-classification"]
      : ["model": "A token classifier"]
    facts["window"] = [
      "max_length": .init(start.maxLength),
      "stride": .init(options.overlap(windowLength: start.maxLength)),
    ]
    return facts
  }

  public var modelFiles: ModelFileWriter {
    let labels =
      data.labels.count == 1 ? data.labels[0].labels : LabelSet(union: data.labels).labels
    let (start, encoder) = (start, classifier.configuration)
    // What `transformers` can read of another head's model is its encoder.
    let architecture = options.headShape.isLinear ? "ForTokenClassification" : "Model"
    return { (directory, type) throws(FileError) in
      try start.writeFiles(
        into: directory, of: encoder, as: architecture, labels: labels, weights: type)
    }
  }
}

extension LanguageText {
  /// Its sentences as windows of tokens.
  fileprivate func encoded(
    labels: LabelSet, tokenizer: any Tokenizer, shape: WindowShape
  ) throws -> LanguageCorpus {
    func split(_ text: TaggedText) throws -> Split {
      try Split(text.sentences, labels: labels, tokenizer: tokenizer, shape: shape)
    }
    return LanguageCorpus(
      code: code, labels: labels, train: try train.map(split), dev: try dev.map(split),
      test: try test.map(split))
  }
}
