import Configuration
import Corpus
import Files
import Foundation

/// `isogloss score`: a file of tokens, gold and predicted tags.
enum ScoreCommand {
  static let command = Command(
    "score", "Scores a file of predictions as conlleval does, with seqeval's two modes beside it.",
    positionals: [
      Positional("FILE", count: .one, "Columns; the last two are the gold and the predicted tag.")
    ],
    options: [.tableForm, Option("json", "Prints one JSON object a mode on standard output.")],
    run: run)

  static func run(_ arguments: ParsedArguments) throws {
    let form = try arguments.tableForm()
    let summary = try ScoreFile(path: arguments.positional("FILE")).summary()
    if form != .text || arguments.has("json"), let missing = summary.missing {
      Terminal.write("isogloss: \(missing)\n")
    }
    if arguments.has("json") {
      for report in summary.reports { print(report.json) }
    } else if form == .text {
      print(summary.text, terminator: "")
    } else {
      let records = summary.reports.map(\.records)
      let rows = records.prefix(1).joined() + records.dropFirst().flatMap { $0.dropFirst() }
      print(TextTable.ofScores(rows, as: form), terminator: "")
    }
  }
}
