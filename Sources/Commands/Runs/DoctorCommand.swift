import Collectives
import Configuration
import Diagnostics
import Foundation
import Tensors
import Training

/// `isogloss doctor`: what this machine and this launch can do.
enum DoctorCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "doctor",
      "Tells what this machine and this launch can do, and what is wrong with them: one line a finding.",
      positionals: [
        Positional(
          "CONFIG", count: .optional, "The run, in YAML: its data, directory and needs too.")
      ],
      options: [
        Option("out", value: "DIR", "Where the run is to go, in place of output_dir."),
        Option("threads", value: "N", default: "as train", "Threads of each rank."),
        Option("json", "Prints one JSON object."),
      ],
      notes: [
        "Under a launcher (mpirun, srun) all ranks join and the first prints one report: start it as "
          + "train is to be started, with the same CONFIG.",
        "Looked for are ranks that did not find each other; cores shared by threads or ranks; ranks "
          + "with another program, config, data or numerics; slow links between hosts; an output "
          + "directory that is not writable, not shared or too small; memory and limits that do not "
          + "suffice. Nothing is trained or kept.",
        "Exit code: 0 if nothing is wrong, 1 with findings; others as of every command.",
      ]
    ) { try run($0, tasks) }
  }

  /// How long ranks wait for each other, and the others for the first one to read the corpora in the end.
  private static let timeoutSeconds = 60.0
  private static let planningSeconds = 1800.0

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    let threads = try arguments.threads()
    let kernels = try KernelTable.chosen()
    var launch = LaunchFacts.current
    var communicator: any Communicator = SingleRank()
    if Launch.problem == nil {
      do {
        communicator = try Ranks.join(timeoutSeconds: timeoutSeconds, asOneProgram: false)
      } catch let error as CollectiveError {
        launch.error = error.detail
      }
    }
    launch.joinedSize = communicator.size
    // Ranks that have not found each other would all print the same.
    if communicator.size == 1, launch.rank > 0 { return }

    var own = RankFacts(
      rank: communicator.rank, hostName: communicator.hostName, threads: threads,
      programVersion: ProcessFacts.programVersion, kernels: kernels,
      peakThreads: peakThreads(threads, isAlone: communicator.size == 1))
    var configuration: RunConfiguration?
    if let path = arguments.positionals("CONFIG").first {
      do {
        let read = try RunConfiguration(
          path: path, outputDirectory: arguments.value("out"),
          tasks: tasks.map { $0.schema })
        own.add(read, tasks: tasks)
        configuration = read
      } catch {
        own.configError = "\(error)"
      }
    }
    var facts = GroupFacts(
      launch: launch, ranks: try RankFacts.gathered(own, over: communicator))
    facts.links = try LinkFacts.measure(over: communicator, facts.ranks)
    facts.output = try OutputFacts.probe(configuration, over: communicator)
    var code = [Int64(0)]
    if communicator.rank == 0 {
      if let configuration { plan(configuration, tasks, threads: threads, kernels, &facts) }
      let findings = facts.findings
      try write(facts, findings, asJSON: arguments.has("json"))
      code[0] = findings.isEmpty ? 0 : 1
    }
    if communicator.rank > 0 { communicator.settings.timeoutSeconds = planningSeconds }
    try communicator.broadcast(&code, from: 0)
    communicator.settings.timeoutSeconds = timeoutSeconds
    try Ranks.leave()
    guard code[0] != 0 else { return }
    exit(Int32(code[0]))
  }

  /// Alone, one thread and all; under a launcher the rank's own, on all ranks at once.
  private static func peakThreads(_ threads: Int, isAlone: Bool) -> [Int] {
    let usable = min(threads, Machine.current.allowedCores)
    return isAlone ? Set([1, usable]).sorted() : [usable]
  }

  /// Adds what a run of the config would take, on the first rank.
  private static func plan(
    _ configuration: RunConfiguration, _ tasks: [any RunTask.Type], threads: Int,
    _ kernels: KernelTable,
    _ facts: inout GroupFacts
  ) {
    let ranks = facts.ranks.count
    guard ranks <= configuration.shards else {
      facts.planError = "shards: \(configuration.shards) is fewer than \(ranks) ranks"
      return
    }
    let workspace = Workspace(kernels: kernels, threadCount: 1, precision: .fp32)
    defer { workspace.stop() }
    do {
      let run = Run(
        configuration, tasks: tasks, communicator: SingleRank(), workspace: workspace,
        reporter: .silent,
        programVersion: ProcessFacts.programVersion, stopRequested: { Signals.stopRequest })
      facts.plan = try run.planFacts(ranks: ranks)
    } catch {
      facts.planError = "\(error)"
    }
  }

  private struct Report: Encodable {
    var facts: [String: String]
    var findings: [Finding]
  }

  private static func write(_ facts: GroupFacts, _ findings: [Finding], asJSON: Bool) throws {
    let lines = facts.report
    if asJSON {
      let object = Report(
        facts: Dictionary(lines.map { ($0.name, $0.value) }) { first, _ in first },
        findings: findings)
      try JSONLine.print(object)
    } else {
      for (name, value) in lines { print("\(name): \(value)") }
      for finding in findings { print("problem: \(finding)") }
      if findings.isEmpty { print("no problem found") }
    }
    fflush(nil)
  }
}
