import Files
import Foundation

/// What `isogloss analyze … --json` printed into files of a run: `RUN/analysis/*.json`, an object a line.
enum AnalysisSection {
  /// - Throws: ``FileError`` for a line that is no JSON.
  static func sections(_ runs: [RunRecord]) throws(FileError) -> [Section] {
    var found: [JSONValue] = []
    for run in runs { found += try objects(in: run.path + "/analysis") }
    if found.isEmpty { return [] }
    func all(_ kind: String) -> [JSONValue] { found.filter { $0["analysis"]?.string == kind } }
    return [
      Section(
        title: "Analysis",
        content: pruning(all("pruning")) + all("overlap").flatMap(overlap) + errors(all("errors"))
          + shared(all("shared")))
    ]
  }

  private static func objects(in directory: String) throws(FileError) -> [JSONValue] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    var objects: [JSONValue] = []
    for name in names.sorted() where name.hasSuffix(".json") {
      let path = directory + "/" + name
      let bytes = try WholeFile.read(path, limit: 64 << 20)
      for line in bytes.split(separator: UInt8(ascii: "\n")) {
        objects.append(try JSONValue(parsing: Array(line), path: path))
      }
    }
    return objects
  }

  /// F1 over the share of the weights that were set to zero, a line for each model and file.
  private static func pruning(_ curves: [JSONValue]) -> [HTML] {
    if curves.isEmpty { return [] }
    let series = curves.enumerated().map { place, curve in
      Plot.Series(
        name: name(of: curve), color: place,
        points: (curve["levels"]?.array ?? []).map {
          (x: $0["percent"]?.double ?? 0, y: 100 * ($0["f1"]?.double ?? 0))
        })
    }
    let rows = curves.map {
      [name(of: $0), $0["by"]?.string ?? "", "\($0["safe_percent"]?.int ?? 0)"]
    }
    return [
      .heading(3, "Models without their smallest weights"),
      Plot.lines(
        series, title: "F1 after magnitude pruning", x: "per cent of the weights set to zero",
        y: "F1, per cent"),
      .table(
        [["model", "among", "last safe level, %"]] + rows,
        caption: "The last level before F1 falls more than a point"),
    ]
  }

  private static func name(of curve: JSONValue) -> String {
    "\(curve["model"]?.string ?? "") on \(curve["file"]?.string ?? "")"
  }

  /// Means over languages of what layers share, over the size of the sets, with what chance gives.
  private static func overlap(_ overlap: JSONValue) -> [HTML] {
    let cells = overlap["cells"]?.array ?? []
    var layers: [String] = []
    for name in cells.compactMap({ $0["layer"]?.string }) where !layers.contains(name) {
      layers.append(name)
    }
    let languages = (overlap["languages"]?.array ?? []).compactMap(\.string)
    let parts: [HTML] = [
      ("mean_of_pairs", "with each other language, mean of pairs"),
      ("pooled_rest", "with all other languages as one"), ("after", "before and after training on"),
    ].map { key, title in
      var series = layers.enumerated().map { place, layer in
        Plot.Series(
          name: layer, color: place,
          points: cells.filter { $0["layer"]?.string == layer }.compactMap { cell in
            let values = (cell[key]?.array ?? []).compactMap(\.double)
            guard !values.isEmpty else { return nil }
            return (
              x: cell["percent"]?.double ?? 0,
              y: 100 * values.reduce(0, +) / Double(values.count)
            )
          })
      }
      guard series.contains(where: { !$0.points.isEmpty }) else { return .none }
      series.append(
        Plot.Series(name: "chance", color: layers.count, points: [(x: 0, y: 0), (x: 50, y: 50)]))
      return Plot.lines(
        series, title: "Important weights shared \(title)", x: "top per cent of a layer",
        y: "shared, per cent")
    }
    return [
      .heading(3, "Weights that languages share"),
      .paragraph("Fisher information of \(languages.joined(separator: ", "))."),
    ] + parts
  }

  /// Differences of errors by class, over all languages.
  private static func errors(_ systems: [JSONValue]) -> [HTML] {
    systems.compactMap { system in
      guard let less = system["less"]?.string, let all = system["languages"]?.array?.last else {
        return nil
      }
      let classes = all["classes"]?.array ?? []
      let title =
        "Errors of \(system["system"]?.string ?? "") less those of \(less), \(all["language"]?.string ?? "")"
      let rows = ["recall", "precision"].enumerated().flatMap { color, kind in
        classes.map {
          Plot.Row(
            name: "\($0["class"]?.string ?? "") \(kind)", color: color,
            value: $0[kind]?.double ?? 0)
        }
      }
      return Plot.intervals(rows, title: title, x: "errors", zero: true)
    }
  }

  /// Error rates on entities that other languages' training data have, by language.
  private static func shared(_ rates: [JSONValue]) -> [HTML] {
    if rates.isEmpty { return [] }
    func distinct(_ key: String) -> [String] {
      rates.compactMap { $0[key]?.string }.reduce(into: []) { names, name in
        if !names.contains(name) { names.append(name) }
      }
    }
    let languages = distinct("language")
    let series = distinct("system").map { system in
      (
        name: system,
        values: languages.map { language in
          let rate = rates.first {
            $0["system"]?.string == system && $0["language"]?.string == language
          }
          return 100 * (rate?["rate"]?.double ?? 0)
        }
      )
    }
    return [
      Plot.bars(
        languages, series,
        title: "Error rate on entities that other languages' training data have, per cent")
    ]
  }
}
