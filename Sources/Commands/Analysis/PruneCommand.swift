import Collectives
import Configuration
import Corpus
import Files
import Foundation
import Tensors
import Training

/// `isogloss analyze prune`: F1 of a model without its smallest weights.
enum PruneCommand {
  static func command(_ tasks: [any RunTask.Type]) -> Command {
    Command(
      "analyze prune",
      "Sets the smallest weights of a model to zero, in steps of 10 %, and scores it again without training.",
      positionals: [
        Positional("MODEL", count: .one, "A directory with a model that labels words.")
      ],
      options: [
        Option("data", value: "FILE", takesMany: true, "CoNLL or JSON-lines files with tags: dev."),
        Option("language", value: "CODE", "Whose head to use, if the model has one a language."),
        Option(
          "by", value: "global|layer", default: "global",
          "Whether the smallest weights of the whole model go, or of each layer by itself."),
      ] + Columns.options + [
        .precision, .threads, .tableForm,
        Option("json", "Prints one JSON object a file on standard output."),
      ],
      notes: [
        "The last safe level is the last one before F1 falls more than a point below that of the unpruned model.",
        "Under a launcher such as mpirun ranks share the levels.",
      ]
    ) { try run($0, tasks) }
  }

  private static func run(_ arguments: ParsedArguments, _ tasks: [any RunTask.Type]) throws {
    let files = arguments.values("data")
    guard !files.isEmpty else {
      throw UsageError(
        "--data is missing: the files to score on", command: "isogloss analyze prune")
    }
    let scope =
      try arguments.choice("by", of: Pruning.Scope.allCases.map(\.rawValue))
      .flatMap(Pruning.Scope.init) ?? .global
    let columns = try Columns.choice(arguments)
    let form = try arguments.tableForm()
    let communicator = try Ranks.join(timeoutSeconds: 3600)
    let workspace = try Workspace.chosen(by: arguments)
    defer { workspace.stop() }
    let path = arguments.positional("MODEL")
    let predictor = try StoredCheckpoint(directory: path).predictor(tasks)
    let sets = try files.map { try TaggedText(reading: [$0], columns: columns).sentences }
    let curves = try Pruning.curves(
      of: predictor, sets, language: arguments.value("language"), by: scope, in: workspace,
      over: communicator)
    try predictor.confirmUnwritten()
    if communicator.rank == 0 {
      for (file, curve) in zip(files, curves) {
        if arguments.has("json") {
          print(json(curve, model: path, file: file, scope).compactText)
        } else {
          print(text(curve, file: file, as: form), terminator: form == .text ? "\n" : "")
        }
      }
    }
    try Ranks.leave()
  }

  private static func json(
    _ curve: Pruning.Curve, model: String, file: String, _ scope: Pruning.Scope
  ) -> JSONValue {
    [
      "analysis": "pruning", "model": .init(model), "file": .init(file),
      "by": .init(scope.rawValue), "safe_percent": .init(curve.safePercent),
      "levels": .array(
        curve.points.map {
          [
            "percent": .init($0.percent), "kept": .init($0.kept),
            "precision": .init($0.precision), "recall": .init($0.recall), "f1": .init($0.f1),
          ]
        }),
    ]
  }

  private static func text(_ curve: Pruning.Curve, file: String, as form: TableForm) -> String {
    let isForPrograms = form == .csv || form == .tsv
    func shown(_ value: Double) -> String {
      isForPrograms ? "\(value)" : String(format: "%.2f", 100 * value)
    }
    let heading = [
      isForPrograms ? "file" : file, "pruned %", "kept", "precision", "recall", "F1", "safe",
    ]
    let rows = curve.points.map { point in
      [
        isForPrograms ? file : "", "\(point.percent)", "\(point.kept)", shown(point.precision),
        shown(point.recall), shown(point.f1), point.percent <= curve.safePercent ? "yes" : "no",
      ]
    }
    return TextTable([heading] + rows).text(as: form)
  }
}
