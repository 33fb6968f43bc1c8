import Diagnostics
import Foundation

/// The machine that this process runs on, and what of it the process may use.
struct Machine {
  var processor: String
  var cores: Int
  /// The hardware threads in this process's CPU set.
  var allowedCores: Int

  static var current: Machine {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let name = text.split(separator: "\n").first { $0.hasPrefix("model name") }
      .flatMap { $0.split(separator: ":").last }
    let cores = ProcessInfo.processInfo.processorCount
    // Foundation's active processors are those that are online, whatever this process is bound to.
    let allowed = SystemFiles().cores(ofStatus: "/proc/self/status")?.count
    return Machine(
      processor: name.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown",
      cores: cores, allowedCores: allowed ?? cores)
  }

  /// What is wrong with so many ranks on this machine and threads a rank, with the fix; nil if nothing.
  func oversubscription(ranks: Int, threads: Int) -> String? {
    // A rank that is bound has a set of its own; ranks that are not share one.
    let isBound = allowedCores < cores
    let wanted = isBound ? threads : ranks * threads
    guard wanted > allowedCores else { return nil }
    let what =
      isBound || ranks == 1 ? "\(threads) threads" : "\(ranks) ranks × \(threads) threads"
    let fix =
      isBound
      ? " or bind each rank to more cores (Launch/mpirun does)"
      : ranks > 1 ? " or start fewer ranks" : ""
    return "\(what) share \(allowedCores) core\(allowedCores == 1 ? "" : "s") and slow each other "
      + "down; set --threads to \(max(1, allowedCores / (isBound ? 1 : ranks)))\(fix)"
  }
}
