import Collectives
import Configuration
import Corpus
import Files
import Foundation
import Tensors
import Tokenizers
import Training

/// `isogloss evaluate`: scores of a checkpoint on tagged files.
enum EvaluateCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "evaluate", "Scores a checkpoint on tagged files, as seqeval does.",
      positionals: [
        Positional("CHECKPOINT", count: .one, "A directory with a model that labels words.")
      ],
      options: [
        Option("data", value: "FILE", takesMany: true, "CoNLL or JSON-lines files with tags."),
        Option("language", value: "CODE", "Whose head to use, if the model has one a language."),
        Option("mode", value: "default|strict|conlleval", default: "default", "Whose rules count."),
      ] + Columns.options + [
        .precision, .threads, .tableForm,
        Option("json", "Prints one JSON object a file on standard output."),
      ]
    ) { try run($0, tasks) }
  }

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    let files = arguments.values("data")
    guard !files.isEmpty else {
      throw UsageError("--data is missing: the files to score on", command: "isogloss evaluate")
    }
    let mode = try arguments.choice("mode", of: ["default", "strict", "conlleval"]) ?? "default"
    let columns = try Columns.choice(arguments)
    let form = try arguments.tableForm()
    let predictor = try StoredCheckpoint(directory: arguments.positional("CHECKPOINT"))
      .predictor(tasks)
    let workspace = try Workspace.chosen(by: arguments)
    defer { workspace.stop() }
    var records: [[String]] = []
    // What has been scored is not lost where a later file is wrong.
    defer { print(TextTable.ofScores(records, as: form), terminator: "") }
    for file in files {
      let evaluation = try predictor.evaluate(
        file, columns: columns, language: arguments.value("language"), mode: mode, in: workspace)
      try predictor.confirmUnwritten()
      if arguments.has("json") {
        print(evaluation.json)
      } else if form == .text {
        print("\(file)\n\(evaluation.text)")
      } else {
        records += evaluation.records.dropFirst(records.isEmpty ? 0 : 1)
      }
    }
  }
}

/// The columns that a command line chooses.
enum Columns {
  static let options = [
    Option("token-column", value: "N", default: "0", "Column of the token in CoNLL files."),
    Option("tag-column", value: "N", default: "-1", "Column of the tag; −1 is the last."),
  ]

  static func choice(_ arguments: ParsedArguments) throws -> ColumnChoice {
    ColumnChoice(
      token: try arguments.integer("token-column", in: -1000...1000) ?? 0,
      tag: try arguments.integer("tag-column", in: -1000...1000) ?? -1)
  }
}
