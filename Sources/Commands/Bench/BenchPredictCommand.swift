import Configuration
import Corpus
import Foundation
import Tensors
import Tokenizers
import Training

/// `isogloss bench predict`: words a second of tagging.
enum BenchPredictCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "bench predict",
      "Measures how fast a checkpoint tags files; loading the model and reading the files are not timed.",
      positionals: [Positional("CHECKPOINT", "A directory with a token classifier.")],
      options: [
        Option("data", value: "FILE", takesMany: true, "CoNLL or JSON-lines files."),
        Option("language", value: "CODE", "Whose head to use, if the model has one a language."),
        .precision,
        Option("threads", value: "N", default: "ISOGLOSS_THREADS, or all cores", "Threads."),
        Option("profile", "Prints what each operation took and its share of this machine's peak."),
        Option("trace", value: "FILE", "Writes the operations as a trace that Perfetto opens."),
        Option("json", "Prints one JSON line on standard output."),
      ]
    ) { try run($0, tasks) }
  }

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    let files = arguments.values("data")
    guard !files.isEmpty else {
      throw UsageError("--data is missing: the files to tag", command: "isogloss bench predict")
    }
    let predictor = try StoredCheckpoint(directory: arguments.positional("CHECKPOINT"))
      .predictor(tasks)
    let workspace = try Workspace.chosen(by: arguments)
    defer { workspace.stop() }
    let language = arguments.value("language")
    let sentences = try files.flatMap { try SentenceReader.read($0, tagged: false) }
    let words = sentences.reduce(0) { $0 + $1.words.count }
    let profiling = try Profiling(arguments, on: workspace)
    workspace.profile = profiling?.profile
    let seconds = try Measured.seconds {
      try predictor.predict(sentences, language: language, scores: .none, in: workspace) { _, _ in }
    }
    try profiling?.report(seconds: seconds)
    let report = BenchReport([
      ("stack", .text("isogloss \(ProcessFacts.programVersion)")),
      ("precision", .text(workspace.precision.rawValue)),
      ("kernels", .text(workspace.kernels.name)), ("threads", .count(workspace.threadCount)),
      ("words_per_s", .count(Int(Double(words) / seconds))),
      ("peak_gb", .measured(Measured.peakBytes / 1e9, decimals: 3)),
    ])
    try report.print(asJSON: arguments.has("json"))
  }
}
