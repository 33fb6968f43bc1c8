import Collectives
import Configuration
import Foundation
import Tensors
import Training

/// The ranks of this process: one of an MPI job, or alone.
enum Ranks {
  nonisolated(unsafe) private(set) static var communicator: (any Communicator)?

  /// Whether this process speaks for the group.
  static var isFirst: Bool { unsafe (communicator?.rank ?? 0) == 0 }

  /// `rank 1 on node07` in a group of several, else nothing.
  static var identity: String? {
    guard let communicator = unsafe communicator, communicator.size > 1 else { return nil }
    return "rank \(communicator.rank) on \(communicator.hostName)"
  }

  /// Joins the job that a launcher started, or stays alone.
  static func join(timeoutSeconds: Double) throws -> any Communicator {
    let joined: any Communicator =
      Launch.isUnderLauncher
      ? try MPIWorld.start(settings: CollectiveSettings(timeoutSeconds: timeoutSeconds))
      : SingleRank()
    unsafe communicator = joined
    GroupEnd.prepare(
      claimPath: try claimPath(joined),
      identity: "rank \(joined.rank) on \(joined.hostName)")
    return joined
  }

  /// Leaves the job, all ranks together.
  static func leave() throws {
    if Launch.isUnderLauncher { try MPIWorld.finish() }
  }

  /// A path that all ranks of this job know and no other job has, in a folder of the machine.
  ///
  /// Ranks on other machines claim there: each machine then has its own line at the most.
  private static func claimPath(_ communicator: any Communicator) throws -> String {
    var nonce = [
      Int64(ProcessInfo.processInfo.processIdentifier), Int64(Date().timeIntervalSince1970 * 1000),
    ]
    try communicator.broadcast(&nonce, from: 0)
    return NSTemporaryDirectory() + "isogloss-\(getuid())-\(nonce[0])-\(nonce[1])"
  }

  /// The threads of a rank: as asked, or `ISOGLOSS_THREADS`, or one under a launcher, or all cores.
  static func threads(_ arguments: ParsedArguments) throws -> Int {
    if let threads = try arguments.integer("threads", in: 1...1024) { return threads }
    if let text = ProcessInfo.processInfo.environment["ISOGLOSS_THREADS"] {
      guard let threads = Int(text), threads >= 1, threads <= 1024 else {
        throw UsageError(
          "ISOGLOSS_THREADS must be a whole number from 1 to 1024, found '\(text)'",
          command: "isogloss \(arguments.command)")
      }
      return threads
    }
    return Launch.isUnderLauncher ? 1 : ProcessInfo.processInfo.activeProcessorCount
  }

  static func workspace(_ arguments: ParsedArguments) throws -> Workspace {
    Workspace(kernels: try KernelTable.chosen(), threadCount: try threads(arguments))
  }

  private static let isTerminal = isatty(2) == 1

  /// What the first rank tells people, on standard error.
  static func reporter() -> Reporter {
    guard isFirst else { return .silent }
    return Reporter(
      line: { text in
        clearProgress()
        FileHandle.standardError.write(Data((text + "\n").utf8))
      },
      progress: { text in
        let line = isTerminal ? "\r\u{1B}[K\(text)" : text + "\n"
        FileHandle.standardError.write(Data(line.utf8))
      })
  }

  /// Clears the line of a progress report from a terminal.
  static func clearProgress() {
    if isTerminal { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
  }
}
