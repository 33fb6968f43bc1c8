import Collectives
import Configuration
import Foundation
import Tensors
import Training

extension Option {
  /// The option `--precision`, which ``Workspace/chosen(by:)`` reads.
  static let precision = Option(
    "precision", value: "fp32|bf16", default: "fp32",
    "Of the factors of products; bf16 where the processor multiplies it, else fp32.")

  /// The option `--threads`, which ``ParsedArguments/threads()`` reads.
  static let threads = Option(
    "threads", value: "N", default: "ISOGLOSS_THREADS, or 1 under a launcher, else all cores",
    "Threads of each rank.")
}

extension ParsedArguments {
  /// The threads of a rank: the option `--threads`, or `ISOGLOSS_THREADS`, or one under a launcher, or all cores.
  func threads() throws -> Int {
    if let threads = try integer("threads", in: 1...1024) { return threads }
    if let text = ProcessInfo.processInfo.environment["ISOGLOSS_THREADS"] {
      guard let threads = Int(text), threads >= 1, threads <= 1024 else {
        throw UsageError(
          "ISOGLOSS_THREADS must be a whole number from 1 to 1024, found '\(text)'",
          command: "isogloss \(command)")
      }
      return threads
    }
    return Launch.isUnderLauncher ? 1 : Machine.current.allowedCores
  }
}

extension Workspace {
  /// The workspace of a rank, with the threads that the command line gives.
  ///
  /// Products are bf16 if `precision` asks for it and the processor multiplies bf16. If it does not, the reporter gets
  /// one line.
  static func chosen(
    by arguments: ParsedArguments, precision: Precision, reporter: Reporter
  ) throws -> Workspace {
    let kernels = try KernelTable.chosen()
    let workspace = Workspace(
      kernels: kernels, threadCount: try arguments.threads(),
      precision: kernels.precision(precision))
    if let fallback = workspace.fallback(asked: precision) { reporter.line(fallback) }
    return workspace
  }

  /// The workspace of a rank, with the threads and the precision that the command line gives.
  static func chosen(by arguments: ParsedArguments) throws -> Workspace {
    let name = try arguments.choice("precision", of: ["fp32", "bf16"])
    return try chosen(
      by: arguments, precision: name.flatMap(Precision.init) ?? .fp32,
      reporter: Terminal.reporter())
  }

  /// One line if bf16 was asked for and this processor does not multiply it.
  private func fallback(asked: Precision) -> String? {
    guard asked == .bf16, kernels.bf16Unit == nil else { return nil }
    return precision == .bf16
      ? "bf16 is emulated with \(kernels.name) kernels, as ISOGLOSS_BF16 asks: its roundings, not its speed"
      : "bf16: the \(kernels.name) kernels multiply no bf16 here; products stay in fp32"
  }
}
