import Files
import Foundation

/// What one run was, how it went and what it cost.
struct RunSections {
  private let run: RunRecord
  private let prefix: String

  /// - Parameter names: Whether headings name the run.
  init(_ run: RunRecord, names: Bool) {
    self.run = run
    prefix = names ? "\(run.name): " : ""
  }

  var sections: [Section] {
    [
      Section(title: prefix + "Results", content: results),
      Section(title: prefix + "What was run", content: facts),
      Section(title: prefix + "Curves", content: curves),
      Section(title: prefix + "Languages drawn", content: ledger),
      Section(title: prefix + "Speed, waits and cost", content: cost),
    ]
  }

  // MARK: What was run

  private var facts: [HTML] {
    var rows = [["what", "value"], ["directory", run.path]]
    let complete = run.stages.filter { $0.steps != nil }
    rows.append([
      "stages", "\(run.stages.count) begun, \(complete.count) of them complete",
    ])
    let manifest = complete.lazy.compactMap { run.facts(of: $0) }.first
    for (name, value) in [
      ("program", manifest?["program_version"]), ("kernels", manifest?["facts"]?["kernels"]),
      ("precision", manifest?["facts"]?["precision"]),
    ] {
      if let value = value?.string { rows.append([name, value]) }
    }
    if let ranks = complete.compactMap(\.ranks).max() { rows.append(["ranks", "\(ranks)"]) }
    if let threads = complete.compactMap(\.threads).max() {
      rows.append(["threads of a rank", "\(threads)"])
    }
    if run.damagedLines > 0 {
      rows.append(["lines of metrics.jsonl that were not whole", "\(run.damagedLines)"])
    }
    var parts: [HTML] = [.table(rows, caption: "The run")]
    if let data = manifest?["facts"]?["data"]?.object { parts.append(self.data(data)) }
    let lineage = lineage(complete)
    if lineage.dropFirst().contains(where: { !$0[2].isEmpty }) {
      parts.append(
        .details(
          "Lineage",
          .table(lineage, caption: "What each model was made from: the hashes of its parents")))
    }
    parts.append(.details("Config (run.yaml)", .element("pre", [:], .text(run.config))))
    return parts
  }

  private func data(_ data: JSONObject) -> HTML {
    var rows = [["language", "part", "sentences", "words", "tokens", "files"]]
    for language in data.members {
      for part in language.value.object?.members ?? [] {
        func count(_ name: String) -> String { part.value[name]?.int.map { "\($0)" } ?? "" }
        let files = part.value["files"]
        let names =
          files?.object?.members.map(\.name)
          ?? files?.array?.compactMap { $0["path"]?.string ?? $0["name"]?.string ?? $0.string }
          ?? []
        rows.append([
          language.name, part.name, count("sentences"), count("words"), count("tokens"),
          names.joined(separator: ", "),
        ])
      }
    }
    return rows.count > 1 ? .table(rows, caption: "Data") : .none
  }

  private func lineage(_ stages: [RunRecord.Stage]) -> [[String]] {
    [["stage", "weights", "made from"]]
      + stages.map { stage in
        let facts = run.facts(of: stage)
        let names = (facts?["facts"]?["parents"]?.array ?? []).compactMap {
          $0.string.map { String($0.prefix(12)) }
        }
        return [stage.name, stage.weightHash ?? "", names.joined(separator: ", ")]
      }
  }

  // MARK: Results

