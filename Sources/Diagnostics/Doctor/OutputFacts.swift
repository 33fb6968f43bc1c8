public import Collectives
public import Configuration
import Foundation
import Glibc

/// What the ranks found out about the place that the output directory is in, or is to be made in.
public struct OutputFacts: Sendable, Equatable {
  /// `output_dir`, or the nearest folder above it that exists.
  public var folder: String
  /// Why rank 0 cannot write there.
  public var error: String?
  /// The ranks that did not see a file that rank 0 wrote there and renamed.
  public var blindRanks: [Int]
  /// What may still be written there.
  public var freeBytes: Int?

  public init(
    folder: String, error: String? = nil, blindRanks: [Int] = [], freeBytes: Int? = nil
  ) {
    self.folder = folder
    self.error = error
    self.blindRanks = blindRanks
    self.freeBytes = freeBytes
  }

  /// Writes a hidden file on rank 0, renames it, and looks for it on all ranks. Every rank calls it.
  ///
  /// - Parameters:
  ///   - configuration: Of rank 0 alone it is used.
  ///   - secondsToSee: How long a rank looks: network file systems may remember for some seconds what was not there.
  /// - Returns: On every rank what rank 0 found; nil if it has no config.
  public static func probe(
    _ configuration: RunConfiguration?, over communicator: any Communicator,
    secondsToSee: Double = 10
  ) throws(CollectiveError) -> OutputFacts? {
    var facts: OutputFacts?
    var name = ""
    if communicator.rank == 0, let configuration {
      let folder = nearestFolder(to: configuration.outputDirectory)
      facts = OutputFacts(folder: folder, freeBytes: SystemFiles.freeBytes(in: folder))
      name = "\(folder)/.isogloss-doctor-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
      facts?.error = write(name, to: name + "-new")
      if facts?.error != nil { name = "" }
    }
    // No rank may look before the file has its last name: where there was nothing may be remembered.
    try communicator.barrier()
    if !name.isEmpty, unsafe rename(name + "-new", name) != 0 {
      facts?.error = "renaming: " + systemText(errno)
      unsafe unlink(name + "-new")
      name = ""
    }
    var length = [Int64(name.utf8.count)]
    try communicator.broadcast(&length, from: 0)
    guard length[0] > 0 else { return facts }
    var bytes =
      communicator.rank == 0 ? Array(name.utf8) : Array(repeating: 0, count: Int(length[0]))
    try communicator.broadcast(&bytes, from: 0)
    let path = String(decoding: bytes, as: UTF8.self)
    let sees = Self.sees(path, seconds: secondsToSee)
    let seen = try communicator.allGather([UInt8(sees ? 1 : 0)])
    facts?.blindRanks = seen.indices.filter { seen[$0] != [1] }
    if communicator.rank == 0 { unsafe unlink(path) }
    return facts
  }

  private static func sees(_ path: String, seconds: Double) -> Bool {
    let end = Date().timeIntervalSince1970 + seconds
    while true {
      if let data = FileManager.default.contents(atPath: path), data == Data(path.utf8) {
        return true
      }
      if Date().timeIntervalSince1970 > end { return false }
      usleep(100_000)
    }
  }

  package static func nearestFolder(to path: String) -> String {
    var url = URL(fileURLWithPath: path).standardizedFileURL
    while !FileManager.default.fileExists(atPath: url.path), url.path != "/" {
      url.deleteLastPathComponent()
    }
    return url.path
  }

  /// Why a text cannot be written to a new file; nil if it can.
  private static func write(_ text: String, to path: String) -> String? {
    let file = unsafe open(path, O_CREAT | O_EXCL | O_WRONLY, 0o644)
    guard file >= 0 else { return systemText(errno) }
    let bytes = Array(text.utf8)
    let written = unsafe Glibc.write(file, bytes, bytes.count)
    let code = errno
    close(file)
    if written == bytes.count { return nil }
    unsafe unlink(path)
    return systemText(written < 0 ? code : ENOSPC)
  }

  private static func systemText(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
  }
}

extension GroupFacts {
  /// What is wrong with the output directory: writing, sharing, space.
  var outputFindings: [Finding] {
    guard let output else { return [] }
    if let error = output.error {
      return [
        Finding(
          .output, "\(place(of: [ranks[0]])) cannot write in \(output.folder): \(error)",
          fix: "set output_dir (--out) to a folder that rank 0 may write in")
      ]
    }
    var findings: [Finding] = []
    let blind = ranks.filter { output.blindRanks.contains($0.rank) }
    if !blind.isEmpty {
      findings.append(
        Finding(
          .output,
          "\(place(of: blind)) \(blind.count == 1 ? "does" : "do") not see a file that rank 0 renamed "
            + "in \(output.folder)",
          fix:
            "set output_dir to a file system that all hosts share, by the same path on each (/tmp "
            + "is each host's own)"))
    }
    if let plan, let free = output.freeBytes, free < plan.checkpointBytes {
      findings.append(
        Finding(
          .space,
          "\(output.folder) has \(PlanFacts.text(free)) free, and the checkpoints of this config "
            + "take \(PlanFacts.text(plan.checkpointBytes))",
          fix: "free space, set output_dir to a larger file system, or lower save_total_limit"))
    }
    return findings
  }
}
