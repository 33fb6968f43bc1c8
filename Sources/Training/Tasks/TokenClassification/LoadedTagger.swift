import Checkpoints
import Collectives
import Corpus
import Determinism
import Files
import Foundation
import Model
import Tensors

/// A token classifier read from a directory, ready to label sentences.
struct LoadedTagger: Predictor {
  private var loaded: LoadedModel<TokenClassifier>
  private let facts: Facts
  /// How long sentences are cut.
  private let window: WindowShape

  /// Reads a checkpoint written here, or by `transformers` for token classification.
  ///
  /// - Throws: ``FileError``, ``FileError`` for its tokenizer, ``RunError`` if they do not fit.
  init(_ checkpoint: StoredCheckpoint) throws {
    let config = try HuggingFaceConfig(directory: checkpoint.directory)
    let facts = try Facts(checkpoint, config)
    self.facts = facts
    loaded = try LoadedModel(directory: checkpoint.directory, config: config) {
      encoder throws(FileError) in
      guard facts.head.encoderLayers <= encoder.layerCount + 1 else {
        throw FileError(
          .data, checkpoint.directory + "/isogloss.json", field: "head_layers",
          "is \(facts.head.encoderLayers), and the encoder has \(encoder.layerCount) layers")
      }
      return TokenClassifier(
        encoder, head: facts.head, languages: facts.headLanguages,
        labelCounts: facts.labels.map(\.count))
    }
    window = facts.window(longest: loaded.network.configuration.longestSequence)
  }

  var model: TrainedModel {
    get { loaded.model }
    set { loaded.model = newValue }
  }

  func labels(of language: String?) throws -> [String] {
    facts.labels[try head(of: language)].labels
  }

  private func head(of language: String?) throws -> Int {
    if facts.headLanguages.isEmpty { return 0 }
    guard let language, let head = facts.headLanguages.firstIndex(of: language) else {
      throw RunError(
        .data,
        "\(loaded.path) has a head for each of \(facts.headLanguages.joined(separator: ", ")); name one of "
          + "them with --language")
    }
    return head
  }

  private func tagger(_ head: Int, in workspace: Workspace) -> Tagger {
    Tagger(
      method: TokenClassification(model: loaded.network, headOfLanguage: [head]),
      labels: facts.labels, workspace: workspace, tokensPerBatch: 4096)
  }

  func predict(
    _ sentences: [Sentence], language: String?, scores: PredictedScores, in workspace: Workspace,
    each body: (Int, Prediction) -> Void
  ) throws {
    let head = try head(of: language)
    let labels = facts.labels[head].labels
    if scores == .probabilities, facts.head.kind == .crf {
      throw RunError(
        .configuration,
        "\(loaded.path): the probabilities of a CRF's labels cannot be given; use a model with head: softmax, or no soft "
          + "labels")
    }
    let split = try Split(sentences, labels: nil, tokenizer: loaded.tokenizer, shape: window)
    tagger(head, in: workspace).predict(
      split, language: 0, parameters: loaded.model.parameters, logits: scores != .none
    ) { sentence, found, rows in
      body(
        sentence,
        Prediction(
          tags: found.map { labels[Int($0)] },
          scores: rows.flatMap { scores == .probabilities ? Self.softmax($0) : $0 }))
    }
  }

  func sampler(of sentences: [Sentence], language: String?) throws -> (any LabelSampler)? {
    let split = try Split(sentences, labels: nil, tokenizer: loaded.tokenizer, shape: window)
    return SplitSampler(
      method: TokenClassification(
        model: loaded.network, headOfLanguage: [try head(of: language)]), split: split)
  }

