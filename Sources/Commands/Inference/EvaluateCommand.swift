import Collectives
import Configuration
import Corpus
import Foundation
import Tensors
import Tokenizers
import Training

/// `isogloss evaluate`: scores of a checkpoint on tagged files.
enum EvaluateCommand {
  static let command = Command(
    "evaluate", "Scores a checkpoint on tagged files, as seqeval does.",
    positionals: [Positional("CHECKPOINT", count: .one, "A directory with a token classifier.")],
    options: [
      Option("data", value: "FILE", takesMany: true, "CoNLL or JSON-lines files with tags."),
      Option("language", value: "CODE", "Whose head to use, if the model has one a language."),
      Option("mode", value: "default|strict|conlleval", default: "default", "Whose rules count."),
      Option("token-column", value: "N", default: "0", "Column of the token in CoNLL files."),
      Option("tag-column", value: "N", default: "-1", "Column of the tag; −1 is the last."),
      .precision,
      Option("threads", value: "N", default: "ISOGLOSS_THREADS, or all cores", "Threads."),
      Option("json", "Prints one JSON object a file on standard output."),
    ], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    let files = arguments.values("data")
    guard !files.isEmpty else {
      throw UsageError("--data is missing: the files to score on", command: "isogloss evaluate")
    }
    let modeName = try arguments.choice("mode", of: ["default", "strict", "conlleval"])
    let columns = try Columns.choice(arguments)
    let loaded = try LoadedModel(directory: arguments.positional("CHECKPOINT"))
    let workspace = try Workspace.chosen(by: arguments)
    defer { workspace.stop() }
    let head = try loaded.head(of: arguments.value("language"))
    let tagger = loaded.tagger(head: head, workspace: workspace)
    let mode: SpanMode =
      modeName == "strict" ? .strict(.iob2) : modeName == "conlleval" ? .conlleval : .default
    let labels = loaded.model.labels[head].labels
    do {
      _ = try SpanCounts(gold: [labels], predicted: [labels], mode: mode)
    } catch {
      throw RunError(
        .data,
        "a label of the model does not fit --mode \(modeName ?? "default"): \(error); use "
          + "--mode default or conlleval")
    }
    for file in files {
      var stream = try TaggedStream(file, columns: columns)
      var counts = SpanCounts()
      while let sentences = try stream.next() {
        let split = try Split(
          sentences, labels: loaded.model.labels[head], tokenizer: loaded.tokenizer,
          shape: loaded.window)
        counts += try tagger.evaluate(
          split, language: 0, parameters: loaded.model.parameters, modes: [mode],
          over: SingleRank())[0]
      }
      try loaded.model.confirmUnwritten()
      let scores = SpanScores(counts)
      if arguments.has("json") {
        print(
          SpanReport(
            scores, mode: mode, scheme: "IOB2", file: file,
            language: arguments.value("language")
          ).json)
      } else {
        print("\(file)\n\(scores.table(digits: 4))")
      }
    }
  }
}

/// The columns that a command line chooses.
enum Columns {
  static func choice(_ arguments: ParsedArguments) throws -> ColumnChoice {
    ColumnChoice(
      token: try arguments.integer("token-column", in: -1000...1000) ?? 0,
      tag: try arguments.integer("tag-column", in: -1000...1000) ?? -1)
  }
}
