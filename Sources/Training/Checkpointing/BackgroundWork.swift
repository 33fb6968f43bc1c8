import Collectives
import Dispatch
import Glibc
import Synchronization

/// Work beside the steps, on a thread of its own that gets what the steps leave of the processors, and a tenth of one
/// where they leave none.
package final class BackgroundWork: Sendable {
  private let end = DispatchGroup()
  private let outcome = Mutex<Result<Double, any Error>?>(nil)
  /// The steps' threads have priority 0.
  private static let niceness: Int32 = 10

  /// Begins at once, or when `previous` has ended well; where that fails, this fails with the same error.
  package init(after previous: BackgroundWork? = nil, _ body: @escaping @Sendable () throws -> Void)
  {
    end.enter()
    let run: @Sendable () -> Void = { [self] in
      // On Linux this is the calling thread's priority, not the process's. A refusal costs speed alone.
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
      let result = Result<Double, any Error> {
        if let previous { _ = try previous.wait() }
        let start = ContinuousClock.now
        try body()
        return (ContinuousClock.now - start) / .seconds(1)
      }
      outcome.withLock { $0 = result }
      end.leave()
    }
    // Where the system has no thread left it is done here.
    if startThread(stackBytes: 1 << 20, run) == nil { run() }
  }

  /// The seconds that it took, or nil while it goes on.
  package func seconds() throws -> Double? { try outcome.withLock { try $0?.get() } }

  /// Waits for the end, whatever it be, for some time.
  func settle(seconds: Int) { _ = end.wait(timeout: .now() + .seconds(seconds)) }

  /// Waits for the end.
  ///
  /// - Returns: The seconds that the work took.
  /// - Throws: What the work threw.
  @discardableResult
  package func wait() throws -> Double {
    end.wait()
    guard let seconds = try seconds() else { preconditionFailure("work ended without a result") }
    return seconds
  }
}
