import Checkpoints
import Configuration

/// `isogloss checkpoint merge`: several checkpoints of one shape made into one.
enum MergeCommand {
  private static let methods = ["average", "task-arithmetic"]

  static let command = Command(
    "checkpoint merge",
    "Makes one checkpoint of several of one shape, by a weighted average or task arithmetic.",
    positionals: [
      Positional(
        "DIR[=WEIGHT]", count: .atLeastOne,
        "A checkpoint and its weight, 1 if there is none; write DIR= if its name ends in =NUMBER.")
    ],
    options: [
      Option("out", value: "DIR", "Where the merged checkpoint goes: a new directory."),
      Option(
        "method", value: "METHOD", default: "average",
        "average: Σ weight · model / Σ weight. task-arithmetic: base + Σ weight · (model − base)."),
      Option("base", value: "DIR", "The base of task-arithmetic."),
      Option(
        "heads-from", value: "DIR",
        "The model whose heads and labels are kept as they are. Without it all must have the same, and heads are merged."
      ),
    ],
    notes: [
      "Sums are of doubles, in the order given. Memory does not grow with the models. The manifest names all "
        + "of them and their weights."
    ], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    let program = "isogloss checkpoint merge"
    guard let out = arguments.value("out") else {
      throw UsageError("--out is missing: where the checkpoint goes", command: program)
    }
    let method = try arguments.choice("method", of: methods) ?? methods[0]
    let base = arguments.value("base")
    guard (method == "task-arithmetic") == (base != nil) else {
      throw UsageError(
        base == nil
          ? "--method task-arithmetic needs --base" : "--base is for --method task-arithmetic",
        command: program)
    }
    let parts = arguments.positionals("DIR[=WEIGHT]").map(part)
    let merge = try CheckpointMerge(
      base.map { .taskArithmetic(base: $0) } ?? .average, of: parts,
      headsFrom: arguments.value("heads-from"))
    try merge.write(to: out, programVersion: ProcessFacts.programVersion)
    print("\(out): \(parts.count) checkpoints merged")
  }

  /// A directory and its weight: `DIR` or `DIR=0.5`.
  private static func part(_ word: String) -> CheckpointMerge.Part {
    guard let sign = word.lastIndex(of: "=") else { return .init(directory: word, weight: 1) }
    let number = word[word.index(after: sign)...]
    if number.isEmpty { return .init(directory: String(word[..<sign]), weight: 1) }
    guard let weight = Double(number), weight.isFinite else {
      return .init(directory: word, weight: 1)
    }
    return .init(directory: String(word[..<sign]), weight: weight)
  }
}
