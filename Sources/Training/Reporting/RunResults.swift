public import Configuration
public import Files
import Foundation

/// The scores of a run's stages: each of them, and what they are over seeds.
public struct RunResults: Sendable {
  /// A score of a stage.
  public struct Score: Sendable {
    public var system: String
    public var stage: String
    public var seed: Int
    public var language: String
    public var part: ScoredPart
    public var metric: String
    public var value: Double
    /// The stage was not trained on the language, and nothing of it chose the weights.
    public var isZeroShot: Bool
  }

  /// A system's scores of a language, over seeds.
  public struct Summary: Sendable {
    public var system: String
    public var language: String
    public var seeds: [Int]
    /// One a seed.
    public var values: [Double]
    /// The value of the seed whose stage is best on dev; nil where there is but one, or no dev part.
    public var bestByDev: Double?
    public var kind: Kind

    public var mean: Double { values.reduce(0, +) / Double(values.count) }
    /// The sample deviation (of n − 1); nil of one value.
    public var deviation: Double? {
      if values.count < 2 { return nil }
      let mean = mean
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      return (squares / Double(values.count - 1)).squareRoot()
    }
  }

  /// How a system came to know a language.
  public enum Kind: String, Sendable {
    case trained
    /// Of several languages: a mean.
    case mean
    /// Nothing of the language was seen.
    case zeroShot = "zero-shot"
    /// Not trained on it, but its dev part chose the weights.
    case chosen = "chosen by its dev"
  }

  private let stages: [(stage: Stage, result: StageResult)]
  private let languages: [String]
  public let metric: TaskMetric

  /// - Parameter results: Those of the run's stages; of others nothing is known.
  public init(
    _ results: [StageResult], of configuration: RunConfiguration, metric: TaskMetric
  ) {
    stages = results.compactMap { result in
      configuration.stages.first {
        $0.name == result.stage && configuration.schema(of: $0).metrics.first == metric
      }.map { ($0, result) }
    }
    languages = configuration.languages.map(\.code)
    self.metric = metric
  }

  /// The first metric of each task of a run's stages: results of their own.
  public static func metrics(of configuration: RunConfiguration) -> [TaskMetric] {
    var metrics: [TaskMetric] = []
    for stage in configuration.stages {
      guard let metric = configuration.schema(of: stage).metrics.first, !metrics.contains(metric)
      else { continue }
      metrics.append(metric)
    }
    return metrics
  }

  /// The systems of the tables: a stage with a sweep, and none of its tries.
  public var systems: [String] {
    var systems: [String] = []
    for (stage, _) in stages where stage.tryOf == nil && !systems.contains(stage.system) {
      systems.append(stage.system)
    }
    return systems
  }

  /// All scores of all stages.
  public var scores: [Score] {
    stages.flatMap { stage, result in
      [(ScoredPart.dev, result.dev), (.test, result.test)].flatMap { part, scores in
        scores.flatMap { score in
          score.values.sorted { $0.key < $1.key }.map { name, value in
            Score(
              system: stage.system, stage: stage.name, seed: stage.seed,
              language: score.language, part: part, metric: name, value: value,
              isZeroShot: Self.kind(of: score.language, in: stage) == .zeroShot)
          }
        }
      }
    }
  }

  private static func kind(of language: String, in stage: Stage) -> Kind {
    if stage.languages.contains(language) { return .trained }
    return stage.training.metricLanguages.contains(language) ? .chosen : .zeroShot
  }

  /// What a system has of a language in the table: of the stages that trained it, or of the only one that did not.
  ///
  /// - Returns: nil where it has nothing, or where stages of several source languages would have to be told apart.
  public func summary(of system: String, language: String) -> Summary? {
    let column = metric.table
    func scores(_ result: StageResult) -> [StageResult.Score] {
      column.part == .dev ? result.dev : result.test
    }
    let all = stages.filter { stage, result in
      stage.system == system && scores(result).contains { $0.language == language }
    }
    let trained = all.filter { $0.stage.languages.contains(language) }
    let chosen = trained.isEmpty ? all : trained
    guard let first = chosen.first,
      Set(chosen.map(\.stage.seed)).count == chosen.count
    else { return nil }
    let values = chosen.compactMap { _, result in
      scores(result).first { $0.language == language }?[column.score]
    }
    return Summary(
      system: system, language: language, seeds: chosen.map(\.stage.seed), values: values,
      bestByDev: bestByDev(chosen).map { values[$0] },
      kind: Self.kind(of: language, in: first.stage))
  }

