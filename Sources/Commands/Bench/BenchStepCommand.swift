import Collectives
import Configuration
import Diagnostics
import Foundation
import Tensors
import Training

/// `isogloss bench NAME`: the speed of a task's training step.
enum BenchStepCommand {
  static func command(_ bench: any StepBench.Type) -> Command {
    Command(
      "bench \(bench.name)", bench.summary,
      options: bench.options + [
        .precision,
        Option(
          "gradient-dtype", value: "fp32|bf16", default: "fp32",
          "How gradients travel between ranks."),
        Option("shard-optimizer", "Each rank updates its share of the weights."),
        Option("batch-size", value: "N", default: "32", "Sequences a step for each rank."),
        Option(
          "steps", value: "N", default: "20", "Steps that are timed, after three that are not."),
        Option("threads", value: "N", default: "as train", "Threads of each rank."),
        Option("profile", "Prints what each operation took and its share of this machine's peak."),
        Option("trace", value: "FILE", "Writes the operations as a trace that Perfetto opens."),
        Option(
          "task-graph", value: "N",
          "Cuts operations for N workers and prints their tasks, serial parts and time with so many."
        ),
        Option("json", "Prints one JSON line on standard output."),
      ]
    ) { arguments in try run(bench, arguments) }
  }

  private static func run(_ type: any StepBench.Type, _ arguments: ParsedArguments) throws {
    let steps = try arguments.integer("steps", in: 1...1_000_000) ?? 20
    let communicator = try Ranks.join(timeoutSeconds: 1800)
    let workspace = try Workspace.chosen(by: arguments)
    defer { workspace.stop() }
    let bench = try type.init(
      arguments, batchSize: try arguments.integer("batch-size", in: 1...1_000_000) ?? 32,
      steps: steps + StepBenchRun.warmup, ranks: communicator.size)
    let profiling = try Profiling(arguments, on: workspace, over: communicator)
    let workers = try arguments.integer("task-graph", in: 1...4096)
    let profile = profiling?.profile ?? (workers == nil ? nil : Profile())
    if let workers {
      workspace.workers = workers
      profile?.graph = TaskGraph()
    }
    let result = try StepBenchRun(
      steps: steps,
      gradientType: try arguments.choice("gradient-dtype", of: ["fp32", "bf16"])
        .flatMap(Precision.init) ?? .fp32, shardOptimizer: arguments.has("shard-optimizer")
    ).run(
      bench, communicator: communicator, workspace: workspace, started: ProcessFacts.start,
      profile: profile)
    let seconds = result.stepMilliseconds * Double(steps) / 1000
    try profiling?.report(seconds: seconds)
    if communicator.rank == 0, let workers, let profile, let graph = profile.graph {
      let table = graph.table(workers: workers, operations: profile.rows, total: seconds)
      Terminal.write(table)
    }
    // The peak of every rank: memory of several ranks is their sum.
    var peak = [Measured.peakBytes]
    try communicator.allReduce(&peak, .sum)
    let moments = try communicator.allGather(
      [result.denseMoments, result.rowMoments].map(Int64.init))
    if communicator.rank == 0 {
      let report = BenchReport(
        [("stack", .text("isogloss \(ProcessFacts.programVersion)"))]
          + bench.facts.map { ($0.name, .text($0.value)) } + [
            ("precision", .text(workspace.precision.rawValue)),
            ("kernels", .text(workspace.kernels.name)),
            ("threads", .count(workspace.threadCount)), ("world", .count(communicator.size)),
            ("loss", .measured(result.loss, decimals: 5)),
            ("real_tokens_per_s", .count(Int(result.realTokensPerSecond))),
            ("step_ms", .measured(result.stepMilliseconds, decimals: 1)),
            ("peak_gb", .measured(peak[0] / 1e9, decimals: 3)),
            ("first_step_s", .measured(result.firstStepSeconds, decimals: 2)),
            ("bytes_sent_per_step", .count(result.bytesSentPerStep)),
            ("exposed_ms", .measured(result.exposedMilliseconds, decimals: 1)),
            ("tokens_per_step", .count(result.tokensPerStep)),
            ("touched_rows", .count(result.touchedRows)),
            ("dense_moments_by_rank", .counts(moments.map { $0[0] })),
            ("row_moments_by_rank", .counts(moments.map { $0[1] })),
          ])
      try report.print(asJSON: arguments.has("json"))
    }
    try Ranks.leave()
  }
}
