import Collectives
import Configuration
import Diagnostics
import Files
import Foundation
import Tensors
import Training

/// `isogloss train`: all stages of a config.
enum TrainCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "train", "Trains what a config says: its stages in order, each resumable.",
      positionals: [
        Positional("CONFIG", count: .one, "The run, in YAML."),
        Positional(
          "KEY=VALUE", count: .any, "Overrides of the config, dotted: stages.0.learning_rate=1e-5."),
      ],
      options: [
        Option("out", value: "DIR", "Where the run goes, in place of output_dir."),
        Option(
          "resume", value: "auto|DIR",
          "Goes on with the run in the output directory, from its newest checkpoint or the given one."
        ),
        Option("simulate-ranks", value: "N", "Runs N ranks as threads of this process."),
        Option(
          "threads", value: "N", default: "ISOGLOSS_THREADS, or 1 under a launcher, else all cores",
          "Threads of each rank."),
        Option(
          "dry-run",
          "Prints the resolved config, steps, ledger and memory, and trains nothing."),
        Option("help-config", "Lists every key of a config, its default and its meaning."),
        Option(
          "debug",
          "Checks every batch, operation, gradient and update, says where a number first is not finite, "
            + "and logs gradients for replay; slower, to the same bits."),
        Option("profile", "Prints what each operation took and its share of this machine's peak."),
        Option(
          "trace", value: "FILE",
          "Writes every rank's operations and transfers as a trace that Perfetto opens."
        ),
        .tableForm,
        Option("json", "Prints the results as JSON on standard output."),
      ],
      notes: ["isogloss train --help-config lists every key of a config with its default."]
    ) {
      try run($0, tasks)
    }
  }

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    let configuration = try RunConfiguration(
      path: arguments.positional("CONFIG"), overrides: arguments.positionals("KEY=VALUE"),
      outputDirectory: arguments.value("out"), tasks: tasks.map { $0.schema })
    let resume: Run.Resume =
      switch arguments.value("resume") {
      case nil: .no
      case "auto": .auto
      case .some(let path): .checkpoint(path)
      }
    _ = try arguments.tableForm()
    Signals.preempt(at: configuration.preemptionSignal)
    let isDebug = arguments.has("debug")
    let observer = DebugObserver(
      isDebug: isDebug,
      fault: try ProcessInfo.processInfo.environment[Fault.variable].map { try Fault($0) })
    let communicator = try Ranks.join(timeoutSeconds: Double(configuration.ddpTimeout))
    // Who stops a rank in a debugger does not want the others to end the run.
    communicator.settings.isPatientInDebugger = isDebug
    try RankAgreement.check(
      "config", configuration.description,
      fix: "start every rank with the same CONFIG and overrides", over: communicator)
    var stop: StopRequest?
    if let ranks = try arguments.integer("simulate-ranks", in: 1...4096) {
      guard communicator.size == 1 else {
        throw UsageError(
          "--simulate-ranks and a launcher exclude each other", command: "isogloss train")
      }
      stop = try ThreadGroup.run(
        ranks: ranks,
        settings: communicator.settings, isWatched: true
      ) { communicator in
        try train(configuration, tasks, resume: resume, observer, arguments, over: communicator)
      }.compactMap(\.self).first
    } else {
      stop = try train(
        configuration, tasks, resume: resume, observer, arguments, over: communicator)
    }
    try Ranks.leave()
    switch stop {
    case nil: break
    case .interrupt: exit(130)
    case .preemption: exit(75)
    }
  }

  /// Runs the stages on one rank. Returns why they were stopped, and saved, before their end, if they were.
  private static func train(
    _ configuration: RunConfiguration, _ tasks: [any RunTask.Type], resume: Run.Resume,
    _ observer: DebugObserver, _ arguments: ParsedArguments, over communicator: any Communicator
  ) throws -> StopRequest? {
    let reporter = communicator.rank == 0 ? Terminal.reporter() : .silent
    let ranks = communicator.size
    guard ranks <= configuration.shards else {
      throw RunError(
        .configuration,
        "shards: \(configuration.shards) is fewer than \(ranks) ranks; set shards to \(ranks) or more"
      )
    }
    let workspace = try Workspace.chosen(
      by: arguments, precision: configuration.precision, reporter: reporter)
    defer { workspace.stop() }
    try RankAgreement.check(
      "what they compute with", NumericsID.of(workspace.kernels, workspace.precision),
      fix: "set ISOGLOSS_KERNELS on every host (mpirun -x, srun --export) to a table that all have",
      over: communicator)
    reporter.line(
      "isogloss \(ProcessFacts.programVersion): \(ranks) rank\(ranks == 1 ? "" : "s") × "
        + "\(workspace.threadCount) thread\(workspace.threadCount == 1 ? "" : "s"), "
        + "\(workspace.kernels.name) kernels, \(workspace.precision.rawValue)")
    if let problem = Machine.current.oversubscription(
      ranks: arguments.has("simulate-ranks") ? ranks : Launch.localSize ?? 1,
      threads: workspace.threadCount)
    {
      reporter.line("warning: \(problem)")
    }
    let shares = GradientStep.shares(
      ranks: ranks, shards: configuration.shards,
      fullDeterminism: configuration.fullDeterminism)
    if Set(shares).count > 1 {
      reporter.line(
        "\(configuration.shards) shards over \(ranks) ranks: shares of "
          + "\(shares.map(String.init).joined(separator: ", ")); ranks with fewer will wait")
    }
    let run = Run(
      configuration, tasks: tasks, communicator: communicator, workspace: workspace,
      reporter: reporter,
      programVersion: ProcessFacts.programVersion, observer: observer,
      stopRequested: { Signals.stopRequest })
    if arguments.has("dry-run") {
      // Every rank reads the data, and all agree on them.
      let plan = try run.plan()
      if communicator.rank == 0 { print(plan, terminator: "") }
      return nil
    }
    try run.prepare(resume: resume)
    if !arguments.has("simulate-ranks") { Ranks.settle(in: configuration.outputDirectory) }
    let profiling = try Profiling(arguments, on: workspace, over: communicator)
    workspace.profile = profiling?.profile
    let outcome = try run.execute(resume: resume)
    if let profiling { try profiling.report(seconds: profiling.profile.seconds) }
    let results: [StageResult]
    switch outcome {
    case .finished(let all): results = all
    case .stopped(let request): return request
    }
    if communicator.rank != 0 { return nil }
    let form = try arguments.tableForm()
    if arguments.has("json") {
      for result in results {
        try JSONLine.print(result)
      }
    } else {
      for metric in RunResults.metrics(of: configuration) {
        let results = RunResults(results, of: configuration, metric: metric)
        let isForPrograms = form == .csv || form == .tsv
        print(
          isForPrograms
            ? TextTable(results.records).text(as: form) : results.table(as: form), terminator: "")
      }
    }
    if configuration.report { try ReportCommand.write(ofRun: configuration.outputDirectory) }
    return nil
  }
}