  /// What a result has on dev, the mean over the languages that choose; nil where none has a dev part.
  static func devScore(
    _ result: StageResult, of stage: Stage, _ metric: TaskMetric
  ) -> Double? {
    let choosing = stage.choosingLanguages
    let found = result.dev.filter { choosing.contains($0.language) }.map { $0[metric.score] }
    return found.isEmpty ? nil : found.reduce(0, +) / Double(found.count)
  }

  /// Which of the stages of several seeds is best on dev.
  private func bestByDev(_ stages: [(stage: Stage, result: StageResult)]) -> Int? {
    guard stages.count > 1 else { return nil }
    let values = stages.map { stage, result in Self.devScore(result, of: stage, metric) }
    guard values.allSatisfy({ $0 != nil }) else { return nil }
    let known = values.compactMap(\.self)
    return known.indices.max { left, right in
      metric.moreIsBetter ? known[left] < known[right] : known[left] > known[right]
    }
  }

  /// The table of the metric: a row a language and one for the mean of those that all systems have, a column a system.
  ///
  /// Of several seeds a cell is mean ± sample deviation, and a column says what the seed gives that dev would have chosen.
  package func table(as form: TableForm) -> String {
    let summaries = systems.map { system in
      languages.map { summary(of: system, language: $0) }
    }
    let hasBest = summaries.map { $0.contains { $0?.bestByDev != nil } }
    var rows = [
      [metric.table.heading]
        + zip(systems, hasBest).flatMap { system, hasBest in
          hasBest ? [system, "best by dev"] : [system]
        }
    ]
    for (row, language) in languages.enumerated() {
      rows.append(
        [language]
          + zip(summaries, hasBest).flatMap { column, hasBest in
            cells(column[row], hasBest: hasBest)
          })
    }
    if !meanLanguages.isEmpty {
      rows.append(
        ["mean"]
          + zip(systems, hasBest).flatMap { system, hasBest in
            cells(mean(of: system), hasBest: hasBest)
          })
    }
    let notes = notes(summaries.joined().compactMap(\.self))
    return TextTable(rows).text(as: form)
      + (form == .markdown ? "\n" : "")
      + notes.map { (form == .latex ? "% " : "") + $0 + "\n" }.joined()
  }

  /// The languages that all systems have scores of, if they are several: what means are formed over.
  private var meanLanguages: [String] {
    let common = languages.filter { language in
      systems.allSatisfy { summary(of: $0, language: language) != nil }
    }
    return common.count > 1 ? common : []
  }

  /// The mean of a system over ``meanLanguages``; nil where those have no seed in common.
  private func mean(of system: String) -> Summary? {
    Self.mean(meanLanguages.compactMap { summary(of: system, language: $0) })
  }

  /// What the systems have of each language, and their means.
  private var summaries: [Summary] {
    systems.flatMap { system in
      languages.compactMap { summary(of: system, language: $0) }
        + [mean(of: system)].compactMap(\.self)
    }
  }

  private func cells(_ summary: Summary?, hasBest: Bool) -> [String] {
    let text = metric.table.format.text
    guard let summary else { return hasBest ? ["-", "-"] : ["-"] }
    let mark = summary.kind == .zeroShot ? "*" : summary.kind == .chosen ? "†" : ""
    let deviation = summary.deviation.map { " ± " + text($0) } ?? ""
    return [text(summary.mean) + deviation + mark]
      + (hasBest ? [summary.bestByDev.map(text) ?? "-"] : [])
  }

  /// The mean over languages, for each seed that all of them have.
  private static func mean(_ summaries: [Summary]) -> Summary? {
    guard let first = summaries.first else { return nil }
    let seeds = first.seeds.filter { seed in summaries.allSatisfy { $0.seeds.contains(seed) } }
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    guard !seeds.isEmpty else { return nil }
    let best = summaries.compactMap(\.bestByDev)
    return Summary(
      system: first.system, language: "mean", seeds: seeds,
      values: seeds.map { seed in
        mean(
          summaries.map { summary in
            zip(summary.seeds, summary.values).first { $0.0 == seed }?.1 ?? 0
          })
      }, bestByDev: best.count == summaries.count ? mean(best) : nil, kind: .mean)
  }

