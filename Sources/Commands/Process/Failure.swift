import Checkpoints
import Collectives
import Configuration
import Corpus
import Files
import Foundation
import Tensors
import Training

/// How an error ends the process.
enum Failure {
  /// Ends the process, and with it all ranks, with one line and the error's exit code.
  ///
  /// - Parameter isStuck: Whether the main thread hangs in MPI, so that nothing can be closed in good order.
  static func end(_ error: any Error, isStuck: Bool = false) -> Never {
    let code = exitCode(error)
    // To speak is to write to a file system that may be gone with the network.
    Thread.detachNewThread {
      sleep(15)
      _exit(code)
    }
    let speaks = Ranks.isFirst || (error as? RunError)?.code != .elsewhere
    // What goes wrong on all ranks alike is said by the first, whose end ends the others: they give it a
    // moment.
    if isStuck { sleep(2) }
    if !Ranks.isFirst { sleep(2) }
    if speaks, GroupEnd.claim() {
      Terminal.clearProgress()
      let place = Ranks.identity.map { "\($0): " } ?? ""
      // The rank is named already.
      let words = (error as? CollectiveError).map { "\($0.operation): \($0.detail)" } ?? "\(error)"
      let text = words.split(whereSeparator: \.isNewline).joined(separator: " ")
      Terminal.write("isogloss: \(place)\(text)\n")
      if Ranks.identity != nil { GroupEnd.letItBeHeard() }
    }
    if let communicator = unsafe Ranks.communicator, communicator.size > 1 {
      communicator.abort(code: code)
    }
    if isStuck { _exit(code) }
    exit(code)
  }

  /// The exit codes of sysexits.
  private static func exitCode(_ error: any Error) -> Int32 {
    switch error {
    case is UsageError, is KernelTableError: 64
    case let error as FileError:
      switch error.code {
      case .missing: 66
      case .data: 65
      case .io: 74
      }
    case let error as ConfigError:
      switch error.code {
      case .missing: 66
      case .content: 78
      case .io: 74
      }
    case let error as RunError:
      switch error.code {
      case .configuration: 78
      case .data: 65
      case .io: 74
      case .notFinite, .diverged, .elsewhere: 70
      }
    default: 70
    }
  }
}
