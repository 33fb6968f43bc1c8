import Configuration
import Foundation
import Tensors
import Training

/// What `--profile` and `--trace` ask for.
struct Profiling {
  let profile = Profile()
  private let peaks: MachinePeaks
  private let isPrinted: Bool
  private let tracePath: String?

  /// Nil if neither option is given. Measures the machine's peaks, before the work that is profiled.
  init?(_ arguments: ParsedArguments, on workspace: Workspace) throws {
    guard arguments.has("profile") || arguments.value("trace") != nil else { return nil }
    isPrinted = arguments.has("profile")
    tracePath = arguments.value("trace")
    peaks = MachinePeaks(workspace)
  }

  /// Prints the table on standard error and writes the trace.
  ///
  /// - Parameter seconds: What the profiled steps took.
  func report(seconds: Double) throws {
    if isPrinted {
      FileHandle.standardError.write(Data(profile.table(total: seconds, peaks: peaks).utf8))
    }
    guard let tracePath else { return }
    do {
      try profile.trace(process: 0).write(toFile: tracePath, atomically: true, encoding: .utf8)
    } catch {
      throw RunError(.io, "\(tracePath) cannot be written: \(error.localizedDescription)")
    }
  }
}
