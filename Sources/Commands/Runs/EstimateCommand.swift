import Collectives
import Configuration
import Diagnostics
import Foundation
import Tensors
import Training

/// `isogloss estimate`: what a config would take on so many nodes.
enum EstimateCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "estimate",
      "Predicts step time, memory and node-hours of a config on other numbers of nodes, from steps run here.",
      positionals: [
        Positional("CONFIG", count: .one, "The run, in YAML."),
        Positional("KEY=VALUE", count: .any, "Overrides of the config, as train takes them."),
      ],
      options: [
        Option("nodes", value: "LIST", default: "1,2,4", "Numbers of nodes: 1,2,4,8."),
        Option("ranks-per-node", value: "R", default: "1", "Ranks on each node."),
        Option("threads", value: "T", default: "all cores / R", "Threads of each rank."),
        Option(
          "steps", value: "K", default: "10",
          "Steps that are timed for each number of nodes, after three that are not."),
        Option(
          "bandwidth", value: "GBIT", default: "\(Int(NetworkProbe.assumedGigabits)), assumed",
          "What a node's link carries each way, in Gbit/s."),
        Option(
          "latency", value: "US", default: "\(Int(NetworkProbe.assumedMicroseconds)), assumed",
          "What a small message takes from node to node, in microseconds."),
        Option(
          "one-machine",
          "The nodes are containers or namespaces of this machine: all their ranks share its cores."
        ),
        Option("out", value: "FILE", "Keeps the prediction as JSON."),
        Option(
          "save",
          "Keeps it as estimate.json in output_dir, so that a run there shows it next to its own measurements."
        ),
        Option("json", "Prints one JSON object for each number of nodes."),
      ],
      notes: [
        "The share of a step that a rank of N would have is run here, with this config's data and "
          + "weights; nothing of it is kept. Nodes are taken to be like this one.",
        "Under a launcher, with one rank on each host, the network between them is measured in place "
          + "of --bandwidth and --latency.",
        "Hours are those of training steps: evaluation, saving and starting are not in them.",
      ]
    ) { try run($0, tasks) }
  }

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    func usage(_ message: String) -> UsageError {
      UsageError(message, command: "isogloss estimate")
    }
    let nodes = try nodes(arguments.value("nodes") ?? "1,2,4").sorted()
    let ranksPerNode = try arguments.integer("ranks-per-node", in: 1...1024) ?? 1
    let steps = try arguments.integer("steps", in: 1...1_000_000) ?? 10
    let gigabits = try arguments.positive("bandwidth")
    let microseconds = try arguments.positive("latency")
    let cores = Machine.current.allowedCores
    let threads =
      try arguments.integer("threads", in: 1...1024) ?? max(1, cores / ranksPerNode)
    let configuration = try RunConfiguration(
      path: arguments.positional("CONFIG"), overrides: arguments.positionals("KEY=VALUE"),
      tasks: tasks.map { $0.schema })
    let most = (nodes.last ?? 1) * ranksPerNode
    guard most <= configuration.shards else {
      throw RunError(
        .configuration,
        "shards: \(configuration.shards) is fewer than \(most) ranks; set shards to \(most) or more"
      )
    }
    let communicator = try Ranks.join(timeoutSeconds: Double(configuration.ddpTimeout))
    var measured: NetworkProbe.Measurement?
    if communicator.size > 1 {
      guard gigabits == nil, microseconds == nil else {
        throw usage("under a launcher the network is measured; leave --bandwidth and --latency out")
      }
      measured = try NetworkProbe.measure(over: communicator)
    }
    if communicator.rank == 0 {
      let reporter = Terminal.reporter()
      let kernels = try KernelTable.chosen()
      let workspace = Workspace(
        kernels: kernels, threadCount: threads,
        precision: kernels.precision(configuration.precision))
      defer { workspace.stop() }
      let run = Run(
        configuration, tasks: tasks, communicator: SingleRank(), workspace: workspace,
        reporter: Reporter(line: { _ in }, progress: { _ in }),
        programVersion: ProcessFacts.programVersion,
        stopRequested: { Signals.stopRequest })
      let estimate = try run.estimate(
        EstimateRequest(
          nodes: nodes, ranksPerNode: ranksPerNode, threads: threads, steps: steps,
          isOneMachine: arguments.has("one-machine"),
          gigabits: gigabits ?? NetworkProbe.assumedGigabits,
          microseconds: microseconds ?? NetworkProbe.assumedMicroseconds, measured: measured,
          cores: cores)
      ) { reporter.progress($0) }
      Terminal.clearProgress()
      try write(estimate, arguments, configuration)
    }
    try communicator.barrier()
    try Ranks.leave()
  }

  private static func write(
    _ estimate: RunEstimate, _ arguments: ParsedArguments, _ configuration: RunConfiguration
  ) throws {
    if let file = arguments.value("out") { try estimate.write(to: file) }
    if arguments.has("save") {
      let directory = configuration.outputDirectory
      do {
        try FileManager.default.createDirectory(
          atPath: directory, withIntermediateDirectories: true)
      } catch {
        throw RunError(.io, "\(directory) cannot be made: \(error.localizedDescription)")
      }
      try estimate.write(to: directory + "/" + RunEstimate.fileName)
    }
    if arguments.has("json") {
      for row in estimate.rows {
        try JSONLine.print(row)
      }
    } else {
      print(estimate.text, terminator: "")
    }
  }

  private static func nodes(_ text: String) throws(UsageError) -> [Int] {
    var nodes: [Int] = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let count = Int(word), (1...4096).contains(count), !nodes.contains(count) else {
        throw UsageError(
          "--nodes: '\(word)' is no number from 1 to 4096 that comes once; give a list such as 1,2,4",
          command: "isogloss estimate")
      }
      nodes.append(count)
    }
    return nodes
  }
}

extension ParsedArguments {
  /// The number above 0 of an option that was given.
  fileprivate func positive(_ option: String) throws(UsageError) -> Double? {
    guard let text = value(option) else { return nil }
    guard let number = Double(text), number > 0, number.isFinite else {
      throw UsageError(
        "--\(option): '\(text)' is no number above 0", command: "isogloss \(command)")
    }
    return number
  }
}
