public import Checkpoints
public import Collectives
public import Configuration
public import Corpus
public import Files
public import Model
public import Tensors

/// What a stage does. A task is one folder and one line in the program's list of tasks.
///
/// One is made when its stage begins, since its data may be what an earlier stage made. The loop over steps, the exchange
/// between ranks, checkpoints, logs, doctor, estimate and replay ask the task, and never which one it is.
///
/// A task is a ``TrainingTask`` or a ``DataTask``.
public protocol RunTask: SendableMetatype {
  /// Its name, its own keys, its metrics, what its stages need and leave.
  static var schema: TaskSchema { get }

  /// The files whose bytes stand for the data of a stage, for the doctor to compare over hosts. By default those that the
  /// config lists.
  static func dataFiles(of stage: Stage, in configuration: RunConfiguration) -> [String]

  /// The model in a checkpoint, ready to be used; nil if it is not of this task. By default no checkpoint is.
  static func loaded(_ checkpoint: StoredCheckpoint) throws -> (any Predictor)?

  /// Commands of the program that are about this task alone, such as `fill-mask`. By default none.
  static var commands: [TaskCommand] { get }

  /// Measured work for `bench`, by the name of the command. By default none.
  static var benches: [any StepBench.Type] { get }

  /// Reads the stage's data. Every rank calls it, at the same time.
  ///
  /// - Throws: ``StageDataMissing`` where the data are an earlier stage's that is not complete.
  init(_ setup: StageSetup) throws

  /// A line for each part of the data, equal for equal data wherever it lies: ranks compare them.
  var fingerprints: [String] { get }

  /// What manifests tell of the data: per language counts and hashes of files, and no text.
  func dataFacts() throws -> JSONValue
}

extension RunTask {
  public static func dataFiles(of stage: Stage, in configuration: RunConfiguration) -> [String] {
    configuration.languages.flatMap { $0.train + $0.dev + $0.test } + stage.trainFiles
  }

  public static func loaded(_ checkpoint: StoredCheckpoint) throws -> (any Predictor)? { nil }

  public static var commands: [TaskCommand] { [] }

  public static var benches: [any StepBench.Type] { [] }
}

/// A task whose stages train a model.
public protocol TrainingTask: RunTask {
  associatedtype Batch
  associatedtype Method: TrainingMethod where Method.Batch == Batch
  associatedtype Feed: StageFeed where Feed.Batch == Batch

  var network: any Network { get }
  var method: Method { get }
  /// The stage's items, from its first step on.
  var feed: Feed { get }

  /// What manifests say of the model in addition to the config: heads, labels; and for its card, as `card`, an object with `model`,
  /// what it is, with its article, and `pipeline_tag`, the Hub's name for what it does, if `transformers` loads it.
  var facts: JSONObject { get }

  /// Gives parameters that no checkpoint brought, and that have had their first values, better ones where the data tell
  /// them. By default nothing.
  func adjustFirst(_ parameters: inout ParameterSet, entries: [Int]) throws

  /// What is wrong with a batch, and the item it is of, where that is known; nil if nothing is. For debug runs: a pass over
  /// the batch. By default nothing is looked at.
  func problem(in batch: Batch) -> (message: String, item: Int?)?

  /// The scores of the dev or test part of each of some languages, over all ranks; nil for one that has none, or that the
  /// model has no head for. Every rank calls it and gets the same.
  ///
  /// - Parameter files: Where the labels behind the scores are kept, if they are to be.
  func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    keptIn files: PredictionFiles?, over communicator: any Communicator
  ) throws -> [[String: Double]?]

  /// A score in words: `F1 81.25 (precision …)`.
  func words(_ score: StageResult.Score) -> String

  /// What manifests call a score. By default its own name.
  func manifestName(ofScore name: String) -> String

  /// Writes what belongs to the weights: `config.json`, a tokenizer's files.
  var modelFiles: ModelFileWriter { get }
}

/// Writes what belongs to a model's weights into a directory, on whatever thread.
///
/// - Parameter type: What the weights are stored as.
public typealias ModelFileWriter =
  @Sendable (_ directory: String, _ type: Checkpoints.ElementType) throws(FileError) -> Void

extension TrainingTask {
  public func adjustFirst(_ parameters: inout ParameterSet, entries: [Int]) throws {}

  public func problem(in batch: Batch) -> (message: String, item: Int?)? { nil }

  public func manifestName(ofScore name: String) -> String { name }
}

/// A task whose stages make data for later stages, and train nothing.
public protocol DataTask: RunTask {
  /// Writes the stage's files into a directory, which is whole or absent afterwards. Every rank calls it; the first one
  /// writes.
  ///
  /// The files are the same for any number of ranks.
  ///
  /// - Parameters:
  ///   - directory: A hidden one of the first rank; empty on the others.
  ///   - stop: Asked between parts of the work, the same answer on every rank: whether to give up.
  /// - Returns: What the manifest tells of the files; nil if the work was given up.
  func make(
    into directory: String, stop: () throws -> Bool
  ) throws -> JSONObject?
}

/// The items of a stage's steps, in an order that all ranks know, and the batches that are made of them.
///
/// Everything follows from the data, the seed and the step, never from ranks.
public protocol StageFeed: Sendable {
  associatedtype Batch: StepBatch
  /// What a checkpoint must keep in addition to the step, so that a run can go on; see ``NoCursor``.
  associatedtype Cursor: Codable & Sendable & Equatable

  /// The steps of so many epochs from the first; a part of an epoch is rounded up to whole steps.
  mutating func stepCount(epochs: Double) -> Int
  /// The epoch of a step, and its index in it.
  mutating func place(ofStep step: Int) -> (epoch: Int, index: Int)
  /// How many of a stage's first steps stand for all of them: an epoch, or fewer where steps are alike.
  mutating func representativeSteps(of steps: Int) -> Int
  /// Goes to a step, from 0. Cost: little for the step after the last one.
  mutating func go(toStep step: Int) throws -> ArraySlice<ItemReference>
  /// The lengths of the sequences of an item of the step at hand.
  func lengths(ofItem item: Int) -> [Int]
  /// The shards of a rank in the step at hand, each a segment.
  func batch(_ assignment: [[Int]], shards: Range<Int>) -> Batch
  /// Where an item stands: its file, and the line or the token in it.
  func place(of item: ItemReference) -> (path: String, line: Int)
  /// What each language has, and gives to the first steps: a heading and a row a language, counted if these are done, else
  /// planned. Columns of shares are called `planned %` and `drawn %`.
  mutating func ledger(steps: Int, languages: [Int]) throws -> [[String]]
  /// What a checkpoint must keep to go on from here; nil where the step says all.
  var cursor: Cursor? { get }
  /// Goes on where a checkpoint of a step was; `path` is for messages.
  mutating func resume(at step: Int, from cursor: Cursor?, path: String) throws
}

/// The cursor of a feed whose step says all.
public struct NoCursor: Codable, Sendable, Equatable {}

extension StageFeed where Cursor == NoCursor {
  public var cursor: NoCursor? { nil }

  public mutating func resume(at step: Int, from cursor: NoCursor?, path: String) {}
}
