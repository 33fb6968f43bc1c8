import Checkpoints
public import Collectives
public import Configuration
import Corpus
public import Files
public import Model
public import Tensors

/// The task of training a ``UnitModel``.
public struct UnitTask<Unit: UnitModel>: TrainingTask {
  public static var schema: TaskSchema { Unit.schema }

  public static func loaded(_ checkpoint: StoredCheckpoint) throws -> (any Predictor)? {
    checkpoint.task == schema.name ? try LoadedUnitModel<Unit>(checkpoint) : nil
  }

  public static var benches: [any StepBench.Type] { Unit.benches }

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
  private let options: Unit.Options
  private let data: Data
  private let tagger: UnitTagger<Unit>

  /// Reads all files of the languages, and reports their tags.
  public init(_ setup: StageSetup) throws {
    self.setup = setup
    let options: Unit.Options = setup.options()
    self.options = options
    data = try Self.data(setup, options)
    tagger = UnitTagger(
      model: Unit(options, vocabulary: data.vocabulary.count, labels: data.labels),
      workspace: setup.workspace,
      unitsPerBatch: setup.stage.training.evalTokensPerBatch, labelCount: data.labels.count)
  }

  private static func data(_ setup: StageSetup, _ options: Unit.Options) throws -> Data {
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
      let labels = try Unit.labels(trainedOn: LabelSet(union: texts.map(\.labels)))
      let vocabulary = UnitVocabulary(
        options.units, of: texts.flatMap { $0.train?.sentences ?? [] })
      func corpus(_ text: TaggedText?) throws -> UnitCorpus? {
        try text.map {
          try UnitCorpus(
            $0.sentences, vocabulary, wordLength: options.wordLength, separator: Unit.separator,
            labels: labels)
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

  public var network: any Network { tagger.model.network }

  public var method: Unit { tagger.model }

  public var feed: UnitFeed {
    UnitFeed(
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
    let config = UnitModelConfig<Unit>(
      options, characters: data.vocabulary.characters, labels: data.labels.labels)
    return { (directory, _) throws(FileError) in
      try WholeFile.write(config.json.text, to: directory + "/config.json")
    }
  }
}
