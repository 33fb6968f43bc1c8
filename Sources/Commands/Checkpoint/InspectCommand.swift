import Checkpoints
import Configuration
import Foundation

/// `isogloss checkpoint inspect`: what a directory holds.
enum InspectCommand {
  static let command = Command(
    "checkpoint inspect", "Shows what a checkpoint directory holds: files, tensors, shape, facts.",
    positionals: [
      Positional("DIR", count: .one, "A checkpoint directory, of this program or of transformers.")
    ],
    options: [
      Option("hashes", "Also hashes every file (SHA-256)."),
      Option("json", "Prints one JSON object on standard output."),
    ], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    let inspection = try CheckpointInspection(
      directory: arguments.positional("DIR"), hashes: arguments.has("hashes"))
    if arguments.has("json") {
      try JSONLine.print(inspection)
    } else {
      print(inspection.text, terminator: "")
    }
  }

  static let lineage = Command(
    "checkpoint lineage", "Prints the checkpoints that one comes from, down to the first.",
    positionals: [Positional("DIR", count: .one, "A checkpoint directory of this program.")],
    notes: [
      "The manifest tells it all: parents need not be there. An identity is the SHA-256 of a checkpoint's "
        + "isogloss.json, or, of a directory without one, of what sha256sum prints of its files."
    ], run: runLineage)

  static func runLineage(_ arguments: ParsedArguments) throws {
    let path = arguments.positional("DIR")
    print(try CheckpointManifest(directory: path).lineage.text(of: path))
  }

  static let card = Command(
    "checkpoint card", "Writes the model card, README.md, anew from the facts of the manifest.",
    positionals: [Positional("DIR", count: .one, "A checkpoint directory of this program.")],
    options: [
      Option("name", value: "NAME", default: "the name of DIR", "What the model is called."),
      Option("licence", value: "ID", "A licence by the Hub's name for it, such as apache-2.0."),
    ],
    notes: [
      "What people wrote outside of the marked part stays. The checkpoint gets a new identity, and "
        + "signatures of the old one are removed."
    ], run: runCard)

  static func runCard(_ arguments: ParsedArguments) throws {
    let path = arguments.positional("DIR")
    try CheckpointDirectory.writeCard(
      path, name: arguments.value("name"), licence: arguments.value("licence"))
    print("\(path)/\(ModelCard.fileName): written")
  }
}
