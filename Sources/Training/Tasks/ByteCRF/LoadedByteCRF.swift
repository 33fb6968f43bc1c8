import Collectives
import Corpus
import Files
import Tensors

/// A Byte-CRF read from a directory, ready to label sentences.
struct LoadedByteCRF: Predictor {
  private let shape: ByteCRFShape
  private let vocabulary: UnitVocabulary
  private let labels: LabelSet
  private let network: ByteCRFNetwork
  private let model: TrainedModel

  /// - Throws: ``FileError`` where the directory holds no Byte-CRF, or other weights than its `config.json` says.
  init(_ checkpoint: StoredCheckpoint) throws {
    shape = try ByteCRFShape(directory: checkpoint.directory)
    vocabulary = UnitVocabulary(shape.options.units, characters: shape.characters)
    labels = LabelSet(ordered: shape.labels)
    network = ByteCRFNetwork(
      shape.options, vocabulary: vocabulary.count, labels: labels.count)
    var model = TrainedModel(network: network, parameters: ParameterSet(layout: network.layout))
    _ = try model.readWeights(directory: checkpoint.directory, needsHeads: true)
    self.model = model
  }

  func confirmUnwritten() throws(FileError) { try model.confirmUnwritten() }

  func labels(of language: String?) -> [String] { labels.labels }

  private func tagger(in workspace: Workspace) -> UnitTagger {
    UnitTagger(
      method: ByteCRFMethod(network: network), workspace: workspace, unitsPerBatch: 16_384)
  }

  func predict(
    _ sentences: [Sentence], language: String?, scores: PredictedScores, in workspace: Workspace,
    each body: (Int, Prediction) -> Void
  ) throws {
    if scores == .probabilities {
      throw RunError(
        .configuration, "the probabilities of a CRF's labels cannot be given; use no soft labels")
    }
    let corpus = try UnitCorpus(
      sentences, vocabulary, wordLength: shape.options.wordLength, labels: nil)
    tagger(in: workspace).predict(corpus, model.parameters, logits: scores == .logits) {
      sentence, found, rows in
      body(
        sentence,
        Prediction(tags: found.map { labels.labels[Int($0)] }, scores: Array(rows)))
    }
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
      let corpus = try UnitCorpus(
        sentences, vocabulary, wordLength: shape.options.wordLength, labels: labels)
      let found = try tagger.labels(of: corpus, model.parameters, over: SingleRank())
      counts += try SpanCounts(
        gold: sentences.map(\.tags),
        predicted: found.map { $0.map { labels.labels[Int($0)] } }, mode: mode)
    }
    return TagScores.evaluation(counts, mode: mode, file: file, language: language)
  }
}
