import Collectives
import Corpus
import Files
import Tensors

/// A Byte-to-Span read from a directory, ready to label sentences.
struct LoadedByteToSpan: Predictor {
  private let shape: ByteToSpanShape
  let method: ByteToSpanMethod
  var model: TrainedModel

  /// - Throws: ``FileError`` where the directory holds no Byte-to-Span, or other weights than its `config.json` says.
  init(_ checkpoint: StoredCheckpoint) throws {
    shape = try ByteToSpanShape(directory: checkpoint.directory)
    let network = ByteToSpanNetwork(shape.options, shape.vocabulary)
    method = ByteToSpanMethod(network: network)
    var model = TrainedModel(network: network, parameters: ParameterSet(layout: network.layout))
    _ = try model.readWeights(directory: checkpoint.directory, needsHeads: true)
    self.model = model
  }

  var vocabulary: SpanVocabulary { method.network.vocabulary }
  var stride: Int { shape.options.testStride }
  var parameters: ParameterSet { model.parameters }

  func labels(of language: String?) -> [String] { vocabulary.labels.labels }

  private func tagger(in workspace: Workspace) -> SpanTagger {
    SpanTagger(method: method, workspace: workspace, bytesPerBatch: 16_384, stride: stride)
  }

  /// Sentences that are given together are one text, and may share windows.
  func predict(
    _ sentences: [Sentence], language: String?, scores: PredictedScores, in workspace: Workspace,
    each body: (Int, Prediction) -> Void
  ) throws {
    guard scores == .none else {
      throw RunError(
        .configuration,
        "a byte-to-span model scores spans and not the labels of words; use no logits and no soft labels"
      )
    }
    let text = try ByteText(sentences, vocabulary, readsTags: false)
    let found = try tagger(in: workspace).found(in: text, parameters, over: SingleRank())
    for (sentence, tags) in found.tags.enumerated() {
      body(sentence, Prediction(tags: tags, scores: []))
    }
  }

  /// Reads the file whole: it is one text, as in training.
  func evaluate(
    _ file: String, columns: ColumnChoice, language: String?, mode name: String,
    in workspace: Workspace
  ) throws -> Evaluation {
    let mode = try TagScores.mode(named: name, labels: vocabulary.labels)
    let sentences = try TaggedText(reading: [file], columns: columns).sentences
    let text = try ByteText(sentences, vocabulary, readsTags: true)
    let found = try tagger(in: workspace).found(in: text, parameters, over: SingleRank())
    let counts = try SpanCounts(
      gold: sentences.map(\.tags), predicted: found.tags, mode: mode)
    return TagScores.evaluation(counts, mode: mode, file: file, language: language)
  }
}