  private var results: [HTML] {
    guard !run.table.isEmpty else {
      return [.paragraph("No stage is complete yet.")]
    }
    var parts: [HTML] = []
    let metrics = Set(run.table.compactMap { $0["metric"]?.string }).sorted()
    for metric in metrics {
      let rows = run.table.filter { $0["metric"]?.string == metric }
      let isShare = rows.allSatisfy { (0...1).contains($0["mean"]?.double ?? 2) }
      func text(_ value: JSONValue?) -> String {
        guard let number = value?.double else { return "" }
        return String(format: "%.2f", isShare ? 100 * number : number)
      }
      let table =
        [["system", "language", "part", "mean", "deviation", "seeds", "best by dev", "kind"]]
        + rows.map { row in
          [
            row["system"]?.string ?? "", row["language"]?.string ?? "", row["part"]?.string ?? "",
            text(row["mean"]), text(row["deviation"]), "\(row["seeds"]?.array?.count ?? 0)",
            text(row["best_by_dev"]), row["kind"]?.string ?? "",
          ]
        }
      parts.append(.table(table, caption: metric + (isShare ? ", per cent" : "")))
    }
    let choosing = Set(run.stages.filter { $0.steps != nil }.map(\.chosenBy))
    for languages in choosing.sorted(by: { $0.count < $1.count }) {
      parts.append(
        .paragraph(
          languages.isEmpty
            ? "Weights: those of the last step; no dev file chose them."
            : "Weights: those best on dev of \(languages.joined(separator: ", "))."))
    }
    let swept = run.stages.filter { $0.chosen != nil }
    if !swept.isEmpty {
      let tries = swept.flatMap { stage in
        run.stages.filter { $0.tryOf == stage.name }.map {
          [
            stage.name, $0.name, $0.dev.map { String(format: "%.4f", $0) } ?? "",
            $0.name == stage.chosen ? "yes" : "",
          ]
        }
      }
      parts.append(
        .table(
          [["stage", "try", "dev", "chosen"]] + tries,
          caption: "Swept stages: of the tries of each, the best on dev"))
    }
    parts.append(
      .details("All scores", .table(allScores, caption: "Every score of every complete stage")))
    return parts
  }

  private var allScores: [[String]] {
    [["stage", "language", "part", "metric", "value", "zero-shot"]]
      + run.scores.map {
        [
          $0.stage, $0.language, $0.part, $0.metric, String(format: "%.4f", $0.value),
          $0.isZeroShot ? "yes" : "",
        ]
      }
  }

  // MARK: Curves

  private var curves: [HTML] {
    let names = Set(run.stages.flatMap { $0.curves.keys })
    guard !names.isEmpty else { return [.paragraph("There is no log yet.")] }
    var parts: [HTML] = []
    for system in run.systems {
      let stages = run.stages.filter { $0.system == system && !$0.curves.isEmpty }
      if stages.isEmpty { continue }
      if run.systems.count > 1 { parts.append(.heading(3, system)) }
      func plot(_ curves: [String], _ title: String, _ unit: String) {
        parts.append(
          Plot.lines(
            series(stages, curves), title: "\(title), \(system)", x: "step", y: unit))
      }
      let own = Set(stages.flatMap { $0.curves.keys })
      plot(["loss"], "Loss", "loss")
      let terms = own.filter { $0.hasPrefix("loss_") }.sorted()
      if terms.count > 1 { plot(terms, "Loss by term", "loss") }
      // The mean over languages that is the only one's own says nothing new.
      let dev = own.filter { name in
        name.hasPrefix("eval_")
          && !(name.hasPrefix("eval_macro_")
            && stages.allSatisfy { stage in
              stage.curves.contains { $0.key != name && same($0.value, stage.curves[name]) }
            })
      }.sorted()
      if !dev.isEmpty { plot(dev, "Metrics on dev", "metric") }
      plot(["learning_rate"], "Learning rate", "rate")
      plot(["grad_norm"], "Gradient norm", "norm")
    }
    return parts
  }

  private func same(
    _ points: [(x: Double, y: Double)], _ others: [(x: Double, y: Double)]?
  ) -> Bool {
    points.count == others?.count && zip(points, others ?? []).allSatisfy { $0 == $1 }
  }

  /// A line a stage and curve. Stages of one language and several seeds share a colour.
  private func series(_ stages: [RunRecord.Stage], _ curves: [String]) -> [Plot.Series] {
    var colors: [String: Int] = [:]
    return stages.flatMap { stage in
      curves.compactMap { curve -> Plot.Series? in
        guard let points = stage.curves[curve] else { return nil }
        let languages = stage.trained.count > 4 ? [] : stage.trained
        let words =
          (languages.isEmpty ? [stage.name] : languages) + (curves.count > 1 ? [curve] : [])
        let name = words.joined(separator: " ")
        let color = colors[name] ?? colors.count
        colors[name] = color
        return Plot.Series(name: name, color: color, points: points)
      }
    }
  }

