public import Checkpoints
import Collectives
public import Configuration
import Files
import Foundation
public import Tensors
public import Training

/// One rank's gradient of one step of a run, made again on one machine and compared with what the run logged.
///
/// The run must have logged its gradients. All its ranks are simulated as threads, from the newest complete checkpoint
/// before the step, or else from the stage's first weights. Nothing is written.
public struct Replay: Sendable {
  public let configuration: RunConfiguration
  public let stage: Stage
  public let rank: Int
  /// As the log counts them: the first is 1.
  public let step: Int
  /// The ranks that the run had in this step.
  public let ranks: Int
  /// What the steps begin with; nil for the stage's first weights.
  public let checkpoint: CheckpointDirectory.Numbered?
  /// What to know of the verdict beforehand.
  public private(set) var notes: [String] = []
  private let tasks: [any RunTask.Type]
  private let header: GradientLog.Header
  private let logged: GradientLog.Line

  /// Looks up what is needed, and reads no data.
  ///
  /// - Parameters:
  ///   - name: The stage; nil where the run has one alone.
  /// - Throws: ``UsageError`` for a stage, rank or step that the run does not have; ``FileError`` for a directory
  ///   that holds no run or no log.
  public init(
    runDirectory: String, stage name: String?, rank: Int, step: Int, tasks: [any RunTask.Type]
  ) throws {
    self.tasks = tasks
    func usage(_ message: String) -> UsageError {
      UsageError(message, command: "isogloss replay")
    }
    guard FileManager.default.fileExists(atPath: runDirectory + "/run.yaml") else {
      throw FileError(.missing, runDirectory, "is no run's directory: it holds no run.yaml")
    }
    configuration = try RunConfiguration(
      recordedIn: runDirectory, tasks: tasks.map { $0.schema })
    let configuration = configuration
    // Nothing of a stage that makes data, or is one of its tries, can be replayed.
    let stages = configuration.stages.filter {
      configuration.schema(of: $0).trains && $0.tries.isEmpty
    }
    let names = stages.map { "'\($0.name)'" }.joined(separator: ", ")
    guard
      let index = name == nil && stages.count == 1
        ? 0 : stages.firstIndex(where: { $0.name == name })
    else {
      throw usage(
        name.map { "no stage '\($0)'; the run has \(names)" }
          ?? "the run has several stages; give --stage, one of \(names)")
    }
    stage = stages[index]
    let directory = runDirectory + "/" + stage.folderName
    let path = GradientLog.path(stage: directory, rank: rank)
    let first = GradientLog.path(stage: directory, rank: 0)
    guard FileManager.default.fileExists(atPath: first) else {
      throw FileError(
        .missing, first,
        "stage '\(stage.name)' logged no gradients; train with log_gradients: true, or --debug")
    }
    let course = try GradientLog.Contents(path: first)
    guard let (last, _) = course.lines[step] else {
      let steps = course.steps
      throw usage(
        "step \(step) of stage '\(stage.name)' was not logged; "
          + (steps.isEmpty ? "no step was" : "steps \(steps[0]) to \(steps[steps.count - 1]) were"))
    }
    guard rank >= 0, rank < last.ranks, FileManager.default.fileExists(atPath: path) else {
      throw usage(
        "no rank \(rank) in step \(step) of stage '\(stage.name)'; it had ranks 0 to "
          + "\(last.ranks - 1)")
    }
    guard let (header, line) = try GradientLog.Contents(path: path).lines[step],
      header.ranks == last.ranks, header.rank == rank
    else { throw usage("rank \(rank) did not log step \(step) as the others did") }
    guard last.ranks <= configuration.shards else {
      throw RunError(
        .data, "\(first): \(last.ranks) ranks of a run of \(configuration.shards) shards")
    }
    (self.header, logged, ranks) = (header, line, last.ranks)
    (self.rank, self.step) = (rank, step)
    checkpoint = try CheckpointDirectory.numbered(in: directory).first {
      $0.step < step && (try? CheckpointDirectory.checkSizes($0.path)) != nil
    }
    let start = checkpoint?.step ?? 0
    let others = course.steps.filter { start < $0 && $0 < step }
      .filter { course.lines[$0]?.header.ranks != last.ranks }
    if let other = others.first, !configuration.fullDeterminism {
      notes.append(
        "step \(other) was made by \(course.lines[other]?.header.ranks ?? 0) ranks, not by "
          + "\(last.ranks): bits may differ for that alone")
    }
  }

  /// What was found.
  public struct Outcome: Sendable {
    public var replayed: ReplayedStep
    public var hash: String { replayed.line.hash }
    public var loggedHash: String
    /// The rank's own loss: the sum of each term. Not finite where it was not.
    public var losses: [Double] { replayed.line.losses.map { $0 ?? .nan } }
    /// The norm of the rank's own gradient.
    public var norm: Double {
      replayed.line.norms.reduce(0) { $0 + ($1 ?? .nan) * ($1 ?? .nan) }.squareRoot()
    }
    public var numerics: String
    public var loggedNumerics: String
    /// The largest difference of the rank's losses and of its gradient's entries' norms, relative to those logged.
    public var lossDifference: Double
    public var normDifference: Double
    /// Whether hashes can be compared: bits depend on the numerics.
    public var isComparable: Bool { numerics == loggedNumerics }
    public var isEqual: Bool { hash == loggedHash }
  }

  /// Does the steps again.
  ///
  /// - Parameters:
  ///   - makeWorkspace: Gives each simulated rank what it computes with.
  public func run(
    reporter: Reporter, programVersion: String,
    makeWorkspace: @escaping @Sendable () throws -> Workspace
  ) throws -> Outcome {
    let target = ReplayTarget(step: step)
    let (configuration, stage, tasks) = (configuration, stage, tasks)
    let checkpoint = checkpoint?.path
    let numerics = try ThreadGroup.run(ranks: ranks) { communicator in
      let workspace = try makeWorkspace()
      defer { workspace.stop() }
      let run = Run(
        configuration, tasks: tasks, communicator: communicator, workspace: workspace,
        reporter: communicator.rank == 0 ? reporter : .silent, programVersion: programVersion,
        observer: DebugObserver(replay: target), stopRequested: { nil })
      try run.replay(stage, from: checkpoint)
      return NumericsID.of(workspace.kernels, workspace.precision)
    }
    guard let replayed = target.result(ofRank: rank) else {
      throw RunError(.data, "the stage ended before step \(step)")
    }
    return Outcome(
      replayed: replayed, loggedHash: logged.hash, numerics: numerics[rank],
      loggedNumerics: header.numerics,
      lossDifference: Self.difference(replayed.line.losses, logged.losses),
      normDifference: Self.difference(replayed.line.norms, logged.norms))
  }

  /// The largest difference of two lists, relative to the second; of an element beside 0, relative to the first.
  private static func difference(_ values: [Double?], _ logged: [Double?]) -> Double {
    guard values.count == logged.count else { return .infinity }
    return zip(values, logged).reduce(0) { most, pair in
      guard let value = pair.0, let other = pair.1 else {
        return pair.0 == nil && pair.1 == nil ? most : .infinity
      }
      let scale = other != 0 ? abs(other) : abs(value)
      return max(most, scale == 0 ? 0 : abs(value - other) / scale)
    }
  }
}
