import Checkpoints
package import Collectives
package import Configuration
import Files
import Foundation
import Model
package import Tensors

/// A whole run: its corpora, its stages in order, its directory.
///
/// ```
/// output_dir/run.yaml              the resolved config
///            metrics.jsonl         a line a report, and TensorBoard's events beside it
///            STAGE/model/          the trained model
///            STAGE/corpus/         what a stage made that trains nothing
///            STAGE/checkpoint-N/   what a stopped stage goes on from
///            STAGE/result.json     its scores
///            STAGE/predictions/    its labels of dev and test, and their counts per sentence
///            results.json          the scores of all stages that are complete
/// ```
public struct Run {
  public enum Resume: Sendable, Equatable {
    /// Refuse a directory that holds a run.
    case no
    /// Go on with what the directory holds, if anything.
    case auto
    /// Go on from this checkpoint of the first stage that is not complete.
    case checkpoint(String)
  }

  /// How a run ended.
  public enum Outcome: Sendable, Equatable {
    case finished([StageResult])
    /// Before its end, and saved.
    case stopped(StopRequest)
  }

  /// What `estimate --save` leaves in a directory before the run.
  package static let estimateFile = "estimate.json"

  public let context: RunContext

  /// - Parameter tasks: Those of the program; the config was read with their schemas.
  package init(
    _ configuration: RunConfiguration, tasks: [any RunTask.Type],
    communicator: any Communicator, workspace: Workspace, reporter: Reporter,
    programVersion: String, observer: (any RunObserver)? = nil,
    stopRequested: @escaping @Sendable () -> StopRequest?
  ) {
    context = RunContext(
      configuration: configuration, tasks: tasks, communicator: communicator,
      workspace: workspace, reporter: reporter, log: nil, programVersion: programVersion,
      stopRequested: stopRequested, observer: observer)
  }

  /// The task of a stage, made with its data, on which all ranks agree.
  ///
  /// - Throws: ``StageDataMissing`` where the data are an earlier stage's that is not complete.
  package func task(of stage: Stage) throws -> any RunTask {
    let communicator = context.communicator
    communicator.activity.begin("reading data")
    let task = try context.taskType(of: stage).init(context.setup(stage))
    if communicator.size > 1 {
      try context.shared.value("agreed data of \(stage.task)", key: stage.dataKey) {
        try RankAgreement.check(
          "data", task.fingerprints.joined(separator: "\n"), code: .data,
          fix: "give every host the same files", over: communicator)
      }
    }
    return task
  }

  /// The weights that a stage begins with: those of its source, and first values where it has none.
  ///
  /// - Parameter areKept: Whether they will be trained, and no checkpoint or measurement takes their place.
  package func firstModel<Task: TrainingTask>(
    of stage: Stage, _ task: Task, areKept: Bool
  ) throws -> TrainedModel {
    let network = task.network
    var model = TrainedModel(network: network, parameters: ParameterSet(layout: network.layout))
    var new = network.layout.entries.map(\.name)
    if let source = try context.setup(stage).model(stage.start) {
      let report = try model.readWeights(directory: source, needsHeads: false, mapping: .table)
      new = report.missing
      if !new.isEmpty {
        context.reporter.line("\(stage.name): new, not in \(source): \(Self.few(new))")
      }
      if !report.unused.isEmpty {
        context.reporter.line("\(stage.name): unused of \(source): \(Self.few(report.unused))")
      }
    }
    let entries = new.compactMap(network.layout.index(of:))
    network.initialise(
      &model.parameters, entries: entries, seed: UInt64(bitPattern: Int64(stage.seed)),
      in: context.workspace)
    if areKept { try task.adjustFirst(&model.parameters, entries: entries) }
    return model
  }

  /// Makes the run's directory, or sees to it that the one that is there is this run's.
  ///
  /// - Throws: ``RunError`` if it holds another run, or holds this one and `resume` is `no`.
  public func prepare(resume: Resume) throws {
    let directory = context.configuration.outputDirectory
    try onFirstRank { try prepare(directory, resume: resume) }
  }

