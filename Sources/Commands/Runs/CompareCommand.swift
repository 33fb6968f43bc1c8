import Comparison
import Configuration
import Files

/// `isogloss compare`: systems by their predictions, with the uncertainty of each difference.
enum CompareCommand {
  static let command = Command(
    "compare",
    "Compares systems by their predictions: F1 of each language with 95 % intervals, and whether chance explains the differences.",
    positionals: [
      Positional(
        "SYSTEM", count: .atLeastOne,
        "A run (all its systems), RUN/SYSTEM, a stage, a folder of predictions or counts, or a file. The first one is what the others are compared with; one alone is printed with its intervals."
      )
    ],
    options: [
      Option("part", value: "dev|test", default: "test", "Which predictions are compared."),
      Option(
        "rounds", value: "N", default: "10000",
        "Of the bootstrap that gives intervals, and of the randomisation that gives p-values."),
      Option("seed", value: "N", default: "1", "Of their random numbers."),
      .tableForm,
      Option("json", "Prints one JSON object a comparison on standard output."),
      Option("csv", "The same as --format csv."),
    ],
    notes: [
      "Intervals: percentiles of a paired bootstrap over sentences, or over documents where the corpus marks them, and over seeds where there are several.",
      "p: two-sided approximate randomisation, all seeds of a sentence swapped together; p Holm: corrected over languages.",
      "* behind a language: not trained on it.",
    ], run: run)

  private static func run(_ arguments: ParsedArguments) throws {
    let form = arguments.has("csv") ? .csv : try arguments.tableForm()
    var settings = Comparison.Settings()
    settings.part = try arguments.choice("part", of: ["dev", "test"]) ?? "test"
    settings.rounds = try arguments.integer("rounds", in: 100...10_000_000) ?? settings.rounds
    settings.seed = UInt64(try arguments.integer("seed", in: 0...Int.max) ?? 1)
    var systems: [ComparedSystem] = []
    for path in arguments.positionals("SYSTEM") {
      let found = try ComparedSystem.read(path, part: settings.part)
      for var system in found {
        if systems.contains(where: { $0.name == system.name }) {
          system.name = found.count == 1 ? path : "\(path) \(system.name)"
        }
        systems.append(system)
      }
    }
    guard let first = systems.first else { return }
    // One alone has scores and intervals all the same.
    let isAlone = systems.count == 1
    let comparisons = try (isAlone ? [first] : systems.dropFirst()).map {
      try Comparison(first, $0, settings)
    }
    if arguments.has("json") {
      for comparison in comparisons { print(comparison.json.compactText) }
    } else if form == .csv || form == .tsv {
      let rows = [Comparison.recordNames] + comparisons.flatMap(\.records)
      print(TextTable(rows).text(as: form), terminator: "")
    } else {
      let texts = comparisons.map { isAlone ? $0.ownText(as: form) : $0.text(as: form) }
      print(texts.joined(separator: "\n"), terminator: "")
    }
  }
}
