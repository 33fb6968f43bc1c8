public import Collectives
public import Configuration
public import Tensors

/// What all stages of a run share.
public struct RunContext {
  public var configuration: RunConfiguration
  /// The tasks of the program.
  public var tasks: [any RunTask.Type]
  public var communicator: any Communicator
  public var workspace: Workspace
  public var reporter: Reporter
  public var log: MetricLog?
  public var programVersion: String
  /// Asked before every step: whether a signal asks this rank to stop.
  public var stopRequested: @Sendable () -> StopRequest?
  /// Looks on, if there is one.
  package var observer: (any RunObserver)?
  let shared = SharedValues()

  /// The codes of the languages, in the config's order.
  var codes: [String] { configuration.languages.map(\.code) }

  /// What makes a stage's task.
  func taskType(of stage: Stage) -> any RunTask.Type {
    guard let type = tasks.first(where: { $0.schema.name == stage.task }) else {
      preconditionFailure("a task '\(stage.task)' that the program does not have")
    }
    return type
  }

  func setup(_ stage: Stage) -> StageSetup {
    StageSetup(
      configuration: configuration, stage: stage, communicator: communicator,
      workspace: workspace, reporter: reporter, tasks: tasks, shared: shared)
  }
}