  /// Runs all stages, or those that are left, in the directory that ``prepare(resume:)`` made.
  ///
  /// - Returns: The results of all stages, unless the run was stopped and saved.
  public func execute(resume: Resume) throws -> Outcome {
    let directory = context.configuration.outputDirectory
    var context = context
    if context.communicator.rank == 0 { context.log = try MetricLog(directory: directory) }
    var results: [StageResult] = []
    var named: String?
    if case .checkpoint(let path) = resume { named = path }
    for stage in context.configuration.stages {
      let place = context.configuration.directory(of: stage)
      var checkpoint: String?
      if resume != .no {
        if let done = finished(place, stage) {
          context.reporter.line(
            "\(stage.name): complete\(done.map { ", \($0.steps) steps" } ?? "")")
          if comesFromOthers(stage) {
            context.reporter.line(
              "\(stage.name): was made from other files than the earlier stages hold now; remove \(place) to make it again"
            )
          }
          if let done { results.append(done) }
          continue
        }
        checkpoint = try newestCheckpoint(place)
      }
      if let path = named { (checkpoint, named) = (path, nil) }
      switch try execute(stage, from: checkpoint, context) {
      case .trained(.finished(let result)):
        results.append(result)
        try record(results)
      case .trained(.stopped(let request)): return .stopped(request)
      case .gaveUp(let request):
        context.reporter.line("\(stage.name): stopped; --resume auto begins it anew")
        return .stopped(request)
      case .made: break
      }
    }
    return .finished(results)
  }

  /// Writes the run's `results.json`.
  private func record(_ results: [StageResult]) throws {
    guard context.communicator.rank == 0 else { return }
    try RunState.write(
      RunResults.file(results, of: context.configuration),
      to: context.configuration.outputDirectory + "/results.json")
  }

  private enum StageEnd {
    case trained(StageOutcome)
    case made
    /// Before its end, with nothing kept.
    case gaveUp(StopRequest)
  }

  private func execute(
    _ stage: Stage, from checkpoint: String?, _ context: RunContext
  ) throws -> StageEnd {
    if !stage.tries.isEmpty { return .trained(.finished(try chooseTry(of: stage))) }
    let task = try task(of: stage)
    if let task = task as? any TrainingTask {
      return .trained(try train(task, stage, from: checkpoint, context))
    }
    guard let task = task as? any DataTask else {
      preconditionFailure("task \(stage.task) neither trains nor makes data")
    }
    return try make(task, stage, context).map { .gaveUp($0) } ?? .made
  }

  private func train(
    _ task: some TrainingTask, _ stage: Stage, from checkpoint: String?, _ context: RunContext
  ) throws -> StageOutcome {
    var trainer = try trainer(of: stage, task, context, isContinued: checkpoint != nil)
    return try trainer.run(from: checkpoint)
  }

  /// What trains a stage from its first weights, or from a checkpoint that it will be given.
  package func trainer<Task: TrainingTask>(
    of stage: Stage, _ task: Task, _ context: RunContext, isContinued: Bool
  ) throws -> StageTrainer<Task> {
    let configuration = context.configuration
    var trainer = StageTrainer(
      context: context, stage: stage, directory: configuration.directory(of: stage), task: task,
      model: try firstModel(of: stage, task, areKept: !isContinued))
    trainer.origins = try context.setup(stage).origins()
    trainer.keepsMoments = hasHeir(stage)
    if !stage.resetOptimizer, let name = stage.start.stage {
      trainer.parent = configuration.stages.first { $0.name == name }
        .map(configuration.directory(of:))
    }
    return trainer
  }

  /// Runs a stage that trains, from its first weights or a checkpoint, as the run's observer wants it.
  package func replay(_ stage: Stage, from checkpoint: String?) throws {
    guard let task = try task(of: stage) as? any TrainingTask else {
      throw RunError(.data, "stage '\(stage.name)' trains nothing: there is no step to replay")
    }
    _ = try train(task, stage, from: checkpoint, context)
  }

