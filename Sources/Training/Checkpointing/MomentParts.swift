import Checkpoints
package import Collectives
import Files
import Foundation
import Tensors

/// The files in which ranks leave their parts of the moments for the first one, where the optimiser is sharded.
///
/// They are hidden in the stage's directory and named by this process group's number: what another one left there is
/// never taken for them, and goes when the run is continued.
package struct MomentParts: Sendable {
  private let directory: String
  /// Of each rank.
  private let hosts: [String]
  /// How long nothing may come of a part.
  private let timeout: Double
  /// Whether it may, while a debugger holds ranks.
  private let isPatientInDebugger: Bool
  private let number: UInt64

  /// Every rank calls it.
  package init(
    directory: String, timeout: Double, over communicator: any Communicator
  ) throws(CollectiveError) {
    self.directory = directory
    self.timeout = timeout
    isPatientInDebugger = communicator.settings.isPatientInDebugger
    hosts = communicator.activity.hosts
    var number = [Int64(bitPattern: UInt64.random(in: 0...UInt64.max))]
    try communicator.broadcast(&number, from: 0)
    self.number = UInt64(bitPattern: number[0])
  }

  /// Where a rank leaves its part of a step's checkpoint.
  package func path(ofRank rank: Int, step: Int) -> String {
    directory + "/" + name(rank, "step-\(step)")
  }

  private func name(_ rank: Int, _ what: String) -> String {
    ".moments-of-rank-\(rank)-\(what).partial-\(number)"
  }

  /// Sees to it, before the first step, that each rank can leave a file that the first one finds. Every rank calls it.
  ///
  /// - Parameter secondsToSee: Network file systems may remember for some seconds what was not there.
  package func check(over communicator: any Communicator, secondsToSee: Double = 10) throws {
    let own = directory + "/" + name(communicator.rank, "check")
    do throws(FileError) {
      try WholeFile.write("", to: own)
    } catch {
      throw RunError(
        .io, "rank \(communicator.rank) on \(hosts[communicator.rank]): \(error); " + Self.advice)
    }
    defer { try? FileManager.default.removeItem(atPath: own) }
    try communicator.barrier()
    if communicator.rank == 0 {
      let end = ContinuousClock.now + .seconds(secondsToSee)
      var missing = Array(hosts.indices)
      while !missing.isEmpty, ContinuousClock.now < end {
        let names = Set(try listing())
        missing.removeAll { names.contains(name($0, "check")) }
        if !missing.isEmpty { Thread.sleep(forTimeInterval: 0.05) }
      }
      if let rank = missing.first {
        throw RunError(
          .io,
          "\(directory): a file that rank \(rank) on \(hosts[rank]) wrote there is not seen by rank 0 on "
            + "\(hosts[0]); " + Self.advice)
      }
    }
    try communicator.barrier()
  }

  private static let advice =
    "with shard_optimizer every rank writes its part of a checkpoint: set output_dir to a file system that all "
    + "hosts share"

  private func listing() throws(RunError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: directory)
    } catch {
      throw RunError(.io, "\(directory) cannot be read as a directory any more")
    }
  }

  /// Waits for the parts of all other ranks, on the first one.
  ///
  /// - Returns: Their paths by rank.
  /// - Throws: ``RunError`` naming the rank of whose part nothing has come for the time-out.
  package func wait(step: Int) throws -> [Int: String] {
    var sizes = [Int](repeating: -1, count: hosts.count)
    var last = ContinuousClock.now
    while true {
      let names = try listing()
      let missing = hosts.indices.dropFirst().filter { !names.contains(name($0, "step-\(step)")) }
      if missing.isEmpty { break }
      // While it is written a part has a name that its own is the middle of.
      for rank in missing {
        let size = names.filter { $0.contains(name(rank, "step-\(step)")) }
          .compactMap { try? FileManager.default.attributesOfItem(atPath: directory + "/" + $0) }
          .reduce(0) { $0 + (($1[.size] as? Int) ?? 0) }
        if size != sizes[rank] { (sizes[rank], last) = (size, .now) }
      }
      if (ContinuousClock.now - last) / .seconds(1) > timeout,
        !(isPatientInDebugger && Debugger.isAttached)
      {
        throw RunError(
          .io,
          "checkpoint-\(step) in \(directory) waits for the moments of rank \(missing[0]) on "
            + "\(hosts[missing[0]]), of which nothing has come for \(Int(timeout)) s; look at that host's "
            + "connection with the file system")
      }
      Thread.sleep(forTimeInterval: 0.05)
    }
    return Dictionary(
      uniqueKeysWithValues: hosts.indices.dropFirst().map { ($0, path(ofRank: $0, step: step)) })
  }

  /// Removes the parts of a checkpoint that is written, or cannot be.
  func remove(step: Int) {
    for rank in hosts.indices {
      try? FileManager.default.removeItem(atPath: path(ofRank: rank, step: step))
    }
  }
}
