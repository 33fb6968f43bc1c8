package import Collectives
package import Configuration
package import Corpus
package import Tensors

/// Looks on while a run goes on: checks, logs of gradients, faults made on purpose, a step done again. The loop runs
/// without one.
package protocol RunObserver: Sendable {
  /// Whether the run is one that is done again: it saves and scores nothing, and ends when its observer says so.
  var isReplay: Bool { get }

  /// What the ranks of a stage exchange gradients over.
  func communicator(_ own: any Communicator) -> any Communicator

  /// Looks on at one stage. Every rank calls it, before the first step.
  func observer<Task: TrainingTask>(of stage: ObservedStage<Task>) throws
    -> any StageObserver<Task.Batch>
}

/// What an observer of a stage may know of it.
package struct ObservedStage<Task: TrainingTask> {
  package let context: RunContext
  package let stage: Stage
  /// Where the stage's files go.
  package let directory: String
  package let task: Task

  /// Where an item stands: its language's code, its file and line.
  package func place(
    of item: ItemReference, in feed: Task.Feed
  ) -> (language: String, path: String, line: Int) {
    let place = feed.place(of: item)
    return (context.configuration.languages[item.language].code, place.path, place.line)
  }
}

/// Looks on while a rank trains one stage. Nothing it does changes a weight, unless it is there to do so.
package protocol StageObserver<Batch>: AnyObject {
  associatedtype Batch: StepBatch

  /// Observes the parts of a step.
  var step: StepWatch { get }

  /// The stage's method, or one that stands for it.
  func method(_ own: any TrainingMethod<Batch>) -> any TrainingMethod<Batch>

  /// Before a step, counted from 1.
  ///
  /// - Parameters:
  ///   - place: Where an item of the step stands.
  ///   - batches: Makes the batches of the rank's passes.
  func willRun(
    step: Int, items: ArraySlice<ItemReference>,
    place: @escaping (ItemReference) -> (language: String, path: String, line: Int),
    batches: () -> [Batch]
  ) throws

  /// After a step's gradient, before its update. True to end the stage here, with nothing saved.
  func ran(step: Int, _ outcome: StepOutcome) throws -> Bool

  /// After a step's update.
  ///
  /// - Parameter compare: Compares the weights of all ranks now, and throws where they differ.
  func updated(
    step: Int, _ parameters: inout ParameterSet,
    compare: (inout ParameterSet) throws -> Void
  ) throws

  /// The stage has ended.
  ///
  /// - Parameter stepSeconds: Of a step on the mean, without evaluation and saving; 0 if there were no two in a row.
  func ended(stepSeconds: Double)
}