  /// Lets a task write the files of its stage, whole or not at all.
  ///
  /// - Returns: Why it gave up; nil if the files are there.
  private func make(
    _ task: some DataTask, _ stage: Stage, _ context: RunContext
  ) throws -> StopRequest? {
    let communicator = context.communicator
    communicator.activity.begin("stage '\(stage.name)'")
    var request: StopRequest?
    func stop() throws -> Bool {
      request = try agreed(context.stopRequested())
      return request != nil
    }
    guard communicator.rank == 0 else {
      _ = try task.make(into: "", stop: stop)
      if request == nil { try communicator.barrier() }
      return request
    }
    var facts = JSONObject()
    facts["stage"] = .init(stage.name)
    facts["task"] = .init(stage.task)
    facts["seed"] = .init(stage.seed)
    facts["config"] = try context.configuration.forManifests()
    facts["data"] = try task.dataFacts()
    try CheckpointLineage(of: context.setup(stage).origins(), hashThreads: 1).write(into: &facts)
    let made = try MadeDirectory("corpus", ofStage: context.configuration.directory(of: stage))
    defer { made.discard() }
    guard let found = try task.make(into: made.making, stop: stop) else { return request }
    for fact in found.members { facts[fact.name] = fact.value }
    try made.finish(programVersion: context.programVersion, facts: facts)
    context.reporter.line(
      "\(stage.name): complete, in \(context.configuration.directory(of: .corpus, ofStage: stage))")
    try communicator.barrier()
    return nil
  }

  /// What any rank asks for: a preemption goes before an interrupt.
  private func agreed(_ own: StopRequest?) throws -> StopRequest? {
    var asked = [Int64(own == .preemption ? 2 : own == .interrupt ? 1 : 0)]
    try context.communicator.allReduce(&asked, .max)
    return asked[0] == 2 ? .preemption : asked[0] == 1 ? .interrupt : nil
  }

  // MARK: Directories

  /// Whether a later stage goes on with this one's moments.
  private func hasHeir(_ stage: Stage) -> Bool {
    context.configuration.stages.contains {
      !$0.resetOptimizer && $0.start == .stage(name: stage.name)
    }
  }

  /// What came of a stage that is complete, nothing for one that only made data; nil if it is not complete.
  private func finished(_ directory: String, _ stage: Stage) -> StageResult?? {
    let schema = context.configuration.schema(of: stage)
    if !schema.trains {
      return isWhole(context.configuration.directory(of: .corpus, ofStage: stage), stage)
        ? .some(nil) : nil
    }
    guard stage.training.saveStrategy == .no || isWhole(directory + "/model", stage),
      FileManager.default.fileExists(atPath: directory + "/result.json")
    else { return nil }
    // One that cannot be read was cut short: the stage is then not finished.
    let result: StageResult? = try? RunState.read(from: directory + "/result.json")
    let needed = schema.metrics.map(\.table.score)
    let isWhole =
      result.map { result in
        (result.dev + result.test).allSatisfy { score in
          needed.allSatisfy { score.values[$0] != nil }
        }
      } ?? false
    return isWhole && result?.stage == stage.name ? .some(result) : nil
  }

  /// Whether a directory of a stage holds what its manifest lists. What is damaged is made again, and not in silence.
  private func isWhole(_ directory: String, _ stage: Stage) -> Bool {
    guard CheckpointDirectory.hasManifest(directory) else { return false }
    do throws(FileError) {
      try CheckpointDirectory.checkSizes(directory)
      return true
    } catch {
      context.reporter.line("\(stage.name): \(error); the stage is run again")
      return false
    }
  }

  /// Whether a complete stage was made from other artifacts than those that earlier stages hold now, as far as manifests say.
  private func comesFromOthers(_ stage: Stage) -> Bool {
    let schema = context.configuration.schema(of: stage)
    let made = context.configuration.directory(
      of: schema.trains ? .model : .corpus, ofStage: stage)
    guard context.communicator.rank == 0, !stage.sources.isEmpty,
      let recorded = try? CheckpointManifest(directory: made).lineage.parents,
      let origins = try? context.setup(stage).origins(),
      // Earlier versions recorded the first weights alone.
      origins.count == recorded.count, origins.allSatisfy(CheckpointDirectory.hasManifest),
      let lineage = try? CheckpointLineage(of: origins)
    else { return false }
    return lineage.parents != recorded
  }

