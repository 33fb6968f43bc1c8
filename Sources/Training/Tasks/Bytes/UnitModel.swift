public import Configuration
public import Corpus
import Determinism
public import Model
public import Tensors

/// A model that labels words from their bytes or characters, without tokenizer and pretrained weights, and how it is trained:
/// all that the tasks of such models differ in. See ``UnitTask``.
public protocol UnitModel: TrainingMethod where Batch == UnitBatch {
  associatedtype Options: UnitOptions

  /// Of its task; `model_type` in `config.json` is `isogloss-` and its name.
  static var schema: TaskSchema { get }
  static var benches: [any StepBench.Type] { get }

  /// The unit between two words of a sentence, which then is one run of units: it stands first in every word but the
  /// sentence's first. Nil where words stand alone.
  static var separator: Int32? { get }

  /// The labels of a model that is trained on some. By default those.
  ///
  /// - Throws: ``RunError`` for labels that the model cannot give.
  static func labels(trainedOn found: LabelSet) throws(RunError) -> LabelSet

  /// - Parameters:
  ///   - vocabulary: How many units have an id.
  ///   - labels: What ``labels(trainedOn:)`` gave.
  init(_ options: Options, vocabulary: Int, labels: LabelSet)

  var network: any Network { get }

  /// The best label of each word of a batch, and the scores of all labels, `[words, labels]` row-major, where they are asked
  /// for.
  func predict(
    _ batch: UnitBatch, scores: Bool, on tape: Tape
  ) -> (labels: [Int32], scores: [Float])
}

extension UnitModel {
  public static var benches: [any StepBench.Type] { [] }

  public static var separator: Int32? { nil }

  public static func labels(trainedOn found: LabelSet) throws(RunError) -> LabelSet { found }
}

/// A model that gives labellings a probability.
protocol SampledUnitModel: UnitModel {
  /// Records the loss of labels that are drawn from what the model makes of the batch.
  func recordSample(_ batch: UnitBatch, using random: inout RandomStream, on tape: Tape)
}

/// What words are cut into.
public enum WordUnits: String, ConfigChoice, CaseIterable, Sendable, Codable {
  /// The bytes of UTF-8.
  case bytes
  /// The characters that the training files have, as Unicode scalars.
  case characters
}

/// The own keys of a task that trains a ``UnitModel``. They are also the members of its `config.json`, but for `columns`.
public protocol UnitOptions: TaskOptions {
  var units: WordUnits { get }
  /// Units of a word that are read.
  var wordLength: Int { get }
  var columns: ColumnChoice { get }
}

extension UnitOptions {
  public var units: WordUnits { .bytes }

  public var wordLength: Int { .max }

  public func check(_ own: OwnKeys) throws(ConfigError) {
    guard columns.token != columns.tag else {
      throw own.error(at: "columns", "columns: token and tag are both column \(columns.token)")
    }
  }

  /// Labels are found for whole sentences: words have no probabilities of their own.
  public var wordLabels: WordLabels { .labels }
}
