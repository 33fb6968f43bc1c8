import Checkpoints
public import Collectives
public import Configuration
import Corpus
public import Files
public import Model
public import Tensors

/// Entities as starts, lengths and types that a decoder writes for windows of bytes, without tokenizer and pretrained weights.
///
/// Gillick, Brunk, Vinyals and Subramanya, "Multilingual Language Processing From Bytes", NAACL 2016, as in Mueller, Andrews
/// and Dredze, "Sources of Transfer in Multilingual Named Entity Recognition", ACL 2020. Defaults are the latter's.
public struct ByteToSpanTask: TrainingTask {
  public static let schema = TaskSchema(
    name: "byte-to-span",
    summary:
      "Entities from windows of bytes: one LSTM reads a window, another writes its entities.",
    options: ByteToSpanOptions.self, makes: [.model], metrics: [TagScores.metric], takes: [.train],
    languageKeys: ["max_sentences"])

  public static func loaded(_ checkpoint: StoredCheckpoint) throws -> (any Predictor)? {
    checkpoint.task == schema.name ? try LoadedByteToSpan(checkpoint) : nil
  }

  public static var commands: [TaskCommand] { [DecodeWindows.command] }

  public static var benches: [any StepBench.Type] { [ByteToSpanBench.self] }

  /// The texts of a run, which its stages share.
  private struct Data: Sendable {
    var vocabulary: SpanVocabulary
    var train: [ByteText]
    var parts: [[ScoredPart: ByteText]]
    /// The files that each language is trained on.
    var trainFiles: [[String]]
  }

  private let setup: StageSetup
  private let options: ByteToSpanOptions
  private let data: Data
  private let tagger: SpanTagger

  /// Reads all files of the languages, and reports their tags.
  public init(_ setup: StageSetup) throws {
    self.setup = setup
    let options: ByteToSpanOptions = setup.options()
    self.options = options
    data = try Self.data(setup, options)
    tagger = SpanTagger(
      method: ByteToSpanMethod(network: ByteToSpanNetwork(options, data.vocabulary)),
      workspace: setup.workspace, bytesPerBatch: setup.stage.training.evalTokensPerBatch,
      stride: options.testStride)
  }

  private static func data(_ setup: StageSetup, _ options: ByteToSpanOptions) throws -> Data {
    let languages = setup.configuration.languages
    let files = try languages.map { try setup.trainingFiles(of: $0) }
    let key = "\(languages)\n\(files)\n\(options.window)\n\(options.columns)"
    return try setup.shared.value(schema.name, key: key) {
      setup.communicator.activity.begin("reading data")
      let texts = try zip(languages, files).map { language, files in
        let known = try setup.artifacts(of: language.code).flatMap { try $0.labels() }
        return try LanguageText(
          language, train: files, known: Set(known).sorted(), columns: options.columns)
      }
      for report in texts.flatMap(\.reports) { setup.reporter.line("\(report)") }
      let labels = LabelSet(union: texts.map(\.labels)).labels
      let vocabulary = try SpanVocabulary(labels: labels, window: options.window)
      func bytes(_ text: TaggedText?) throws -> ByteText? {
        try text.map { try ByteText($0.sentences, vocabulary, readsTags: true) }
      }
      return Data(
        vocabulary: vocabulary, train: try texts.map { try bytes($0.train) ?? .none },
        parts: try texts.map { text in
          var parts: [ScoredPart: ByteText] = [:]
          parts[.dev] = try bytes(text.dev)
          parts[.test] = try bytes(text.test)
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
      ].map { name, text in
        "\(code) \(name): \(text?.sentences.count ?? 0) sentences, \(String(text?.fingerprint ?? 0, radix: 16))"
      }
    }
  }

  public func dataFacts() throws -> JSONValue {
    var facts = JSONObject()
    for (place, language) in setup.configuration.languages.enumerated() {
      var parts = JSONObject()
      for (name, files, text) in [
        ("train", data.trainFiles[place], data.train[place]),
        ("dev", language.dev, data.parts[place][.dev] ?? .none),
        ("test", language.test, data.parts[place][.test] ?? .none),
      ] where !files.isEmpty {
        parts[name] = [
          "files": try DataFiles.hashes(files), "sentences": .init(text.sentences.count),
          "words": .init(text.words.count), "tokens": .init(text.bytes.count),
          "entities": .init(text.spans.count + text.lostSpans),
          "lost_entities": .init(text.lostSpans),
        ]
      }
      facts[language.code] = .object(parts)
    }
    return .object(facts)
  }

  // MARK: Training

  public var network: any Network { tagger.method.network }

  public var method: ByteToSpanMethod { tagger.method }

  public var feed: ByteToSpanFeed {
    ByteToSpanFeed(
      setup.sampling(sentences: data.train.map(\.windowCount)) { language in
        let text = data.train[language]
        return (0..<text.windowCount).map { Int32(text.window(at: $0).count) }
      },
      codes: setup.configuration.languages.map(\.code), data.train, data.vocabulary)
  }

  // MARK: Scores

  public func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    keptIn files: PredictionFiles?, over communicator: any Communicator
  ) throws -> [[String: Double]?] {
    try languages.map { language in
      guard let text = data.parts[language][part] else { return nil }
      let found = try tagger.found(in: text, parameters, over: communicator)
      let gold = text.sentences.map(\.tags)
      try files?.write(
        setup.configuration.languages[language], part: part, columns: options.columns, gold: gold,
        predicted: found.tags)
      var values = TagScores.values(TagScores.counts(gold: gold, predicted: found.tags))
      values["malformed"] = Double(found.malformed)
      values["unfinished"] = Double(found.unfinished)
      return values
    }
  }

  public func words(_ score: StageResult.Score) -> String {
    let faults = [("malformed", "malformed outputs"), ("unfinished", "windows without end")]
      .filter { score[$0.0] > 0 }.map { ", \(Int(score[$0.0])) \($0.1)" }
    return TagScores.words(score) + faults.joined()
  }

  public func manifestName(ofScore name: String) -> String {
    TagScores.manifestName(ofScore: name)
  }

  // MARK: Files

  public var facts: JSONObject {
    var facts = JSONObject()
    facts["labels"] = .array(data.vocabulary.labels.labels.map { .init($0) })
    facts["card"] = ["model": .init("A tagger of words by spans of their bytes")]
    return facts
  }

  public var modelFiles: ModelFileWriter {
    let shape = ByteToSpanShape(options, types: data.vocabulary.types)
    return { (directory, _) throws(FileError) in
      try WholeFile.write(shape.json.text, to: directory + "/config.json")
    }
  }
}
