public import Checkpoints
import Configuration
public import Corpus
public import Files
public import Model
public import Tensors
public import Tokenizers

/// A checkpoint's directory and its manifest, before weights are read.
public struct StoredCheckpoint: Sendable {
  public let directory: String
  /// Nil for a directory that this program did not write.
  public let manifest: CheckpointManifest?

  /// - Throws: ``FileError`` where the manifest is damaged.
  public init(directory: String) throws(FileError) {
    self.directory = directory
    do throws(FileError) {
      manifest = try CheckpointManifest(directory: directory)
    } catch {
      // Without one it is a directory of transformers. A damaged one may hide a chain or other heads.
      if error.code != .missing { throw error }
      manifest = nil
    }
  }

  /// The task that trained it; nil where nothing says so.
  public var task: String? { manifest?.facts["task"]?.string }

  /// The model, by the first of some tasks that knows it.
  ///
  /// - Throws: ``RunError`` if none does.
  public func predictor(_ tasks: [any RunTask.Type]) throws -> any Predictor {
    for type in tasks {
      if let task, type.schema.name != task { continue }
      if let predictor = try type.loaded(self) { return predictor }
    }
    throw RunError(
      .data,
      "\(directory): holds no model that labels words; models of these tasks may: "
        + tasks.map { $0.schema.name }.joined(separator: ", "))
  }
}

/// A model that labels the words of sentences.
public protocol Predictor: Sendable {
  /// The labels that it gives words of a language, in the order of their scores.
  ///
  /// - Throws: ``RunError`` if the model has a head for each language, and this is none of them.
  func labels(of language: String?) throws -> [String]

  /// Labels sentences, in batches that the sentences alone fix.
  ///
  /// - Parameters:
  ///   - scores: What stands behind each label is to be given.
  ///   - body: Called once for each sentence, in the order of the batches, with its place among `sentences`.
  func predict(
    _ sentences: [Sentence], language: String?, scores: PredictedScores, in workspace: Workspace,
    each body: (_ sentence: Int, _ prediction: Prediction) -> Void
  ) throws

  /// Scores the model on a tagged file.
  ///
  /// - Parameter mode: Whose rules count, as `evaluate --mode` names them.
  func evaluate(
    _ file: String, columns: ColumnChoice, language: String?, mode: String, in workspace: Workspace
  ) throws -> Evaluation

  /// Its network and its weights. A copy that is given other weights labels by those.
  var model: TrainedModel { get set }

  /// Draws labels of sentences from what the model makes of them; nil if it gives labels no probability. By default nil.
  ///
  /// - Throws: ``RunError`` as ``labels(of:)`` does.
  func sampler(of sentences: [Sentence], language: String?) throws -> (any LabelSampler)?
}

extension Predictor {
  /// - Throws: ``FileError`` if somebody has written to the checkpoint since it was read: what it gave since then
  ///   would be of other weights.
  public func confirmUnwritten() throws(FileError) { try model.confirmUnwritten() }

  public func sampler(of sentences: [Sentence], language: String?) -> (any LabelSampler)? { nil }

  /// The predictions of sentences, in their order.
  public func predictions(
    of sentences: [Sentence], language: String?, scores: PredictedScores, in workspace: Workspace
  ) throws -> [Prediction] {
    var all = [Prediction](repeating: .init(tags: [], scores: []), count: sentences.count)
    try predict(sentences, language: language, scores: scores, in: workspace) { all[$0] = $1 }
    return all
  }
}

/// What stands behind predicted labels.
public enum PredictedScores: Sendable { case none, logits, probabilities }

/// What a model says of a sentence.
public struct Prediction: Sendable, Equatable {
  /// One a word.
  public var tags: [String]
  /// Shape `[words, labels]`, or empty.
  public var scores: [Float]

  public init(tags: [String], scores: [Float]) {
    self.tags = tags
    self.scores = scores
  }
}

/// What came of scoring a file.
public struct Evaluation: Sendable {
  /// For people, of several lines.
  public var text: String
  /// A table for programs, the heading first, with the same columns for every file.
  public var records: [[String]]
  /// One object.
  public var json: String

  public init(text: String, records: [[String]], json: String) {
    self.text = text
    self.records = records
    self.json = json
  }
}

/// A network over an encoder, read from a directory to be used and not trained: its weights stay in their files.
public struct LoadedModel<N: EncoderNetwork>: Sendable {
  public let path: String
  public let network: N
  public var model: TrainedModel
  public let tokenizer: any Tokenizer

  /// Reads weights and tokenizer.
  ///
  /// - Parameter network: Makes the network over the encoder that `config.json` describes.
  /// - Throws: ``FileError``, ``FileError`` for its tokenizer, ``RunError`` if they do not fit.
  public init(
    directory: String, config: HuggingFaceConfig,
    _ network: (EncoderConfiguration) throws(FileError) -> N
  ) throws {
    path = directory
    let encoder = try EncoderConfiguration(config, path: directory + "/config.json")
    try encoder.checkTensors(directory: directory)
    self.network = try network(encoder)
    var model = TrainedModel(
      network: self.network, parameters: ParameterSet(layout: self.network.layout))
    _ = try model.readWeights(directory: directory, needsHeads: true, mapping: .all)
    self.model = model
    tokenizer = try TokenizerLoader.load(directory)
    guard tokenizer.vocabularySize <= encoder.vocabularySize else {
      throw RunError(
        .data,
        "\(directory): the tokenizer has \(tokenizer.vocabularySize) ids and the embedding "
          + "\(encoder.vocabularySize) rows; they do not belong together")
    }
  }
}
