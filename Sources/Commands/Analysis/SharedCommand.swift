import Comparison
import Configuration
import Corpus
import Files
import Foundation

/// `isogloss analyze shared`: errors on entities that other languages' training data have too.
enum SharedCommand {
  static let command = Command(
    "analyze shared",
    "Gives the error rate of systems on entities that share type and surface with those of other languages' training data.",
    positionals: [
      Positional(
        "SYSTEM", count: .atLeastOne,
        "As compare takes them; their predictions are read with their words.")
    ],
    options: [
      Option(
        "train", value: "L=FILE", takesMany: true,
        "CoNLL or JSON-lines files that models were trained on, of each language."),
      Option("part", value: "dev|test", default: "dev", "Which predictions are read."),
    ] + Columns.options + [
      .tableForm,
      Option("json", "Prints one JSON object a system and language on standard output."),
    ],
    notes: [
      "Surfaces share 4 to 8 characters one after the other, or all. The rate is the harmonic mean of the error rates of recall and precision over such entities, a mean over the six kinds and over seeds.",
      "Columns are those of the training files.",
    ]
  ) { arguments in
    let part = try arguments.choice("part", of: ["dev", "test"]) ?? "dev"
    let form = try arguments.tableForm()
    let columns = try Columns.choice(arguments)
    let train = try LanguageFiles("train", of: arguments).all.map { language, files in
      (language: language, sentences: try TaggedText(reading: files, columns: columns).sentences)
    }
    let systems = try CompareCommand.systems(arguments.positionals("SYSTEM"), part: part)
    var rows = [["system", "language", "shared", "recall errors", "precision errors", "rate"]]
    for language in Set(systems.flatMap(\.languages)).sorted() {
      let others = SharedEntities(
        train.filter { $0.language != language }.flatMap(\.sentences))
      for system in systems where system.languages.contains(language) {
        let runs = try system.runs(of: language).map {
          try others.errors(inPredictions: try predictions(of: $0))
        }
        if arguments.has("json") {
          print(json(system.name, language, part, runs).compactText)
        } else {
          rows.append([system.name, language] + cells(runs))
        }
      }
    }
    if !arguments.has("json") {
      print(TextTable(rows, leftColumns: 2).text(as: form), terminator: "")
    }
  }

  /// The file with words of a run's predictions, which lies where the counts do.
  private static func predictions(of run: ComparedSystem.Run) throws(FileError) -> String {
    if run.path.hasSuffix(".conll") { return run.path }
    let ending = [".counts.tsv", ".counts.tsv.zst", ".counts.tsv.gz"].first(
      where: run.path.hasSuffix)
    let path = String(run.path.dropLast(ending?.count ?? 0)) + ".conll"
    guard FileManager.default.fileExists(atPath: path) else {
      throw FileError(.missing, path, "the counts beside it have no words; keep the predictions")
    }
    return path
  }

  private static func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }

  private static func json(
    _ system: String, _ language: String, _ part: String, _ runs: [[SharedEntities.Errors]]
  ) -> JSONValue {
    [
      "analysis": "shared", "system": .init(system), "language": .init(language),
      "part": .init(part),
      "rate": mean(runs.compactMap { SharedEntities.mean($0) }).map { .init($0) } ?? .null,
      "runs": .array(
        runs.map { errors in
          .array(
            errors.map {
              [
                "length": $0.length.map { .init($0) } ?? .null, "gold": .init($0.gold),
                "missed": .init($0.missed), "predicted": .init($0.predicted),
                "wrong": .init($0.wrong), "rate": .init($0.rate),
              ]
            })
        }),
    ]
  }

  /// Means over kinds of parts and seeds.
  private static func cells(_ runs: [[SharedEntities.Errors]]) -> [String] {
    let all = runs.joined().filter { $0.gold + $0.predicted > 0 }
    func percent(_ value: Double?) -> String {
      value.map { String(format: "%.2f", 100 * $0) } ?? ""
    }
    return [
      mean(all.map { Double($0.gold) }).map { String(format: "%.1f", $0) } ?? "0",
      percent(mean(all.map(\.recallErrorRate))), percent(mean(all.map(\.precisionErrorRate))),
      percent(mean(runs.compactMap { SharedEntities.mean($0) })),
    ]
  }
}
