import Collectives
import Configuration
import Corpus
import Foundation
import Tensors
import Tokenizers
import Training

/// `isogloss bench mlm`: the speed of a step of masked language modelling.
enum BenchMLMCommand {
  static let command = Command(
    "bench mlm",
    "Measures steps of masked language modelling on packed text, from random weights of an XLM-R.",
    options: [
      Option("data", value: "FILE", takesMany: true, "Text, one sentence a line; plain or gzip."),
      Option("tokenizer", value: "SP.model", "A tokenizer; its ids are the vocabulary."),
      Option("layers", value: "N", default: "8", "Layers."),
      Option(
        "hidden", value: "N", default: "256", "Model width; the inner width is four times it."),
      Option("heads", value: "N", default: "8", "Heads."),
      Option("length", value: "N", default: "128", "Tokens of every sequence."),
      Option("batch-size", value: "N", default: "32", "Sequences a step for each rank."),
      Option("steps", value: "N", default: "10", "Steps that are timed, after three that are not."),
      .precision,
      Option("threads", value: "N", default: "as train", "Threads of each rank."),
      Option("profile", "Prints what each operation took and its share of this machine's peak."),
      Option("trace", value: "FILE", "Writes the operations as a trace that Perfetto opens."),
      Option("json", "Prints one JSON line on standard output."),
    ], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    let files = arguments.values("data")
    guard !files.isEmpty, let path = arguments.value("tokenizer") else {
      throw UsageError("--data and --tokenizer are needed", command: "isogloss bench mlm")
    }
    let bench = MaskedBench(
      layers: try arguments.integer("layers", in: 1...1024) ?? 8,
      hiddenSize: try arguments.integer("hidden", in: 1...65536) ?? 256,
      heads: try arguments.integer("heads", in: 1...4096) ?? 8,
      length: try arguments.integer("length", in: 3...65536) ?? 128,
      batchSize: try arguments.integer("batch-size", in: 1...1_000_000) ?? 32,
      steps: try arguments.integer("steps", in: 1...1_000_000) ?? 10)
    let communicator = try Ranks.join(timeoutSeconds: 1800)
    let workspace = try Workspace.chosen(by: arguments)
    defer { workspace.stop() }
    let profiling = try Profiling(arguments, on: workspace, over: communicator)
    let result = try bench.run(
      files: files, tokenizer: try TokenizerLoader.load(path), communicator: communicator,
      workspace: workspace, profile: profiling?.profile)
    try profiling?.report(seconds: result.stepMilliseconds * Double(bench.steps) / 1000)
    // The peak of every rank: memory of several ranks is their sum.
    var peak = [Measured.peakBytes]
    try communicator.allReduce(&peak, .sum)
    if communicator.rank == 0 {
      let report = BenchReport([
        "stack": .text("isogloss \(ProcessFacts.programVersion)"),
        "precision": .text(workspace.precision.rawValue),
        "kernels": .text(workspace.kernels.name),
        "threads": .count(workspace.threadCount), "world": .count(communicator.size),
        "real_tokens_per_s": .count(Int(result.realTokensPerSecond)),
        "step_ms": .measured(result.stepMilliseconds, decimals: 1),
        "peak_gb": .measured(peak[0] / 1e9, decimals: 3),
        "loss": .measured(result.loss, decimals: 4),
      ])
      try report.print(asJSON: arguments.has("json"))
    }
    try Ranks.leave()
  }
}
