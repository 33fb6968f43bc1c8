import Comparison
import Configuration
import Files
import Foundation

/// `isogloss analyze errors`: errors by class, of one system less those of another.
enum ErrorsCommand {
  static let command = Command(
    "analyze errors",
    "Counts the errors of systems by class, O and each type, and how many more or fewer others have.",
    positionals: [
      Positional(
        "SYSTEM", count: .atLeastOne,
        "As compare takes them. The first one is what the others are compared with.")
    ],
    options: [
      Option("part", value: "dev|test", default: "dev", "Which predictions are counted."),
      .tableForm,
      Option("json", "Prints one JSON object a system on standard output."),
    ],
    notes: [
      "recall: gold entities of the class that are not predicted as they are; precision: predicted ones that are none. Of O, recall counts predicted entities where there is none, and precision gold ones where none is predicted.",
      "Numbers are means over seeds; total is the sum over languages.",
    ]
  ) { arguments in
    let part = try arguments.choice("part", of: ["dev", "test"]) ?? "dev"
    let form = try arguments.tableForm()
    let systems = try CompareCommand.systems(arguments.positionals("SYSTEM"), part: part)
    for (place, system) in systems.enumerated() {
      let languages = system.languages.filter { systems[0].languages.contains($0) }
      guard !languages.isEmpty else {
        throw FileError(
          .data, system.name, "has no language of which \(systems[0].name) has predictions")
      }
      var parts = languages.map { language in
        let own = ErrorClasses(system.runs(of: language).map(\.counts))
        return place == 0
          ? own : own - ErrorClasses(systems[0].runs(of: language).map(\.counts))
      }
      let names = languages + (languages.count > 1 ? ["total"] : [])
      if languages.count > 1 { parts.append(.sum(parts)) }
      let less = place == 0 ? nil : systems[0].name
      if arguments.has("json") {
        print(json(system.name, less: less, part, Array(zip(names, parts))).compactText)
      } else {
        let title = system.name + (less.map { " less \($0)" } ?? "")
        print(table(title, Array(zip(names, parts))).text(as: form))
      }
    }
  }

  private static func json(
    _ system: String, less other: String?, _ part: String, _ parts: [(String, ErrorClasses)]
  ) -> JSONValue {
    [
      "analysis": "errors", "system": .init(system), "less": other.map { .init($0) } ?? .null,
      "part": .init(part),
      "languages": .array(
        parts.map { language, classes in
          [
            "language": .init(language),
            "classes": .array(
              classes.rows.map {
                [
                  "class": .init($0.name), "recall": .init($0.recall),
                  "precision": .init($0.precision),
                ]
              }),
          ]
        }),
    ]
  }

  private static func table(_ title: String, _ parts: [(String, ErrorClasses)]) -> TextTable {
    func text(_ value: Double) -> String {
      value == value.rounded() ? "\(Int(value))" : String(format: "%.1f", value)
    }
    return TextTable(
      [[title, "class", "recall", "precision"]]
        + parts.flatMap { language, classes in
          classes.rows.map { [language, $0.name, text($0.recall), text($0.precision)] }
        }, leftColumns: 2)
  }
}
