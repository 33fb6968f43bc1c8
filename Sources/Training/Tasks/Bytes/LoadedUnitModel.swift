import Collectives
import Configuration
import Corpus
import Determinism
import Files
import Model
import Tensors

/// A ``UnitModel`` read from a directory, ready to label sentences.
struct LoadedUnitModel<Unit: UnitModel>: Predictor {
  private let config: UnitModelConfig<Unit>
  private let vocabulary: UnitVocabulary
  private let labels: LabelSet
  private let unit: Unit
  var model: TrainedModel

  /// - Throws: ``FileError`` where the directory holds no such model, or other weights than its `config.json` says.
  init(_ checkpoint: StoredCheckpoint) throws {
    config = try UnitModelConfig(directory: checkpoint.directory)
    vocabulary = UnitVocabulary(config.options.units, characters: config.characters)
    labels = LabelSet(ordered: config.labels)
    unit = Unit(config.options, vocabulary: vocabulary.count, labels: labels)
    let network = unit.network
    var model = TrainedModel(network: network, parameters: ParameterSet(layout: network.layout))
    _ = try model.readWeights(directory: checkpoint.directory, needsHeads: true)
    self.model = model
  }

  func labels(of language: String?) -> [String] { labels.labels }

  private func tagger(in workspace: Workspace) -> UnitTagger<Unit> {
    UnitTagger(
      model: unit, workspace: workspace, unitsPerBatch: 16_384, labelCount: labels.count)
  }

  private func corpus(_ sentences: [Sentence], labels: LabelSet?) throws(FileError) -> UnitCorpus {
    try UnitCorpus(
      sentences, vocabulary, wordLength: config.options.wordLength, separator: Unit.separator,
      labels: labels)
  }

  func predict(
    _ sentences: [Sentence], language: String?, scores: PredictedScores, in workspace: Workspace,
    each body: (Int, Prediction) -> Void
  ) throws {
    if scores == .probabilities {
      throw RunError(
        .configuration,
        "a model of task \(Unit.schema.name) labels whole sentences, so words have no probabilities; use no soft labels"
      )
    }
    let corpus = try corpus(sentences, labels: nil)
    tagger(in: workspace).predict(corpus, model.parameters, scores: scores == .logits) {
      sentence, found, rows in
      body(
        sentence,
        Prediction(tags: found.map { labels.labels[Int($0)] }, scores: Array(rows)))
    }
  }

  func sampler(of sentences: [Sentence], language: String?) throws -> (any LabelSampler)? {
    guard let unit = unit as? any SampledUnitModel else { return nil }
    return UnitSampler(unit: unit, corpus: try corpus(sentences, labels: nil))
  }

  func evaluate(
    _ file: String, columns: ColumnChoice, language: String?, mode name: String,
    in workspace: Workspace
  ) throws -> Evaluation {
    let mode = try TagScores.mode(named: name, labels: labels)
    let tagger = tagger(in: workspace)
    var stream = try TaggedStream(file, columns: columns)
    var counts = SpanCounts()
    while let sentences = try stream.next() {
      let found = try tagger.labels(
        of: try corpus(sentences, labels: labels), model.parameters, over: SingleRank())
      counts += try SpanCounts(
        gold: sentences.map(\.tags),
        predicted: found.map { $0.map { labels.labels[Int($0)] } }, mode: mode)
    }
    return TagScores.evaluation(counts, mode: mode, file: file, language: language)
  }
}

/// Draws labels of the sentences of a corpus.
private struct UnitSampler: LabelSampler {
  let unit: any SampledUnitModel
  let corpus: UnitCorpus

  func recordSample(ofSentence sentence: Int, using random: inout RandomStream, on tape: Tape) {
    unit.recordSample(UnitBatch(sentences: [sentence], of: corpus), using: &random, on: tape)
  }
}