  /// Throws if a stage that is not known before others have run lists files that are not there.
  func checkLaterFiles() throws {
    for stage in context.configuration.stages where !stage.sources.isEmpty {
      for path in context.taskType(of: stage).dataFiles(of: stage, in: context.configuration)
      where !FileManager.default.fileExists(atPath: path) {
        throw FileError(
          .missing, path, "no such file or directory, which stage '\(stage.name)' reads")
      }
    }
    for stage in context.configuration.stages {
      for case .checkpoint(let path) in [stage.start] + stage.teachers
      where !FileManager.default.fileExists(atPath: path) {
        throw FileError(
          .missing, path, "no such directory, whose model stage '\(stage.name)' needs")
      }
    }
  }

  /// The newest complete checkpoint, by the first rank's word.
  private func newestCheckpoint(_ directory: String) throws -> String? {
    var step = [Int64(-1)]
    if context.communicator.rank == 0,
      let newest = try CheckpointDirectory.newestComplete(in: directory)
    {
      step[0] = Int64(newest.step)
    }
    try context.communicator.broadcast(&step, from: 0)
    return step[0] < 0 ? nil : "\(directory)/checkpoint-\(step[0])"
  }

  private func prepare(_ directory: String, resume: Resume) throws {
    let files = FileManager.default
    let record = directory + "/run.yaml"
    if files.fileExists(atPath: record) {
      guard resume != .no else {
        throw RunError(
          .configuration,
          "\(directory) already holds a run; continue it with --resume auto, or set output_dir "
            + "(--out) to another directory")
      }
      // Read, not compared as text: one of an earlier version lacks the keys that came since.
      var recorded = try RunConfiguration(
        recordedIn: directory, tasks: context.configuration.tasks)
      recorded.outputDirectory = directory
      if let (there, here) = recorded.firstDifference(from: context.configuration) {
        throw RunError(
          .configuration,
          "\(directory) holds a run of another config: run.yaml says '\(there)' where this one says "
            + "'\(here)'; give the same config to --resume, or set output_dir to another directory")
      }
      for line in try CheckpointDirectory.recover(in: directory) { context.reporter.line(line) }
      for stage in context.configuration.stages {
        try makeDirectory(context.configuration.directory(of: stage))
        for line in try CheckpointDirectory.recover(in: context.configuration.directory(of: stage))
        {
          context.reporter.line(line)
        }
      }
      return
    }
    let contents = (try? files.contentsOfDirectory(atPath: directory)) ?? []
    guard contents.allSatisfy({ $0.hasPrefix(".") || $0 == Self.estimateFile }) else {
      throw RunError(
        .configuration,
        "\(directory) is not empty and holds no run of this program; set output_dir (--out) to "
          + "another directory")
    }
    try checkLaterFiles()
    try makeDirectory(directory)
    // The record first: from now on the directory is this run's.
    try WholeFile.replace(Array(context.configuration.description.utf8), at: record)
    for stage in context.configuration.stages {
      try makeDirectory(context.configuration.directory(of: stage))
    }
  }

  private func makeDirectory(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw RunError(.io, "\(path) cannot be made: \(error.localizedDescription)")
    }
  }

  /// Runs `body` on the first rank alone; if it fails there, all ranks throw.
  func onFirstRank(_ body: () throws -> Void) throws {
    let communicator = context.communicator
    var failed = [Int64(0)]
    if communicator.rank == 0 {
      do { try body() } catch {
        failed[0] = 1
        // The cause is thrown here, whatever becomes of the others meanwhile.
        try? communicator.broadcast(&failed, from: 0)
        throw error
      }
    }
    try communicator.broadcast(&failed, from: 0)
    if failed[0] == 0 { return }
    // The first rank has the cause and ends all; until then the others wait.
    try communicator.barrier()
    throw RunError(.elsewhere, "rank 0 could not prepare the run")
  }

  private static func few(_ names: [String]) -> String {
    let shown = names.prefix(4).joined(separator: ", ")
    return names.count > 4 ? "\(shown) and \(names.count - 4) more" : shown
  }
}
