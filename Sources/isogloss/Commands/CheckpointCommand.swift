import Checkpoints
import Configuration
import Foundation

/// `isogloss checkpoint`: what a directory holds, and whether it is what was saved.
enum CheckpointCommand {
  static let verify = Command(
    "checkpoint verify",
    "Hashes every file of a checkpoint again, and says which is not as it was saved.",
    positionals: [Positional("DIR", count: .one, "A checkpoint directory of this program.")],
    notes: ["Exit code: 0 if all are, 65 if one differs, is missing or was added."])

  static func runVerify(_ arguments: ParsedArguments) throws {
    let path = arguments.positional("DIR")
    let manifest = try CheckpointDirectory.verify(path)
    print("\(path): \(manifest.files.count) files, as they were saved")
  }

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