  // MARK: Ledger

  private var ledger: [HTML] {
    func share(_ text: String) -> Double {
      Double(text).flatMap { (0...100).contains($0) ? $0 : nil } ?? 0
    }
    var parts: [HTML] = []
    var tables: [String: HTML] = [:]
    // Seeds that drew the same shares have one plot.
    var shown: Set<[String]> = []
    for stage in run.stages where stage.ledger.count > 1 && stage.chosen == nil {
      let heading = stage.ledger[0]
      let rows = stage.ledger.dropFirst().filter { $0.first != "all" }
      if let planned = heading.firstIndex(of: "planned %"),
        let drawn = heading.firstIndex(of: "drawn %"), rows.count > 1,
        rows.allSatisfy({ $0.count > max(planned, drawn) }),
        shown.insert([stage.system] + rows.flatMap { [$0[0], $0[planned], $0[drawn]] }).inserted
      {
        parts.append(
          Plot.bars(
            rows.map { $0[0] },
            [
              (name: "planned", values: rows.map { share($0[planned]) }),
              (name: "drawn", values: rows.map { share($0[drawn]) }),
            ], title: "Shares of \(stage.name), per cent"))
      }
      let table = HTML.table(stage.ledger, caption: stage.name)
      tables[stage.system] = (tables[stage.system] ?? .none) + table
    }
    for system in run.systems {
      if let tables = tables[system] { parts.append(.details("Ledgers of \(system)", tables)) }
    }
    return parts.isEmpty ? [.paragraph("No stage is complete yet.")] : parts
  }

  // MARK: Cost

  private var cost: [HTML] {
    var parts: [HTML] = []
    let systems = run.systems
    var speeds: [Plot.Series] = []
    var waits: [Plot.Series] = []
    for stage in run.stages {
      let color = systems.firstIndex(of: stage.system) ?? 0
      if let points = stage.curves["tokens_per_second"] {
        speeds.append(.init(name: stage.system, color: color, points: points))
      }
      for (name, points) in stage.curves.sorted(by: { $0.key < $1.key })
      where name.hasPrefix("waited_rank_") {
        let rank = max(0, Int(name.dropFirst("waited_rank_".count)) ?? 0)
        waits.append(
          .init(
            name: "rank \(rank)", color: rank, points: points.map { ($0.x, 100 * $0.y) }))
      }
    }
    parts.append(Plot.lines(speeds, title: "Speed", x: "step", y: "tokens a second"))
    parts.append(
      Plot.lines(waits, title: "Time in collectives, by rank", x: "step", y: "per cent"))
    var rows = [["stage", "steps", "minutes", "tokens a second", "core hours", "memory GB"]]
    var hours = 0.0
    for stage in run.stages {
      // A swept stage is one of its tries.
      guard let seconds = stage.seconds, stage.chosen == nil else { continue }
      let cores = (stage.ranks ?? 1) * (stage.threads ?? 1)
      hours += seconds * Double(cores) / 3600
      rows.append([
        stage.name, stage.steps.map { "\($0)" } ?? "", String(format: "%.1f", seconds / 60),
        stage.tokensPerSecond.map { String(format: "%.0f", $0) } ?? "",
        String(format: "%.2f", seconds * Double(cores) / 3600),
        stage.peakBytes.map { String(format: "%.2f", Double($0) / 1e9) } ?? "",
      ])
    }
    guard rows.count > 1 else { return parts }
    parts.append(
      .paragraph(
        "Training took \(String(format: "%.2f", hours)) core hours, where a core is a thread of a rank; reading data and final scores are not counted. Memory is the most of the first rank's process up to the end of the stage."
      ))
    parts.append(.details("Cost by stage", .table(rows, caption: "What each stage cost")))
    return parts
  }
}
