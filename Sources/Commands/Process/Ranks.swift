import Checkpoints
import Collectives
import Configuration
import Files
import Foundation
import Glibc
import Training

/// The ranks of this process: one of an MPI job, or alone.
enum Ranks {
  nonisolated(unsafe) private(set) static var communicator: (any Communicator)?

  /// Whether this process speaks for the group; before it has joined the others, by the launcher's word.
  static var isFirst: Bool { unsafe (communicator?.rank ?? Launch.rank ?? 0) == 0 }

  /// `rank 1 on node07` in a group of several, else nothing.
  static var identity: String? {
    guard let communicator = unsafe communicator, communicator.size > 1 else { return nil }
    return "rank \(communicator.rank) on \(communicator.hostName)"
  }

  /// Joins the job that a launcher started, or stays alone.
  ///
  /// - Parameter asOneProgram: Whether ranks of another program are refused, and all take the first one's settings.
  static func join(
    timeoutSeconds: Double, asOneProgram: Bool = true
  ) throws -> any Communicator {
    if let problem = Launch.problem { throw UsageError(problem, command: "isogloss train") }
    let joined: any Communicator =
      Launch.isUnderLauncher
      ? try Guardian.guarding("start of MPI", seconds: timeoutSeconds) {
        try MPIWorld.start(settings: settings(timeoutSeconds: timeoutSeconds))
      } : SingleRank(settings: settings(timeoutSeconds: timeoutSeconds))
    unsafe communicator = joined
    GroupEnd.prepare(identity: identity ?? "")
    if joined.size > 1 {
      let name = try claimName(joined)
      unsafe claimName = name
      GroupEnd.addClaim(at: "\(GroupEnd.temporaryDirectory)/isogloss\(name)")
      if asOneProgram {
        try checkProgram(joined)
        try shareVariables(joined)
      }
    }
    return joined
  }

  /// How ranks of this process wait: one that MPI does not let go ends the process all the same.
  static func settings(timeoutSeconds: Double) -> CollectiveSettings {
    var settings = CollectiveSettings(timeoutSeconds: timeoutSeconds)
    settings.whenStuck = { Failure.end($0, isStuck: true) }
    return settings
  }

  /// The variables of this program's settings, which all ranks take from the first: an environment does not reach every
  /// host.
  private static let variables = ["ISOGLOSS_THREADS", "ISOGLOSS_KERNELS", "ISOGLOSS_BF16"]

  private static func shareVariables(_ communicator: any Communicator) throws {
    let own = variables.map { name in
      "\(name)=\(unsafe getenv(name).map { unsafe String(cString: $0) } ?? "")"
    }
    let first = try communicator.allGather(Array(own.joined(separator: "\n").utf8))[0]
    for line in String(decoding: first, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1)
      if parts.count == 2 {
        unsafe setenv(String(parts[0]), String(parts[1]), 1)
      } else {
        unsafe unsetenv(String(parts[0]))
      }
    }
  }

  /// Sees to it that all ranks run the same program.
  private static func checkProgram(_ communicator: any Communicator) throws {
    let bytes = try SHA256.digest(ofFile: "/proc/self/exe")
    try RankAgreement.check(
      "program", "isogloss \(ProcessFacts.programVersion), SHA-256 \(bytes)",
      fix: "install the same program on every host", over: communicator)
  }

  /// Lets the ranks of a job settle in `directory`, which they all see, who of them speaks for it.
  ///
  /// Before this they settle it on each machine by itself. What earlier jobs left there is removed.
  static func settle(in directory: String) {
    let name = unsafe claimName
    if name.isEmpty { return }
    GroupEnd.addClaim(at: directory + "/" + name)
    guard isFirst else { return }
    let files = FileManager.default
    sweep(
      GroupEnd.temporaryDirectory, ["isogloss\(claimPrefix)\(getuid())-", GroupEnd.startPrefix])
    for old in (try? files.contentsOfDirectory(atPath: directory)) ?? []
    where old.hasPrefix(claimPrefix) && old != name {
      try? files.removeItem(atPath: directory + "/" + old)
    }
  }

  /// Removes the claims of jobs that ended over an hour ago.
  private static func sweep(_ directory: String, _ prefixes: [String]) {
    let files = FileManager.default
    for name in (try? files.contentsOfDirectory(atPath: directory)) ?? []
    where prefixes.contains(where: name.hasPrefix) {
      let attributes = try? files.attributesOfItem(atPath: directory + "/" + name)
      guard let date = attributes?[.modificationDate] as? Date, -date.timeIntervalSinceNow > 3600
      else { continue }
      try? files.removeItem(atPath: directory + "/" + name)
    }
  }

  /// Leaves the job, all ranks together.
  static func leave() throws {
    guard Launch.isUnderLauncher else { return }
    let seconds = unsafe communicator?.settings.timeoutSeconds ?? 60
    try Guardian.guarding("end of MPI", seconds: seconds) { try MPIWorld.finish() }
    // All is done: a launcher ends the others as soon as one gives a code that is not 0, which is no news.
    signal(SIGTERM, SIG_IGN)
    signal(SIGHUP, SIG_IGN)
  }

  nonisolated(unsafe) private static var claimName = ""
  private static let claimPrefix = ".ended-"

  /// A hidden file's name that all ranks of this job know and no other job has.
  private static func claimName(_ communicator: any Communicator) throws -> String {
    var nonce = [
      Int64(ProcessInfo.processInfo.processIdentifier), Int64(Date().timeIntervalSince1970 * 1000),
    ]
    try communicator.broadcast(&nonce, from: 0)
    return "\(claimPrefix)\(getuid())-\(nonce[0])-\(nonce[1])"
  }
}
