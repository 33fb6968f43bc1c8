import Checkpoints
import Collectives
import Configuration
import Corpus
import Determinism
import Files
import Foundation
import Model
import Tensors
import Training

/// The own keys of ``HashedTask``.
struct HashedOptions: TaskOptions {
  var hashBuckets = 512
  var hashWidth = 16
  /// The share of a hard target that its own label gets; the others share the rest.
  var targetPeak = 0.9
  var innerLearningRate = 0.1
  var hashDropout = 0.1

  static let keys: [TaskKey<HashedOptions>] = [
    TaskKey(
      "hash_buckets", \.hashBuckets, must: .inside(2...1_000_000),
      "Rows of the table in which words are looked up by a hash of their bytes."),
    TaskKey("hash_width", \.hashWidth, must: .inside(4...1024), "Columns of that table."),
    TaskKey(
      "target_peak", \.targetPeak, must: .inside(0.5...1),
      "Share of a target that its tag has, where the corpus has no soft labels."),
    TaskKey(
      "inner_learning_rate", \.innerLearningRate, must: .atLeast(0),
      "Learning rate of the two updates that every sentence begins with."),
    TaskKey("hash_dropout", \.hashDropout, must: .inside(0...0.9), "Dropout of hidden states."),
  ]

  var wordLabels: WordLabels { .probabilities }

  func check(_ own: OwnKeys) throws(ConfigError) {
    guard hashWidth.isMultiple(of: 4) else {
      throw own.error(at: "hash_width", "hash_width: \(hashWidth) is no multiple of 4")
    }
  }
}

/// Words by a hash of their bytes, labelled after two updates on the sentence itself: a complete task outside of the
/// package's own, without encoder and tokenizer. It exists to prove that a task needs no other file.
struct HashedTask: TrainingTask {
  static let schema = TaskSchema(
    name: "hashed-tagging", summary: "Labels words by hashes of their bytes, with inner updates.",
    options: HashedOptions.self, makes: [.model],
    metrics: [
      TaskMetric(
        name: "macro_accuracy", score: "accuracy", moreIsBetter: true, title: "accuracy",
        format: .percent,
        table: .init("test accuracy", of: .test, score: "accuracy", format: .percent))
    ], takes: [.train], languageKeys: ["max_sentences"])

  static func loaded(_ checkpoint: StoredCheckpoint) throws -> (any Predictor)? {
    checkpoint.task == schema.name ? try LoadedHashes(checkpoint) : nil
  }

  private let setup: StageSetup
  private let options: HashedOptions
  private let labels: LabelSet
  /// The sentences that each language is trained on and scored on.
  private let train: [HashedCorpus]
  private let parts: [[ScoredPart: HashedCorpus]]
  private let hashed: HashedNetwork

  init(_ setup: StageSetup) throws {
    self.setup = setup
    let options: HashedOptions = setup.options()
    self.options = options
    let languages = setup.configuration.languages
    let texts = try languages.map { language in
      try TaggedText(
        reading: try setup.trainingFiles(of: language), maxSentences: language.maxSentences
      ).sentences
    }
    let labels = LabelSet(union: texts.map { LabelSet(of: $0) })
    self.labels = labels
    let network = HashedNetwork(
      buckets: options.hashBuckets, width: options.hashWidth, labels: labels.count,
      dropout: Float(options.hashDropout))
    hashed = network
    train = try zip(languages, texts).map { language, sentences in
      let soft = try setup.artifacts(of: language.code).first.map {
        try SoftLabels($0, sentences: sentences.map(\.words.count))
      }
      return try HashedCorpus(
        sentences, labels: labels, peak: options.targetPeak, soft: soft, network)
    }
    parts = try languages.map { language in
      var parts: [ScoredPart: HashedCorpus] = [:]
      for (part, files) in [(ScoredPart.dev, language.dev), (.test, language.test)]
      where !files.isEmpty {
        parts[part] = try HashedCorpus(
          try TaggedText(reading: files).sentences, labels: labels, peak: options.targetPeak,
          network)
      }
      return parts
    }
  }

  var fingerprints: [String] {
    zip(setup.configuration.languages, train).map {
      "\($0.code): \($1.sentences.count) sentences, \(String($1.fingerprint, radix: 16))"
    }
  }

  func dataFacts() throws -> JSONValue {
    var facts = JSONObject()
    for language in setup.configuration.languages {
      facts[language.code] = [
        "train": ["files": try DataFiles.hashes(try setup.trainingFiles(of: language))]
      ]
    }
    return .object(facts)
  }

  var network: any Network { hashed }

  var method: HashedMethod {
    HashedMethod(network: hashed, innerLearningRate: options.innerLearningRate)
  }

  var feed: HashedFeed {
    HashedFeed(
      train, codes: setup.configuration.languages.map(\.code), languages: setup.languages,
      stepSize: setup.stage.training.stepSize, seed: setup.seed, stage: setup.stage.randomKey)
  }

