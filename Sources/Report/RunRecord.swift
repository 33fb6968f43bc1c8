import Comparison
import Files
import Foundation

/// What a run's directory says of it, complete or not.
struct RunRecord {
  struct Stage {
    var name: String
    var folder: String
    var system: String
    var seed: Int?
    var trained: [String]
    var chosenBy: [String]
    /// Nil of a stage that is not complete.
    var steps: Int?
    var seconds: Double?
    var tokensPerSecond: Double?
    var ranks: Int?
    var threads: Int?
    var peakBytes: Int?
    var weightHash: String?
    var ledger: [[String]]
    /// Of a try, its stage and what it has on dev; of a stage with tries, the chosen one.
    var tryOf: String?
    var dev: Double?
    var chosen: String?
    /// By name, over steps.
    var curves: [String: [(x: Double, y: Double)]] = [:]
  }

  /// A score of a complete stage.
  struct Score {
    var system: String
    var stage: String
    var seed: Int?
    var language: String
    var part: String
    var metric: String
    var value: Double
    var isZeroShot: Bool
  }

  let path: String
  var name: String
  let config: String
  private(set) var stages: [Stage] = []
  private(set) var scores: [Score] = []
  /// Rows of the tables over seeds.
  private(set) var table: [JSONValue] = []
  /// Lines of the log that could not be read.
  private(set) var damagedLines = 0

  /// What a reader should know first.
  var notices: [String] {
    let open = stages.filter { $0.steps == nil }
    if stages.isEmpty { return ["\(name): no stage has begun."] }
    return open.isEmpty
      ? []
      : [
        "\(name) is in progress or was interrupted: \(open.count) of the \(stages.count) stages that have begun are not complete."
      ]
  }

  /// - Throws: ``FileError`` where the directory holds no run, or a file of it is damaged.
  init(_ path: String) throws(FileError) {
    self.path = path
    name = path.split(separator: "/").last.map(String.init) ?? path
    let file = path + "/run.yaml"
    guard FileManager.default.fileExists(atPath: file) else {
      throw FileError(.missing, path, "holds no run: there is no run.yaml in it")
    }
    config = String(decoding: try WholeFile.read(file, limit: 16 << 20), as: UTF8.self)
    try readResults()
    try readMetrics()
  }

  private mutating func readResults() throws(FileError) {
    let file = path + "/results.json"
    guard FileManager.default.fileExists(atPath: file) else { return }
    let results = try JSONValue(parsing: try WholeFile.read(file, limit: 256 << 20), path: file)
    guard results["format"]?.string == "isogloss results 1" else {
      throw FileError(.data, file, field: "format", "is not 'isogloss results 1'")
    }
    // A file of a stranger is drawn too: what is no count of this world is none.
    func number(_ value: JSONValue?) -> Double? {
      value?.double.flatMap { abs($0) < 1e15 ? $0 : nil }
    }
    func count(_ value: JSONValue?) -> Int? {
      value?.int.flatMap { (0..<1_000_000).contains($0) ? $0 : nil }
    }
    for entry in results["stages"]?.array ?? [] {
      guard let name = entry["stage"]?.string else { continue }
      stages.append(
        Stage(
          name: name, folder: entry["folder"]?.string ?? name,
          system: entry["system"]?.string ?? name,
          seed: entry["seed"]?.int, trained: texts(entry["trained"]),
          chosenBy: texts(entry["chosen_by"]), steps: entry["steps"]?.int,
          seconds: number(entry["seconds"]),
          tokensPerSecond: number(entry["tokens_per_second"]), ranks: count(entry["ranks"]),
          threads: count(entry["threads"]), peakBytes: entry["peak_bytes"]?.int,
          weightHash: entry["weight_hash"]?.string,
          ledger: (entry["ledger"]?.array ?? []).map(texts), tryOf: entry["try_of"]?.string,
          dev: number(entry["dev"]), chosen: entry["chosen"]?.string))
    }
    for entry in results["scores"]?.array ?? [] {
      guard let stage = entry["stage"]?.string, let language = entry["language"]?.string,
        let part = entry["part"]?.string, let metric = entry["metric"]?.string,
        let value = number(entry["value"])
      else { continue }
      scores.append(
        Score(
          system: entry["system"]?.string ?? stage, stage: stage, seed: entry["seed"]?.int,
          language: language, part: part, metric: metric, value: value,
          isZeroShot: entry["zero_shot"]?.bool ?? false))
    }
    table = (results["table"]?.array ?? []).filter { number($0["mean"]) != nil }
  }

  private func texts(_ value: JSONValue?) -> [String] { value?.array?.compactMap(\.string) ?? [] }

  /// A run in progress may end in a line that is not whole.
  private mutating func readMetrics() throws(FileError) {
    let file = path + "/metrics.jsonl"
    guard FileManager.default.fileExists(atPath: file) else { return }
    let bytes = try WholeFile.read(file, limit: 1 << 30)
    var places = Dictionary(
      stages.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      guard let value = try? JSONValue(parsing: Array(line), path: file),
        let name = value["stage"]?.string, let step = value["step"]?.double
      else {
        damagedLines += 1
        continue
      }
      let place = places[name] ?? stages.count
      if place == stages.count {
        places[name] = place
        stages.append(
          Stage(name: name, folder: name, system: name, trained: [], chosenBy: [], ledger: []))
      }
      for member in value.object?.members ?? []
      where member.name != "stage" && member.name != "step" {
        guard let number = member.value.double, abs(number) < 1e15, abs(step) < 1e15 else {
          continue
        }
        // What a resumed run wrote again stands later in the file.
        stages[place].curves[member.name, default: []].append((step, number))
      }
    }
    for index in stages.indices {
      stages[index].curves = stages[index].curves.mapValues { points in
        Dictionary(points.map { ($0.x, $0.y) }, uniquingKeysWith: { $1 })
          .sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
      }
    }
  }

  var systems: [String] {
    var systems: [String] = []
    for stage in stages where !systems.contains(stage.system) { systems.append(stage.system) }
    return systems
  }

  /// The languages that something was scored on, in the order of the scores.
  var languages: [String] {
    var languages: [String] = []
    for score in scores where !languages.contains(score.language) {
      languages.append(score.language)
    }
    return languages
  }

  /// What the manifest of a complete stage's model says.
  func facts(of stage: Stage) -> JSONValue? {
    let file = "\(path)/\(stage.folder)/model/isogloss.json"
    guard let bytes = try? WholeFile.read(file, limit: 64 << 20) else { return nil }
    return try? JSONValue(parsing: bytes, path: file)
  }
}
