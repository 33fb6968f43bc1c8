import Checkpoints
import Configuration
import Foundation

/// `isogloss checkpoint diff` and `apply`: a checkpoint as what it changes in its parent.
enum DeltaCommand {
  static let diff = Command(
    "checkpoint diff",
    "Writes what CHILD changes in PARENT, from which it can be made again byte by byte.",
    positionals: [
      Positional("PARENT", count: .one, "The checkpoint that those have who are to get the child."),
      Positional("CHILD", count: .one, "The checkpoint that they are to get."),
    ],
    options: [
      Option("out", value: "DIR", "Where the delta goes: a new directory."),
      Option("dry-run", "Says how large it would be, and writes nothing."),
    ], run: runDiff)

  static func runDiff(_ arguments: ParsedArguments) throws {
    let command = "isogloss checkpoint diff"
    let out = arguments.value("out")
    guard out != nil || arguments.has("dry-run") else {
      throw UsageError("--out is missing: where the delta goes", command: command)
    }
    let delta = try CheckpointDelta(
      from: arguments.positional("PARENT"), to: arguments.positional("CHILD"))
    let (changed, all) = delta.changedTensors
    print(
      "\(changed) of \(all) tensors differ: \(delta.changedBytes.megabytes) of "
        + "\(delta.childBytes.megabytes), about \(try delta.estimatedBytes().megabytes) compressed")
    guard let out, !arguments.has("dry-run") else { return }
    let bytes = try delta.write(to: out, programVersion: ProcessFacts.programVersion)
    let share = Double(bytes) / Double(max(1, delta.childBytes)) * 100
    print("\(out): \(bytes.megabytes), \(String(format: "%.3g", share)) % of the checkpoint")
  }

  static let apply = Command(
    "checkpoint apply", "Makes the child of a delta again.",
    positionals: [
      Positional("PARENT", count: .one, "The checkpoint that the delta was made of."),
      Positional("DELTA", count: .one, "What checkpoint diff wrote."),
    ],
    options: [Option("out", value: "DIR", "Where the child goes: a new directory.")], run: runApply)

  static func runApply(_ arguments: ParsedArguments) throws {
    guard let out = arguments.value("out") else {
      throw UsageError(
        "--out is missing: where the child goes", command: "isogloss checkpoint apply")
    }
    try CheckpointDelta.apply(
      arguments.positional("DELTA"), to: arguments.positional("PARENT"), at: out)
    print("\(out): byte by byte what the delta was made of")
  }
}

extension Int {
  /// This many bytes for people: `12.3 MB`.
  var megabytes: String {
    self < 1_000_000
      ? String(format: "%.1f kB", Double(self) / 1e3)
      : self < 1_000_000_000
        ? String(format: "%.1f MB", Double(self) / 1e6)
        : String(format: "%.2f GB", Double(self) / 1e9)
  }
}
