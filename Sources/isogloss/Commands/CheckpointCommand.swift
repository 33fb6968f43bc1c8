import Checkpoints
import Configuration
import Foundation

/// `isogloss checkpoint inspect`: what a directory holds.
enum CheckpointCommand {
  static let command = Command(
    "checkpoint inspect", "Shows what a checkpoint directory holds: files, tensors, shape, facts.",
    positionals: [
      Positional("DIR", count: .one, "A checkpoint directory, of this program or of transformers.")
    ],
    options: [
      Option("hashes", "Also hashes every file (SHA-256)."),
      Option("json", "Prints one JSON object on standard output."),
    ])

  static func run(_ arguments: ParsedArguments) throws {
    let inspection = try CheckpointInspection(
      directory: arguments.positional("DIR"), hashes: arguments.has("hashes"))
    if arguments.has("json") {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(inspection), as: UTF8.self))
    } else {
      print(inspection.text, terminator: "")
    }
  }
}