  var facts: JSONObject {
    var facts = JSONObject()
    facts["labels"] = .array(labels.labels.map { .init($0) })
    facts["card"] = ["model": "A tagger of hashed words"]
    return facts
  }

  func problem(in batch: HashedBatch) -> (message: String, item: Int?)? {
    guard let row = batch.targets.firstIndex(where: { !$0.isFinite || $0 < 0 }) else { return nil }
    let word = row / labels.count
    return (
      "a target of \(batch.targets[row])",
      batch.wordBounds.firstIndex { $0 > word }.map { $0 - 1 }
    )
  }

  func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    keptIn files: PredictionFiles?, over communicator: any Communicator
  ) throws -> [[String: Double]?] {
    try languages.map { language in
      guard let corpus = parts[language][part] else { return nil }
      var counts = [0.0, 0.0]
      for index in corpus.sentences.indices
      where index % communicator.size == communicator.rank {
        let found = hashed.probabilities(
          of: corpus.sentences[index].buckets, parameters, in: setup.workspace)
        let gold = corpus.sentences[index].targets
        for word in corpus.sentences[index].buckets.indices {
          let row = word * labels.count..<(word + 1) * labels.count
          counts[0] += found[row].best == gold[row].best ? 1 : 0
          counts[1] += 1
        }
      }
      try communicator.allReduce(&counts, .sum)
      return ["accuracy": counts[1] > 0 ? counts[0] / counts[1] : 0, "words": counts[1]]
    }
  }

  func words(_ score: StageResult.Score) -> String {
    "accuracy \(TaskMetric.Format.percent.text(score["accuracy"])) over \(Int(score["words"])) words"
  }

  var modelFiles: ModelFileWriter {
    let config: JSONValue = [
      "model_type": "isogloss-hashed", "hash_buckets": .init(options.hashBuckets),
      "hash_width": .init(options.hashWidth), "labels": .array(labels.labels.map { .init($0) }),
    ]
    return { (directory, _) throws(FileError) in
      try WholeFile.write(Array(config.compactText.utf8), to: directory + "/config.json")
    }
  }
}

/// A model of ``HashedTask`` that labels words, as it is without inner updates.
private struct LoadedHashes: Predictor {
  private let names: [String]
  private let network: HashedNetwork
  var model: TrainedModel

  init(_ checkpoint: StoredCheckpoint) throws {
    let path = checkpoint.directory + "/config.json"
    guard let bytes = FileManager.default.contents(atPath: path) else {
      throw FileError(.missing, path, "cannot be read")
    }
    let config = try JSONValue(parsing: Array(bytes), path: path)
    guard let buckets = config["hash_buckets"]?.int, let width = config["hash_width"]?.int,
      let names = config["labels"]?.array?.compactMap(\.string), (2...1_000_000).contains(buckets),
      (4...1024).contains(width), !names.isEmpty
    else { throw FileError(.data, path, "describes no model of hashed words") }
    self.names = names
    network = HashedNetwork(buckets: buckets, width: width, labels: names.count, dropout: 0)
    var model = TrainedModel(
      network: network, parameters: ParameterSet(layout: network.layout))
    _ = try model.readWeights(directory: checkpoint.directory, needsHeads: true)
    self.model = model
  }

  func labels(of language: String?) -> [String] { names }

  func predict(
    _ sentences: [Sentence], language: String?, scores: PredictedScores, in workspace: Workspace,
    each body: (Int, Prediction) -> Void
  ) {
    for (place, sentence) in sentences.enumerated() {
      let found = network.probabilities(
        of: sentence.words.map { network.bucket(of: $0) }, model.parameters, in: workspace)
      body(
        place,
        Prediction(
          tags: sentence.words.indices.map { word in
            names[found[word * names.count..<(word + 1) * names.count].best]
          },
          scores: scores == .none
            ? [] : found.map { scores == .logits ? Float(log(Double($0))) : $0 }))
    }
  }

  func evaluate(
    _ file: String, columns: ColumnChoice, language: String?, mode: String,
    in workspace: Workspace
  ) throws -> Evaluation {
    let sentences = try TaggedText(reading: [file], columns: columns).sentences
    let found = try predictions(
      of: sentences, language: language, scores: .none, in: workspace)
    let pairs = zip(sentences.flatMap(\.tags), found.flatMap(\.tags))
    let accuracy = Double(pairs.count { $0 == $1 }) / Double(max(1, found.flatMap(\.tags).count))
    let json: JSONValue = ["file": .init(file), "accuracy": .init(accuracy)]
    return Evaluation(
      text: "accuracy \(TaskMetric.Format.percent.text(accuracy))\n",
      records: [["file", "accuracy"], [file, "\(accuracy)"]], json: json.compactText)
  }
}

extension ArraySlice<Float> {
  /// The place of the largest element, the first of equal ones, from 0.
  var best: Int { (indices.max { self[$0] < self[$1] } ?? startIndex) - startIndex }
}
