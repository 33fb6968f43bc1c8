import Commands
import Configuration
import Diagnostics
import Foundation
import TestSupport
import Testing

/// `isogloss estimate` on the sample corpus, as people run it.
@Suite(.enabled(if: Program.isBuilt, "needs the program beside the tests"))
struct EstimateTests {
  private func small() throws -> (small: SmallRun, config: String) {
    let small = try SmallRun(sentences: 40)
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    return (small, config)
  }

  private func rows(_ output: String) throws -> [[String: Any]] {
    try output.split(separator: "\n").map { line in
      try #require(
        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
  }

  @Test func aRowForEachNumberOfNodesAndNothingLeftBehind() throws {
    let (small, config) = try small()
    defer { small.remove() }
    let before = try FileManager.default.subpathsOfDirectory(atPath: small.folder).sorted()
    let outcome = try Program.run(
      [
        "estimate", config, "--nodes", "4,1,2", "--threads", "1", "--steps", "3", "--bandwidth",
        "0.1", "--latency", "200", "--json",
      ])
    #expect(outcome.code == 0, "\(outcome.error)")
    let rows = try rows(outcome.output)
    #expect(rows.map { $0["nodes"] as? Int } == [1, 2, 4])
    for row in rows {
      let step = try #require(row["stepMilliseconds"] as? Double)
      let exposed = try #require(row["notHiddenMilliseconds"] as? Double)
      let bytes = try #require(row["bytesSentPerStep"] as? Double)
      let isAlone = row["nodes"] as? Int == 1
      #expect(step > 0 && step > exposed && (exposed > 0) != isAlone && (bytes > 0) != isAlone)
      // What a link carries it takes its time for, but for what is hidden in the step.
      #expect(step >= bytes / (0.1e9 / 8) * 1000)
      #expect(try #require(row["bytesPerRank"] as? Double) > 1e6)
      let hours = try #require(row["hours"] as? Double)
      #expect(abs(hours - 12 * step / 3.6e6) <= 1e-9 * hours)
      let nodeHours = try #require(row["nodeHours"] as? Double)
      let nodes = Double(try #require(row["nodes"] as? Int))
      #expect(abs(nodeHours - nodes * hours) <= 1e-9 * nodeHours)
    }
    // A dense gradient goes round as a reduce-scatter and an all-gather.
    let (two, four) = (
      rows[1]["bytesSentPerStep"] as? Double, rows[2]["bytesSentPerStep"] as? Double
    )
    #expect(try #require(four) / #require(two) > 1.4)
    #expect(try FileManager.default.subpathsOfDirectory(atPath: small.folder).sorted() == before)
  }

  @Test func aRunShowsThePredictionBesideWhatItTook() throws {
    let (small, config) = try small()
    defer { small.remove() }
    let file = small.folder + "/kept.json"
    let outcome = try Program.run(
      [
        "estimate", config, "--nodes", "1,2", "--threads", "1", "--steps", "2", "--one-machine",
        "--save", "--out", file,
      ])
    #expect(outcome.code == 0, "\(outcome.error)")
    #expect(outcome.output.contains("node-hours") && outcome.output.contains("not measured"))
    #expect(FileManager.default.fileExists(atPath: file))
    let trained = try Program.run(["train", config, "--threads", "1", "--simulate-ranks", "2"])
    #expect(trained.code == 0, "\(trained.error)")
    let line = trained.error.split(separator: "\n").first { $0.contains("predicted") }
    #expect(line?.hasPrefix("train: predicted ") ?? false, "\(trained.error)")
    // Of other threads than the prediction's nothing is said.
    let second = small.folder + "/second"
    try FileManager.default.createDirectory(atPath: second, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: file, toPath: second + "/estimate.json")
    let other = try Program.run(
      ["train", config, "--threads", "2", "--simulate-ranks", "2", "--out", second])
    #expect(other.code == 0, "\(other.error)")
    #expect(!other.error.contains("predicted"), "\(other.error)")
  }

  @Test(arguments: [
    (["--nodes", "1,two"], 64, "two"), (["--nodes", "2,2"], 64, "2"),
    (["--nodes", "0"], 64, "0"), (["--bandwidth", "-1"], 64, "--bandwidth"),
    (["--latency", "fast"], 64, "fast"), (["--node", "2"], 64, "--nodes"),
    (["--nodes", "16"], 78, "shards"), (["learning_rte=1"], 78, "learning_rate"),
    (["--nodes", "4", "--ranks-per-node", "3"], 78, "12 ranks"),
  ])
  func whatCannotBeAskedIsSaidInOneLine(arguments: [String], code: Int, word: String) throws {
    let (small, config) = try small()
    defer { small.remove() }
    let outcome = try Program.run(["estimate", config] + arguments)
    let lines = outcome.error.split(separator: "\n").filter { $0.hasPrefix("isogloss:") }
    #expect(outcome.code == Int32(code) && lines.count == 1, "\(outcome.error)")
    #expect(lines.first?.contains(word) ?? false, "\(outcome.error)")
  }
}
