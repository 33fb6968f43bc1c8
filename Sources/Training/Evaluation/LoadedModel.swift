import Checkpoints
public import Corpus
import Files
import Model
public import Tensors
public import Tokenizers

/// A token classifier read from a directory, ready to label sentences.
public struct LoadedModel {
  public let path: String
  public let model: TrainedModel
  public let tokenizer: any Tokenizer
  /// The languages that have a head of their own; empty for one shared head.
  public let headLanguages: [String]
  private let classifier: TokenClassifier
  private let trained: JSONValue?

  /// Reads a checkpoint written here, or by `transformers` for token classification.
  ///
  /// - Throws: ``CheckpointError``, ``CorpusError`` for its tokenizer, ``RunError`` if they do not fit.
  public init(directory: String) throws {
    path = directory
    let config = try HuggingFaceConfig(directory: directory)
    let facts = try Facts(directory: directory, config: config)
    let encoder = try EncoderConfiguration(config, path: directory + "/config.json")
    try encoder.checkTensors(directory: directory)
    let classifier = TokenClassifier(
      encoder, head: facts.head, languages: facts.headLanguages,
      labelCounts: facts.labels.map(\.count))
    self.classifier = classifier
    headLanguages = facts.headLanguages
    trained = facts.trained
    var model = TrainedModel(
      network: classifier, labels: facts.labels,
      parameters: ParameterSet(layout: classifier.layout))
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

  /// The head of a language.
  ///
  /// - Throws: ``RunError`` if heads are of languages and this is none of them.
  public func head(of language: String?) throws -> Int {
    if headLanguages.isEmpty { return 0 }
    guard let language, let head = headLanguages.firstIndex(of: language) else {
      throw RunError(
        .data,
        "\(path) has a head for each of \(headLanguages.joined(separator: ", ")); name one of "
          + "them with --language")
    }
    return head
  }

  /// How long sentences are cut: as in training where the manifest tells, else by what the model can take.
  public var window: WindowShape {
    let longest = model.network.configuration.longestSequence
    let length = min(max(3, trained?["max_length"]?.int ?? longest), longest)
    let overlap = trained?["window_stride"]?.int ?? min(64, (length - 2) / 4)
    return WindowShape(maxLength: length, overlap: min(max(0, overlap), length - 3))
  }

  public func tagger(head: Int, workspace: Workspace, tokensPerBatch: Int = 4096) -> Tagger {
    Tagger(
      method: TokenClassification(model: classifier, headOfLanguage: [head]),
      labels: model.labels, workspace: workspace, tokensPerBatch: tokensPerBatch)
  }

  /// What the manifest says of the heads, or what follows from `config.json` where there is none.
  private struct Facts {
    var head = HeadKind.softmax
    var headLanguages: [String] = []
    var labels: [LabelSet]
    /// The config of the run that made the model.
    var trained: JSONValue?

    init(directory: String, config: HuggingFaceConfig) throws {
      let path = directory + "/isogloss.json"
      var manifest: CheckpointManifest?
      do throws(CheckpointError) {
        manifest = try CheckpointManifest(directory: directory)
      } catch {
        // Without one it is a directory of transformers. A damaged one may hide a chain or other heads.
        if error.code != .missing { throw error }
      }
      trained = manifest?.facts["config"]
      if let facts = manifest?.facts, let sets = facts["labels"]?.array {
        labels = try sets.map { set in
          let names = set.array?.compactMap(\.string) ?? []
          guard Self.areLabels(names), names.count == set.array?.count else {
            throw CheckpointError(.data, path, field: "labels", "is not a list of labels")
          }
          return LabelSet(ordered: names)
        }
        head = facts["head"]?.string.flatMap(HeadKind.init(rawValue:)) ?? .softmax
        headLanguages = facts["head_languages"]?.array?.compactMap(\.string) ?? []
        guard labels.count == max(1, headLanguages.count),
          Set(headLanguages).count == headLanguages.count
        else {
          throw CheckpointError(
            .data, path, field: "head_languages",
            "names \(Set(headLanguages).count) heads for \(labels.count) sets of labels")
        }
        return
      }
      guard let names = config.labels, Self.areLabels(names) else {
        throw CheckpointError(
          .data, directory + "/config.json", field: "id2label",
          "names no labels: this is not a model for token classification")
      }
      labels = [LabelSet(ordered: names)]
    }

    private static func areLabels(_ names: [String]) -> Bool {
      !names.isEmpty && Set(names).count == names.count && !names.contains("")
    }
  }
}