  private func notes(_ summaries: [Summary]) -> [String] {
    var notes: [String] = []
    let scored = Set(summaries.map(\.language)).count
    if !meanLanguages.isEmpty, meanLanguages.count < scored {
      notes.append(
        "mean: over \(meanLanguages.joined(separator: ", ")), which all systems have")
    }
    let seeds = summaries.map(\.seeds.count).max() ?? 0
    if seeds > 1 {
      notes.append(
        "mean ± sample deviation over \(seeds) seeds; best by dev: the seed whose dev is best")
    }
    let tries = stages.filter { $0.stage.tryOf == nil }.compactMap { $0.result.tries }
    if let least = tries.min(), let most = tries.max() {
      notes.append(
        "swept stages are the best on dev of \(least == most ? "\(most)" : "\(least) to \(most)") tries"
      )
    }
    if summaries.contains(where: { $0.kind == .zeroShot }) {
      notes.append("* not trained on this language; weights chosen without it")
    }
    if summaries.contains(where: { $0.kind == .chosen }) {
      notes.append("† not trained on this language, but chosen by its dev: not zero-shot")
    }
    return notes
  }

  /// The summaries as rows for programs: a row a system and language, and one for its mean.
  public var records: [[String]] {
    [
      [
        "system", "language", "part", "metric", "mean", "deviation", "seeds", "best_by_dev", "kind",
      ]
    ]
      + summaries.map { summary in
        [
          summary.system, summary.language, metric.table.part.rawValue, metric.table.score,
          "\(summary.mean)", summary.deviation.map { "\($0)" } ?? "",
          "\(summary.values.count)", summary.bestByDev.map { "\($0)" } ?? "",
          summary.kind.rawValue,
        ]
      }
  }

  /// The file `results.json` of a run: every figure of its tables, and every score behind them.
  public static func file(_ results: [StageResult], of configuration: RunConfiguration) -> JSONValue
  {
    let all = metrics(of: configuration).map {
      RunResults(results, of: configuration, metric: $0)
    }
    var file = JSONObject()
    file["format"] = "isogloss results 1"
    file["stages"] = .array(
      all.flatMap { results in results.stages.map { ($0, $1, results.metric) } }.map {
        stage, result, metric in
        var entry = JSONObject()
        entry["stage"] = .init(stage.name)
        entry["folder"] = .init(stage.folderName)
        entry["system"] = .init(stage.system)
        entry["seed"] = .init(stage.seed)
        entry["task"] = .init(stage.task)
        entry["trained"] = .array(stage.languages.map { .init($0) })
        entry["chosen_by"] = .array(
          (stage.training.loadBestModelAtEnd ? stage.training.metricLanguages : [])
            .map { .init($0) })
        if let tryOf = stage.tryOf {
          entry["try_of"] = .init(tryOf)
          entry["dev"] = devScore(result, of: stage, metric).map { .init($0) } ?? .null
        }
        if let chosen = result.chosen {
          entry["chosen"] = .init(chosen)
          entry["tries"] = .init(stage.tries.count)
        }
        entry["steps"] = .init(result.steps)
        entry["seconds"] = .init(result.seconds)
        entry["tokens_per_second"] = .init(result.tokensPerSecond)
        entry["ranks"] = result.ranks.map { .init($0) } ?? .null
        entry["threads"] = result.threads.map { .init($0) } ?? .null
        entry["peak_bytes"] = result.peakBytes.map { .init($0) } ?? .null
        entry["weight_hash"] = .init(result.weightHash)
        entry["ledger"] = .array((result.ledger ?? []).map { .array($0.map { .init($0) }) })
        return .object(entry)
      })
    file["scores"] = .array(
      all.flatMap(\.scores).map { score in
        [
          "system": .init(score.system), "stage": .init(score.stage), "seed": .init(score.seed),
          "language": .init(score.language), "part": .init(score.part.rawValue),
          "metric": .init(score.metric), "value": .init(score.value),
          "zero_shot": .init(score.isZeroShot),
        ]
      })
    file["table"] = .array(
      all.flatMap { results in
        results.summaries.map { summary in
          var row = JSONObject()
          row["system"] = .init(summary.system)
          row["language"] = .init(summary.language)
          if summary.kind == .mean {
            row["languages"] = .array(results.meanLanguages.map { .init($0) })
          }
          row["part"] = .init(results.metric.table.part.rawValue)
          row["metric"] = .init(results.metric.table.score)
          row["mean"] = .init(summary.mean)
          row["deviation"] = summary.deviation.map { .init($0) } ?? .null
          row["seeds"] = .array(summary.seeds.map { .init($0) })
          row["best_by_dev"] = summary.bestByDev.map { .init($0) } ?? .null
          row["kind"] = .init(summary.kind.rawValue)
          return .object(row)
        }
      })
    return .object(file)
  }
}
