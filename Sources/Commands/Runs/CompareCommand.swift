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
      "p: two-sided approximate randomisation, all seeds of a sentence swapped together, so that it says nothing of another seed; p Holm: corrected over languages.",
      "* behind a language: not trained on it. F1 is in per cent in tables for people, from 0 to 1 in JSON, CSV and TSV.",
    ], run: run)

  private static func run(_ arguments: ParsedArguments) throws {
    let form = arguments.has("csv") ? .csv : try arguments.tableForm()
    var settings = Comparison.Settings()
    settings.part = try arguments.choice("part", of: ["dev", "test"]) ?? "test"
    settings.rounds = try arguments.integer("rounds", in: 100...10_000_000) ?? settings.rounds
    settings.seed = UInt64(try arguments.integer("seed", in: 0...Int.max) ?? 1)
    let systems = try systems(arguments.positionals("SYSTEM"), part: settings.part)
    guard let first = systems.first else { return }
    // One alone has scores and intervals all the same.
    let comparisons =
      systems.count == 1
      ? [try Comparison(first, nil, settings)]
      : try systems.dropFirst().map { try Comparison(first, $0, settings) }
    if arguments.has("json") {
      for comparison in comparisons { print(comparison.json.compactText) }
    } else if form == .csv || form == .tsv {
      let rows = [Comparison.recordNames] + comparisons.flatMap(\.records)
      print(TextTable(rows).text(as: form), terminator: "")
    } else {
      print(comparisons.map { $0.text(as: form) }.joined(separator: "\n"), terminator: "")
    }
  }

  /// The systems that words of a command line name, in their order, each with a name of its own.
  static func systems(_ paths: [String], part: String) throws(FileError) -> [ComparedSystem] {
    var systems: [ComparedSystem] = []
    var names: [String?] = []
    for path in paths {
      let found = try ComparedSystem.read(path, part: part)
      for var system in found {
        if found.count == 1, let other = systems.firstIndex(where: { $0.name == system.name }) {
          // Both have the names by which they were called.
          if let own = names[other] { systems[other].name = own }
          system.name = path
        } else if systems.contains(where: { $0.name == system.name }) {
          system.name = "\(path) \(system.name)"
        }
        systems.append(system)
        names.append(found.count == 1 ? path : nil)
      }
    }
    return systems
  }
}
