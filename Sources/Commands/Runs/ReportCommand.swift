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
    try checkOutput(path)
    let page = try RunReport.page(
      of: runs, settings, programVersion: ProcessFacts.programVersion)
    try WholeFile.put(Array(page.utf8), at: path)
    Terminal.write("isogloss: wrote \(path)\n")
  }

  /// - Throws: ``FileError`` before any work is done, where a file stands there that is no page.
  private static func checkOutput(_ path: String) throws(FileError) {
    guard WholeFile.isRegular(path) else { return }
    let file = try OpenFile(reading: path)
    let size = try file.size()
    let start = String(decoding: try file.read(15, at: 0), as: UTF8.self)
    if size > 0, start != "<!DOCTYPE html>" {
      throw FileError(.io, path, "is there and is no page; name another file, or remove it")
    }
  }
}
