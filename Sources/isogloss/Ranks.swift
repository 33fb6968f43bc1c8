import Checkpoints
import Collectives
import Configuration
import Foundation
import Glibc
import Tensors
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
    settings.whenStuck = { Program.fail($0, isStuck: true) }
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
      "program", "isogloss \(Program.version), SHA-256 \(bytes)",
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
    return Launch.isUnderLauncher ? 1 : Machine.current.allowedCores
  }

  /// What a rank computes with. Its products are bf16 where that is asked for and the processor has it; one line says
  /// where it has not.
  static func workspace(
    _ arguments: ParsedArguments, precision: Precision, reporter: Reporter
  ) throws -> Workspace {
    let kernels = try KernelTable.chosen()
    let workspace = Workspace(
      kernels: kernels, threadCount: try threads(arguments),
      precision: kernels.precision(precision))
    if let fallback = fallback(workspace, asked: precision) { reporter.line(fallback) }
    return workspace
  }

  /// The same of a command with the option ``precision``.
  static func workspace(_ arguments: ParsedArguments) throws -> Workspace {
    let name = try arguments.choice("precision", of: ["fp32", "bf16"])
    return try workspace(
      arguments, precision: name.flatMap(Precision.init) ?? .fp32, reporter: reporter())
  }

  /// What a command's option `--precision` asks for.
  static let precision = Option(
    "precision", value: "fp32|bf16", default: "fp32",
    "Of the factors of products; bf16 where the processor multiplies it, else fp32.")

  /// One line if bf16 was asked for and this processor does not multiply it.
  private static func fallback(_ workspace: Workspace, asked: Precision) -> String? {
    let kernels = workspace.kernels
    guard asked == .bf16, kernels.bf16Unit == nil else { return nil }
    return workspace.precision == .bf16
      ? "bf16 is emulated with \(kernels.name) kernels, as ISOGLOSS_BF16 asks: its roundings, not its speed"
      : "bf16: the \(kernels.name) kernels multiply no bf16 here; products stay in fp32"
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
