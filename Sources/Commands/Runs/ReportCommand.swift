import Comparison
import Configuration
import Files
import Report

/// `isogloss report`: runs as a page.
enum ReportCommand {
  static let command = Command(
    "report",
    "Writes a page about runs: scores with intervals, differences, curves, errors, cost. One file, no scripts, no network.",
    positionals: [
      Positional("RUN", count: .atLeastOne, "Output directories of runs, complete or not.")
    ],
    options: [
      Option(
        "out", value: "FILE", default: "report.html", "The page; one that is there is replaced."),
      Option("part", value: "dev|test", default: "test", "Which predictions are scored."),
      Option("rounds", value: "N", default: "2000", "Of the bootstrap and of the randomisation."),
      Option("seed", value: "N", default: "1", "Of their random numbers."),
    ]
  ) { arguments in
    var settings = Comparison.Settings()
    settings.part = try arguments.choice("part", of: ["dev", "test"]) ?? "test"
    settings.rounds = try arguments.integer("rounds", in: 100...1_000_000) ?? rounds
    settings.seed = UInt64(try arguments.integer("seed", in: 0...Int.max) ?? 1)
    try write(
      arguments.positionals("RUN"), to: arguments.value("out") ?? "report.html", settings)
  }

  private static let rounds = 2000

  /// The page of a run that has ended, in its directory.
  static func write(ofRun directory: String) throws {
    var settings = Comparison.Settings()
    settings.rounds = rounds
    try write([directory], to: directory + "/report.html", settings)
  }

  private static func write(
    _ runs: [String], to path: String, _ settings: Comparison.Settings
  ) throws {
    let page = try RunReport.page(
      of: runs, settings, programVersion: ProcessFacts.programVersion)
    try WholeFile.replace(Array(page.utf8), at: path)
    Terminal.write("isogloss: wrote \(path)\n")
  }
}
