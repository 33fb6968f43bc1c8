import Configuration
import Corpus
import Foundation

/// `isogloss score`: a file of tokens, gold and predicted tags.
enum ScoreCommand {
  static let command = Command(
    "score", "Scores a file of predictions as conlleval does, with seqeval's two modes beside it.",
    positionals: [
      Positional("FILE", count: .one, "Columns; the last two are the gold and the predicted tag.")
    ],
    options: [Option("json", "Prints one JSON object a mode on standard output.")], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    let summary = try ScoreFile(path: arguments.positional("FILE")).summary()
    if arguments.has("json") {
      for report in summary.reports { print(report.json) }
    } else {
      print(summary.text, terminator: "")
    }
  }
}
