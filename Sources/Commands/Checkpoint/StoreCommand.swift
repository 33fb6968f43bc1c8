import Checkpoints
import Configuration

/// `isogloss checkpoint push`, `pull` and `list`: checkpoints in a store that several share.
enum StoreCommand {
  static let push = Command(
    "checkpoint push",
    "Copies a checkpoint to a store, in which every tensor is kept once and a fine-tune as what it changes.",
    positionals: [
      Positional("DIR", count: .one, "A checkpoint directory, of this program or of transformers."),
      Positional("STORE", count: .one, "A folder on a disk that all see, or HOST:FOLDER over ssh."),
    ],
    options: [
      Option("name", value: "NAME", default: "the name of DIR", "What it is called in the store."),
      Option(
        "parent", value: "NAME", default: "the one in its manifest",
        "A checkpoint in the store; what is new is kept as what it changes in that one."),
    ],
    notes: [
      "What is in a store is never changed: a push that was cut short shows nothing, and goes on when it is "
        + "run again; any number may push at once."
    ], run: runPush)

  static func runPush(_ arguments: ParsedArguments) throws {
    let directory = arguments.positional("DIR")
    let name = arguments.value("name") ?? CheckpointDirectory.name(of: directory)
    let push = try StoreAddress(arguments.positional("STORE")).push(
      directory, as: name, parent: arguments.value("parent"))
    let over = push.parent.map { ", as changes in \($0)" } ?? ""
    print(
      "\(push.name): \(push.newPieces) of \(push.pieces) pieces are new\(over): "
        + "\(push.storedBytes.megabytes) for \(push.byteCount.megabytes)")
  }

  static let pull = Command(
    "checkpoint pull", "Copies a checkpoint from a store: byte by byte what was pushed.",
    positionals: [
      Positional("STORE", count: .one, "A folder on a disk that all see, or HOST:FOLDER over ssh."),
      Positional("NAME", count: .one, "What it is called in the store; see checkpoint list."),
    ],
    options: [Option("out", value: "DIR", default: "NAME", "Where it goes: a new directory.")],
    notes: ["A pull over ssh that was cut short goes on when it is run again."], run: runPull)

  static func runPull(_ arguments: ParsedArguments) throws {
    let name = arguments.positional("NAME")
    let out = arguments.value("out") ?? name
    try StoreAddress(arguments.positional("STORE")).pull(name, to: out)
    print("\(out): byte by byte what was pushed")
  }

  static let list = Command(
    "checkpoint list", "Lists the checkpoints in a store.",
    positionals: [
      Positional("STORE", count: .one, "A folder on a disk that all see, or HOST:FOLDER over ssh.")
    ], run: runList)

  static func runList(_ arguments: ParsedArguments) throws {
    for entry in try StoreAddress(arguments.positional("STORE")).entries() {
      let what =
        entry.isBroken
        ? "cannot be read" : "\(entry.identity.prefix(16))…  \(entry.byteCount.megabytes)"
      print("\(entry.name)  \(what)")
    }
  }
}
