public import Checkpoints
public import Collectives
public import Configuration
public import Corpus
public import Files
public import Model
public import Tensors

/// What a run learns from its data, which this holds.
///
/// The loop over steps, the exchange between ranks, checkpoints and logs are the same for all tasks.
public protocol RunTask: Sendable {
  /// A line for each part of the data, equal for equal data wherever it lies.
  var fingerprints: [String] { get }
  /// The labels of each head; none where there are no labels.
  var labels: [LabelSet] { get }
  /// The end of the name of the class that `transformers` loads the model with: `ForTokenClassification`.
  var architecture: String { get }

  /// A network of this task over an encoder.
  func network(_ encoder: EncoderConfiguration) -> any Network

  /// Gives parameters of a stage that no checkpoint brought, and that have had their random numbers, better first values
  /// where the data tell them.
  func adjustFirst(
    _ parameters: inout ParameterSet, entries: [Int], of network: any Network, for stage: Stage
  ) throws

  /// What the manifest of every checkpoint tells of the data: per language counts and hashes of files, and no text.
  func dataFacts(_ languages: [RunConfiguration.Language]) throws(CheckpointError) -> JSONValue

  /// A stage of the run.
  ///
  /// - Parameter index: The stage's place in the run: part of every random number's name.
  func stage(
    _ stage: Stage, index: Int, network: any Network, in workspace: Workspace
  ) -> any StageTask
}

/// What a task does in one stage.
public protocol StageTask {
  var method: any TrainingMethod { get }
  /// The stage's items, from its first step on.
  var feed: any StageFeed { get }
  /// The labels that each language's words can have, for checks of batches.
  var labelCounts: [Int] { get }
  /// The name of the score that is the metric, and whether more of it is better.
  var metric: (name: String, moreIsBetter: Bool) { get }
  /// What every manifest tells of the heads.
  var facts: JSONObject { get }

  /// The scores of the dev or test part of each of some languages, over all ranks; nil for one that has none. Every rank
  /// calls it and gets the same.
  func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    over communicator: any Communicator
  ) throws -> [[String: Double]?]
  /// A score in words: `F1 81.25 (precision …)`.
  func words(_ score: StageResult.Score) -> String
}

public enum ScoredPart: String, Sendable { case dev, test }

/// The items of a stage's steps, in an order that all ranks know, and the batches that are made of them.
///
/// Everything follows from the data, the seed and the step, never from ranks.
public protocol StageFeed: Sendable {
  /// The steps of so many epochs from the first; a part of an epoch is rounded up to whole steps.
  mutating func stepCount(epochs: Double) -> Int
  /// The epoch of a step, and its index in it.
  mutating func place(ofStep step: Int) -> (epoch: Int, index: Int)
  /// How many of a stage's first steps stand for all of them: an epoch, or fewer where steps are alike.
  mutating func representativeSteps(of steps: Int) -> Int
  /// Goes to a step, from 0. Cost: little for the step after the last one.
  mutating func go(toStep step: Int) throws -> ArraySlice<SentenceReference>
  /// The lengths of the sequences of an item of the step at hand.
  func lengths(ofItem item: Int) -> [Int]
  /// The ids of all its sequences, before anything is hidden.
  func tokens(ofItem item: Int) -> [Int32]
  /// The shards of a rank in the step at hand, each a segment.
  func batch(_ assignment: [[Int]], shards: Range<Int>) -> PackedBatch
  /// Where an item stands: its file, and the line or the token in it.
  func place(of item: SentenceReference) -> (path: String, line: Int)
  /// What each language has, and gives to the first steps, as a table: counted if these are done, else planned.
  mutating func ledger(steps: Int, languages: [Int]) throws -> String
  /// What a checkpoint must keep to go on from here; nil where the step says all.
  var cursor: TextCursor? { get }
  /// Goes on where a checkpoint of a step was; `path` is for messages.
  mutating func resume(at step: Int, from cursor: TextCursor?, path: String) throws
}
