import Foundation

extension GroupFacts {
  /// What was seen, a line a fact; where ranks differ, a line for each group of ranks that agree.
  public var report: [(name: String, value: String)] {
    var facts: [(name: String, value: String)] = []
    func add(_ name: String, _ value: (RankFacts) -> String) {
      let groups = grouped(value)
      for (value, members) in groups {
        facts.append((groups.count == 1 ? name : "\(name), \(place(of: members))", value))
      }
    }
    add("processor", \.processor)
    add("cores") { "\($0.ownCores.count) of \($0.coreCount) may be used" }
    if ranks.contains(where: { $0.coreQuota != nil }) {
      add("processor time") { $0.coreQuota.map { "of \($0) cores" } ?? "of all cores" }
    }
    add("kernel tables") { $0.kernelTables.joined(separator: ", ") }
    add("numerics", \.numerics)
    for count in Set(ranks.flatMap(\.peaks).map(\.threads)).sorted() {
      let peaks = ranks.flatMap(\.peaks).filter { $0.threads == count }
      facts.append(("\(count) thread\(count == 1 ? "" : "s")", Self.text(peaks)))
    }
    add("bf16") {
      $0.bf16Unit.map { "multiplied by \($0)" }
        ?? "gains nothing: no instructions for it, products stay in fp32"
    }
    facts.append(("launch", launchText))
    for link in links {
      facts.append(
        (
          "link to \(link.hostName) (rank \(link.rank))",
          String(format: "%.0f µs, ", link.latencySeconds * 1e6)
            + "\(LinkFacts.text(link.outBytesPerSecond)) there, "
            + "\(LinkFacts.text(link.inBytesPerSecond)) back"
        ))
    }
    if let output {
      let free = output.freeBytes.map { ", \(PlanFacts.text($0)) free" } ?? ""
      let needed = plan.map { ", \(PlanFacts.text($0.checkpointBytes)) needed" } ?? ""
      facts.append(("output directory", "in \(output.folder)\(free)\(needed)"))
    }
    if let plan {
      facts.append(("memory a rank", "about \(PlanFacts.text(plan.rankBytes))"))
      if !plan.unknown.isEmpty {
        facts.append(("known later", plan.unknown.joined(separator: ", ")))
      }
    }
    return facts
  }

  private var launchText: String {
    let threads = Set(ranks.map(\.threads)).sorted().map(String.init).joined(separator: " or ")
    if ranks.count == 1 { return "alone, \(threads) thread\(threads == "1" ? "" : "s")" }
    let hosts = Set(ranks.map(\.machine)).count
    return "\(ranks.count) ranks on \(hosts) host\(hosts == 1 ? "" : "s"), \(threads) "
      + "thread\(threads == "1" ? "" : "s") each"
  }

  /// Of ranks that measured at once, the least and the most.
  private static func text(_ peaks: [RankFacts.Peaks]) -> String {
    func range(_ values: [Double], _ format: String) -> String {
      let ends = [values.min() ?? 0, values.max() ?? 0].map {
        String(format: format, $0 * 1e-9)
      }
      return ends[0] == ends[1] ? ends[0] : ends.joined(separator: "–")
    }
    var text = range(peaks.map(\.flopsPerSecond), "%.0f") + " GFLOP/s fp32, "
    let bf16 = peaks.compactMap(\.bf16FlopsPerSecond)
    if bf16.count == peaks.count, let best = bf16.max(),
      let plain = peaks.map(\.flopsPerSecond).max()
    {
      text += range(bf16, "%.0f") + String(format: " GFLOP/s bf16 (%.1f ×), ", best / plain)
    }
    return text + range(peaks.map(\.bytesPerSecond), "%.1f") + " GB/s"
  }
}
