import Collectives
import Configuration
import Foundation
import Tensors
import Training

/// What `--profile` and `--trace` ask for. Every rank has one.
struct Profiling {
  let profile: Profile
  private let communicator: any Communicator
  private let peaks: MachinePeaks?
  private let tracePath: String?

  /// Nil if neither option is given. Measures the machine's peaks, before the work that is profiled.
  ///
  /// Every rank calls it; the profiles of all begin at the same time.
  init?(
    _ arguments: ParsedArguments, on workspace: Workspace,
    over communicator: any Communicator = SingleRank()
  ) throws {
    guard arguments.has("profile") || arguments.value("trace") != nil else { return nil }
    self.communicator = communicator
    tracePath = arguments.value("trace")
    peaks =
      arguments.has("profile") && communicator.rank == 0 ? MachinePeaks(workspace) : nil
    try communicator.barrier()
    profile = Profile()
  }

  /// The first rank prints its table on standard error, and writes the trace of all ranks.
  ///
  /// - Parameter seconds: What the profiled steps took.
  func report(seconds: Double) throws {
    if let peaks {
      Terminal.write(profile.table(total: seconds, peaks: peaks))
    }
    guard let tracePath else { return }
    let name = "rank \(communicator.rank) on \(communicator.hostName)"
    let own = profile.traceEvents(process: communicator.rank, name: name)
    let all = try communicator.allGather(Array(try JSONEncoder().encode(own)))
    guard communicator.rank == 0 else { return }
    let events = try all.flatMap {
      try JSONDecoder().decode([Profile.TraceEvent].self, from: Data($0))
    }
    do {
      try JSONEncoder().encode(["traceEvents": events])
        .write(to: URL(filePath: tracePath), options: .atomic)
    } catch {
      throw RunError(.io, "\(tracePath) cannot be written: \(error.localizedDescription)")
    }
  }
}
