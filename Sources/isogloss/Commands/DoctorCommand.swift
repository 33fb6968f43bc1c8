import Collectives
import Configuration
import Foundation
import Tensors

/// `isogloss doctor`: what this machine and this launch can do.
enum DoctorCommand {
  static let command = Command(
    "doctor",
    "Tells what this machine and this launch can do, and what is wrong with them: one line a finding.",
    options: [
      Option("threads", value: "N", default: "as train", "Threads of each rank."),
      Option("json", "Prints one JSON object."),
    ])

  static func run(_ arguments: ParsedArguments) throws {
    let threads = try Ranks.threads(arguments)
    let machine = Machine.current
    let kernels = try KernelTable.chosen()
    let precision = kernels.precision(.bf16)
    var facts: [(name: String, value: String)] = [
      ("processor", machine.processor),
      ("cores", "\(machine.allowedCores) of \(machine.cores) may be used"),
      ("kernel tables", KernelTable.runnable.map(\.name).joined(separator: ", ")),
      ("numerics", NumericsID.of(kernels, .fp32)),
    ]
    for count in Set([1, min(threads, machine.allowedCores)]).sorted() {
      let workspace = Workspace(kernels: kernels, threadCount: count, precision: precision)
      let peaks = MachinePeaks(workspace)
      workspace.stop()
      let bf16 = peaks.bf16FlopsPerSecond.map {
        String(format: "%.0f GFLOP/s bf16 (%.1f ×), ", $0 * 1e-9, $0 / peaks.flopsPerSecond)
      }
      facts.append(
        (
          "\(count) thread\(count == 1 ? "" : "s")",
          String(
            format: "%.0f GFLOP/s fp32, %@%.1f GB/s", peaks.flopsPerSecond * 1e-9, bf16 ?? "",
            peaks.bytesPerSecond * 1e-9)
        ))
    }
    facts.append(
      (
        "bf16",
        kernels.bf16Unit.map { "multiplied by \($0)" }
          ?? "gains nothing: no instructions for it, products stay in fp32"
      ))
    facts.append(("launch", Self.launch(threads: threads)))
    var findings: [String] = []
    if let problem = Launch.problem { findings.append(problem) }
    if let problem = machine.oversubscription(ranks: Launch.localSize ?? 1, threads: threads) {
      findings.append(problem)
    }
    if arguments.has("json") {
      let object = Report(
        facts: Dictionary(uniqueKeysWithValues: facts.map { ($0.name, $0.value) }),
        findings: findings)
      print(String(decoding: try JSONEncoder.sorted.encode(object), as: UTF8.self))
      return
    }
    for (name, value) in facts { print("\(name): \(value)") }
    for finding in findings { print("problem: \(finding)") }
    if findings.isEmpty { print("no problem found") }
  }

  private struct Report: Encodable {
    var facts: [String: String]
    var findings: [String]
  }

  private static func launch(threads: Int) -> String {
    guard Launch.isUnderLauncher else { return "alone, \(threads) threads" }
    let size = Launch.expectedSize.map(String.init) ?? "?"
    return "rank \(Launch.rank.map(String.init) ?? "?") of \(size), \(threads) threads each"
  }
}