  private static func softmax(_ logits: [Float]) -> [Float] {
    let largest = Double(logits.max() ?? 0)
    let powers = logits.map { exp(Double($0) - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { Float($0 / sum) }
  }

  func evaluate(
    _ file: String, columns: ColumnChoice, language: String?, mode name: String,
    in workspace: Workspace
  ) throws -> Evaluation {
    let head = try head(of: language)
    let tagger = tagger(head, in: workspace)
    let labels = facts.labels[head]
    let mode = try TagScores.mode(named: name, labels: labels)
    var stream = try TaggedStream(file, columns: columns)
    var counts = SpanCounts()
    while let sentences = try stream.next() {
      let split = try Split(sentences, labels: labels, tokenizer: loaded.tokenizer, shape: window)
      counts += try tagger.evaluate(
        split, language: 0, parameters: loaded.model.parameters, modes: [mode],
        over: SingleRank())[0]
    }
    return TagScores.evaluation(counts, mode: mode, file: file, language: language)
  }

  /// What the manifest says of the heads, or what follows from `config.json` where there is none.
  private struct Facts {
    var head = HeadShape.softmax
    var headLanguages: [String] = []
    var labels: [LabelSet]
    private let manifest: JSONObject?

    init(_ checkpoint: StoredCheckpoint, _ config: HuggingFaceConfig) throws {
      let path = checkpoint.directory + "/isogloss.json"
      manifest = checkpoint.manifest?.facts.object
      if let manifest, let sets = manifest["labels"]?.array {
        labels = try sets.map { set in
          let names = set.array?.compactMap(\.string) ?? []
          guard Self.areLabels(names), names.count == set.array?.count else {
            throw FileError(.data, path, field: "labels", "is not a list of labels")
          }
          return LabelSet(ordered: names)
        }
        if let value = manifest["head"] {
          guard let kind = value.string.flatMap(HeadKind.init(rawValue:)) else {
            throw FileError(
              .data, path, field: "head",
              "'\(value.string ?? value.compactText)' is no head that this program knows: "
                + HeadKind.allCases.map(\.rawValue).joined(separator: ", "))
          }
          head = HeadShape(kind)
        }
        func number(_ name: String, _ range: ClosedRange<Int>) throws(FileError) -> Int? {
          guard let value = manifest[name] else { return nil }
          guard let number = value.int, range.contains(number) else {
            throw FileError(
              .data, path, field: name,
              "is no number from \(range.lowerBound) to \(range.upperBound)")
          }
          return number
        }
        head.encoderLayers = try number("head_layers", 1...64) ?? 1
        head.sentenceUnits = try number("sentence_units", 0...4096) ?? 0
        head.hasEnds = manifest["chain_ends"]?.bool ?? true
        headLanguages = manifest["head_languages"]?.array?.compactMap(\.string) ?? []
        guard labels.count == max(1, headLanguages.count),
          Set(headLanguages).count == headLanguages.count
        else {
          throw FileError(
            .data, path, field: "head_languages",
            "names \(Set(headLanguages).count) heads for \(labels.count) sets of labels")
        }
        return
      }
      guard let names = config.labels, Self.areLabels(names) else {
        throw FileError(
          .data, checkpoint.directory + "/config.json", field: "id2label",
          "names no labels: this is not a model for token classification")
      }
      labels = [LabelSet(ordered: names)]
    }

    /// As in training where the manifest says so, else by what the model can take.
    func window(longest: Int) -> WindowShape {
      // Manifests of earlier versions have the two among the run's keys.
      let own = manifest?["window"] ?? manifest?["config"]
      let stride = (own?["stride"] ?? own?["window_stride"])?.int
      let length = min(max(3, own?["max_length"]?.int ?? longest), longest)
      let overlap = stride ?? TaggingOptions().overlap(windowLength: length)
      return WindowShape(maxLength: length, overlap: min(max(0, overlap), length - 3))
    }

    private static func areLabels(_ names: [String]) -> Bool {
      !names.isEmpty && Set(names).count == names.count && !names.contains("")
    }
  }
}

/// Draws labels of the sentences of a split.
private struct SplitSampler: LabelSampler {
  let method: TokenClassification
  let split: Split

  func recordSample(ofSentence sentence: Int, using random: inout RandomStream, on tape: Tape) {
    method.recordSample(
      PackedBatch(sentences: [sentence], language: 0, of: split), using: &random, on: tape)
  }
}
