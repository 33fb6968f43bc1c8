import Checkpoints
public import Collectives
public import Configuration
import Corpus
public import Files
public import Model
public import Tensors

/// Labels for words from their bytes or characters, by LSTMs and a CRF, without tokenizer and pretrained weights.
///
/// Mueller, Andrews and Dredze, "Sources of Transfer in Multilingual Named Entity Recognition", ACL 2020. Defaults are the
/// paper's.
public struct ByteCRFTask: TrainingTask {
  public static let schema = TaskSchema(
    name: "byte-crf",
    summary: "Labels for words from their bytes or characters: LSTMs and a CRF.",
    options: ByteCRFOptions.self, makes: [.model], metrics: [TagScores.metric], takes: [.train],
    languageKeys: ["max_sentences"])

  public static func loaded(_ checkpoint: StoredCheckpoint) throws -> (any Predictor)? {
    checkpoint.task == schema.name ? try LoadedByteCRF(checkpoint) : nil
  }

  public static var benches: [any StepBench.Type] { [ByteCRFBench.self] }

  /// The corpora of a run, which its stages share.
  private struct Data: Sendable {
    var labels: LabelSet
    var vocabulary: UnitVocabulary
    var train: [UnitCorpus]
    var parts: [[ScoredPart: UnitCorpus]]
    /// The files that each language is trained on.
    var trainFiles: [[String]]
  }

  private let setup: StageSetup
  private let options: ByteCRFOptions
  private let data: Data
  private let crf: ByteCRFNetwork
  private let tagger: UnitTagger

  /// Reads all files of the languages, and reports their tags.
  public init(_ setup: StageSetup) throws {
    self.setup = setup
    let options: ByteCRFOptions = setup.options()
    self.options = options
    data = try Self.data(setup, options)
    crf = ByteCRFNetwork(
      options, vocabulary: data.vocabulary.count, labels: data.labels.count)
    tagger = UnitTagger(
      method: ByteCRFMethod(network: crf), workspace: setup.workspace,
      unitsPerBatch: setup.stage.training.evalTokensPerBatch)
  }

  private static func data(_ setup: StageSetup, _ options: ByteCRFOptions) throws -> Data {
    let languages = setup.configuration.languages
    let files = try languages.map { try setup.trainingFiles(of: $0) }
    let key = "\(languages)\n\(files)\n\(options.units)\n\(options.wordLength)\n\(options.columns)"
    return try setup.shared.value(schema.name, key: key) {
      setup.communicator.activity.begin("reading data")
      let texts = try zip(languages, files).map { language, files in
        let known = try setup.artifacts(of: language.code).flatMap { try $0.labels() }
        return try LanguageText(
          language, train: files, known: Set(known).sorted(), columns: options.columns)
      }
      for report in texts.flatMap(\.reports) { setup.reporter.line("\(report)") }
      let labels = LabelSet(union: texts.map(\.labels))
      let vocabulary = UnitVocabulary(
        options.units, of: texts.flatMap { $0.train?.sentences ?? [] })
      func corpus(_ text: TaggedText?) throws -> UnitCorpus? {
        try text.map {
          try UnitCorpus(
            $0.sentences, vocabulary, wordLength: options.wordLength, labels: labels)
        }
      }
      return Data(
        labels: labels, vocabulary: vocabulary,
        train: try texts.map { try corpus($0.train) ?? .none },
        parts: try texts.map { text in
          var parts: [ScoredPart: UnitCorpus] = [:]
          parts[.dev] = try corpus(text.dev)
          parts[.test] = try corpus(text.test)
          return parts
        }, trainFiles: files)
    }
  }

  public var fingerprints: [String] {
    setup.configuration.languages.indices.flatMap { language in
      let code = setup.configuration.languages[language].code
      return [
        ("train", data.train[language]), ("dev", data.parts[language][.dev]),
        ("test", data.parts[language][.test]),
      ].map { name, corpus in
        "\(code) \(name): \(corpus?.count ?? 0) sentences, \(String(corpus?.fingerprint ?? 0, radix: 16))"
      }
    }
  }

  public func dataFacts() throws -> JSONValue {
    var facts = JSONObject()
    for (place, language) in setup.configuration.languages.enumerated() {
      var parts = JSONObject()
      for (name, files, corpus) in [
        ("train", data.trainFiles[place], data.train[place]),
        ("dev", language.dev, data.parts[place][.dev] ?? .none),
        ("test", language.test, data.parts[place][.test] ?? .none),
      ] where !files.isEmpty {
        parts[name] = [
          "files": try DataFiles.hashes(files), "sentences": .init(corpus.count),
          "words": .init(corpus.wordBounds.count - 1), "tokens": .init(corpus.units.count),
        ]
      }
      facts[language.code] = .object(parts)
    }
    return .object(facts)
  }

  // MARK: Training

  public var network: any Network { crf }

  public var method: ByteCRFMethod { tagger.method }

  public var feed: ByteCRFFeed {
    ByteCRFFeed(
      setup.sampling(
        sentences: data.train.map(\.count), tokenCounts: { data.train[$0].unitCounts }),
      codes: setup.configuration.languages.map(\.code), data.train)
  }

  // MARK: Scores

  public func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    keptIn files: PredictionFiles?, over communicator: any Communicator
  ) throws -> [[String: Double]?] {
    try languages.map { language in
      guard let corpus = data.parts[language][part] else { return nil }
      let found = try tagger.labels(of: corpus, parameters, over: communicator)
      let predicted = found.map { $0.map { data.labels.labels[Int($0)] } }
      let gold = (0..<corpus.count).map { sentence in
        corpus.labels[corpus.words(of: sentence)].map { data.labels.labels[Int($0)] }
      }
      try files?.write(
        setup.configuration.languages[language], part: part, columns: options.columns,
        gold: gold, predicted: predicted)
      return TagScores.values(TagScores.counts(gold: gold, predicted: predicted))
    }
  }

  public func words(_ score: StageResult.Score) -> String { TagScores.words(score) }

  public func manifestName(ofScore name: String) -> String {
    TagScores.manifestName(ofScore: name)
  }

  // MARK: Files

  public var facts: JSONObject {
    var facts = JSONObject()
    facts["labels"] = .array(data.labels.labels.map { .init($0) })
    facts["card"] = ["model": .init("A tagger of words by their \(options.units.rawValue)")]
    return facts
  }

  public var modelFiles: ModelFileWriter {
    let shape = ByteCRFShape(
      options, characters: data.vocabulary.characters, labels: data.labels.labels)
    return { (directory, _) throws(FileError) in
      try WholeFile.write(shape.json.text, to: directory + "/config.json")
    }
  }
}
