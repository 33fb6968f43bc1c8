import Checkpoints
import Configuration
import Diagnostics
import Foundation
import Tensors
import Training

/// `isogloss replay`: one rank's gradient of one step, made again.
enum ReplayCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "replay",
      "Makes one rank's batch and gradient of one step again, and compares it with what the run logged.",
      positionals: [
        Positional("RUN_DIR", count: .one, "The output directory of the run.")
      ],
      options: [
        Option("rank", value: "R", "The rank, from 0."),
        Option("step", value: "S", "The step, as the log counts them: the first one is 1."),
        Option("stage", value: "NAME", default: "the only one", "The stage."),
        Option(
          "threads", value: "N", default: "ISOGLOSS_THREADS, or all cores / ranks",
          "Threads of each simulated rank."),
        Option("json", "Prints one JSON object on standard output."),
      ],
      notes: [
        "The run must have been trained with log_gradients: true, or with --debug.",
        "All ranks of the run are simulated as threads, from the newest complete checkpoint before the "
          + "step, or from the stage's first weights. Nothing is written to the run's directory.",
        "Relative paths of the config are looked up from the current folder, as train did.",
        "Exits with 0 if the hash is the logged one, with 70 if it differs. Where bits depend on another "
          + "processor or library than those of the run, differences are printed and it exits with 0.",
      ]
    ) { try run($0, tasks) }
  }

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    guard let rank = try arguments.integer("rank", in: 0...1_000_000),
      let step = try arguments.integer("step", in: 1...Int.max)
    else {
      throw UsageError("--rank and --step are needed", command: "isogloss replay")
    }
    let replay = try Replay(
      runDirectory: arguments.positional("RUN_DIR"), stage: arguments.value("stage"), rank: rank,
      step: step, tasks: tasks)
    let reporter = Terminal.reporter()
    for note in replay.notes { reporter.line("note: \(note)") }
    reporter.line(
      "stage '\(replay.stage.name)': \(replay.ranks) rank\(replay.ranks == 1 ? "" : "s") from "
        + (replay.checkpoint.map { "checkpoint-\($0.step)" } ?? "the first weights")
        + " to step \(step)")
    let kernels = try KernelTable.chosen()
    let threads = try threads(arguments, ranks: replay.ranks)
    // What a run tells of itself was told when it ran.
    let quiet = Reporter(line: { _ in }, progress: reporter.progress)
    let outcome = try replay.run(reporter: quiet, programVersion: ProcessFacts.programVersion) {
      Workspace(
        kernels: kernels, threadCount: threads,
        precision: kernels.precision(replay.configuration.precision))
    }
    if arguments.has("json") {
      try printJSON(replay, outcome)
    } else {
      printText(outcome)
    }
    if outcome.isComparable && !outcome.isEqual { exit(70) }
  }

  private static func threads(_ arguments: ParsedArguments, ranks: Int) throws -> Int {
    let environment = ProcessInfo.processInfo.environment["ISOGLOSS_THREADS"]
    if arguments.value("threads") == nil, environment == nil {
      return max(1, ProcessInfo.processInfo.activeProcessorCount / ranks)
    }
    return try arguments.threads()
  }

  private static func printText(_ outcome: Replay.Outcome) {
    Terminal.clearProgress()
    print("sentences of the rank:")
    for sentence in outcome.replayed.sentences {
      print("  \(sentence.language)  \(sentence.path):\(sentence.line)")
    }
    print("loss of the rank, summed: \(list(outcome.losses))")
    print("norm of the rank's gradient: \(outcome.norm)")
    print("loss of the step: \(list(outcome.replayed.stepLosses))")
    print("norm of the step's gradient: \(outcome.replayed.stepNorm)")
    print("hash: \(outcome.hash)")
    if outcome.isComparable {
      print(
        outcome.isEqual
          ? "equal to the logged hash"
          : "differs from the logged hash \(outcome.loggedHash): other data, another program, or a "
            + "fault of that rank's machine")
    }
    if !outcome.isComparable || !outcome.isEqual {
      print("largest relative difference of losses: \(outcome.lossDifference)")
      print("largest relative difference of norms of parameters: \(outcome.normDifference)")
    }
    if !outcome.isComparable {
      print(
        "hashes are not compared: the run had \(outcome.loggedNumerics); here are \(outcome.numerics)"
      )
    }
  }

  private static func list(_ values: [Double]) -> String {
    values.map { "\($0)" }.joined(separator: ", ")
  }

  private struct Report: Encodable {
    var stage: String
    var rank: Int
    var step: Int
    var ranks: Int
    /// The checkpoint's step; 0 for the first weights.
    var from: Int
    var sentences: [ReplayedStep.Sentence]
    var losses: [Double?]
    var norm: Double?
    var stepLosses: [Double?]
    var stepNorm: Double?
    var hash: String
    var loggedHash: String
    /// Absent where bits depend on other numerics.
    var equal: Bool?
    var lossDifference: Double?
    var normDifference: Double?
    var numerics: String
    var loggedNumerics: String
  }

  private static func printJSON(_ replay: Replay, _ outcome: Replay.Outcome) throws {
    func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
    let report = Report(
      stage: replay.stage.name, rank: replay.rank, step: replay.step, ranks: replay.ranks,
      from: replay.checkpoint?.step ?? 0, sentences: outcome.replayed.sentences,
      losses: outcome.losses.map(finite), norm: finite(outcome.norm),
      stepLosses: outcome.replayed.stepLosses.map(finite),
      stepNorm: finite(outcome.replayed.stepNorm), hash: outcome.hash,
      loggedHash: outcome.loggedHash, equal: outcome.isComparable ? outcome.isEqual : nil,
      lossDifference: finite(outcome.lossDifference),
      normDifference: finite(outcome.normDifference), numerics: outcome.numerics,
      loggedNumerics: outcome.loggedNumerics)
    try JSONLine.print(report)
  }
}
