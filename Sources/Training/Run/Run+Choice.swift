import Checkpoints
import Collectives
import Configuration
import Corpus
import Files
import Foundation

extension Run {
  /// Makes a stage with a sweep the one of its tries that is best on dev: its model and predictions are the try's.
  ///
  /// - Throws: ``RunError`` where a try has no result.
  func chooseTry(of stage: Stage) throws -> StageResult {
    let configuration = context.configuration
    let folder = configuration.directory(of: stage)
    guard let metric = metric(of: stage) else {
      preconditionFailure("a sweep of a task without a metric")
    }
    try onFirstRank {
      var results: [(directory: String, result: StageResult)] = []
      for name in stage.tries {
        guard let own = configuration.stages.first(where: { $0.name == name }) else {
          preconditionFailure("a try '\(name)' that the run does not have")
        }
        let directory = configuration.directory(of: own)
        results.append((directory, try RunState.read(from: directory + "/result.json")))
      }
      let values = results.map { RunResults.devScore($0.result, of: stage, metric) ?? .nan }
      guard
        let best = values.indices.filter({ !values[$0].isNaN }).max(by: { left, right in
          // Of equal ones the first.
          metric.moreIsBetter
            ? values[left] < values[right] : values[left] > values[right]
        })
      else {
        throw RunError(.data, "stage '\(stage.name)': no try was scored on dev")
      }
      let chosen = results[best]
      try link(chosen.directory + "/model", to: folder + "/model")
      try copyPredictions(from: chosen.directory, to: folder, stage)
      var result = chosen.result
      result.stage = stage.name
      result.group = stage.group
      result.chosen = chosen.result.stage
      result.tries = stage.tries.count
      try RunState.write(result, to: folder + "/result.json")
      context.reporter.line(
        "\(stage.name): '\(chosen.result.stage)', dev \(metric.title) \(metric.format.text(values[best])), the best of "
          + "\(stage.tries.count) tries")
    }
    return try RunState.read(from: folder + "/result.json")
  }

  private func metric(of stage: Stage) -> TaskMetric? {
    context.configuration.schema(of: stage).metrics.first {
      $0.name == stage.training.metricForBestModel
    }
  }

  /// Gives a directory a second name, file by file: nothing is stored twice.
  private func link(_ source: String, to place: String) throws {
    let files = FileManager.default
    let making = SiblingName.partial(of: place)
    do {
      try? files.removeItem(atPath: making)
      try? files.removeItem(atPath: place)
      try files.createDirectory(atPath: making, withIntermediateDirectories: true)
      for name in try files.contentsOfDirectory(atPath: source) {
        do {
          try files.linkItem(atPath: source + "/" + name, toPath: making + "/" + name)
        } catch {
          // Not every file system has links.
          try files.copyItem(atPath: source + "/" + name, toPath: making + "/" + name)
        }
      }
      try files.moveItem(atPath: making, toPath: place)
    } catch {
      throw RunError(.io, "\(place) cannot be written: \(error.localizedDescription)")
    }
  }

  /// The try's predictions, whose counts say whose they are now and of how many tries.
  private func copyPredictions(from directory: String, to folder: String, _ stage: Stage) throws {
    let source = directory + "/predictions"
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: source) else { return }
    let made = try MadeDirectory("predictions", ofStage: folder)
    defer { made.discard() }
    for name in names.sorted() where name != CheckpointManifest.fileName {
      let place = made.making + "/" + name
      guard name.hasSuffix(".counts.tsv") else {
        try WholeFile.copy(source + "/" + name, to: place)
        continue
      }
      var counts = try SentenceCounts(reading: source + "/" + name)
      counts.origin.system = stage.system
      counts.origin.stage = stage.name
      counts.origin.tries = stage.tries.count
      counts.origin.isTry = false
      try WholeFile.write(Array(counts.text.utf8), to: place)
    }
    var facts = JSONObject()
    facts["stage"] = .init(stage.name)
    facts["task"] = .init(stage.task)
    facts["seed"] = .init(stage.seed)
    try made.finish(programVersion: context.programVersion, facts: facts)
  }
}
