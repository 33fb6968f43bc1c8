/// How a rank waits for the others.
public struct CollectiveSettings: Sendable {
  /// How long one wait may last before it throws and names the ranks that did not come.
  public var timeoutSeconds: Double

  /// Whether no wait ends while a debugger holds this process.
  public var isPatientInDebugger = false

  /// Called again and again while a wait lasts, on the waiting thread; it must be quick and must not
  /// use the communicator.
  public var whileWaiting: (@Sendable () -> Void)?

  /// Called on a thread of its own if a call has not returned some seconds after its time-out, which means that MPI
  /// itself is blocked. It is to end the process.
  public var whenStuck: (@Sendable (CollectiveError) -> Void)?

  /// The seconds after a time-out at which a call counts as stuck.
  package var graceSeconds = 5.0

  /// The seconds between a rank's heartbeats, of the group that all ranks are in; nil for a twentieth of its time-out,
  /// from 0.1 to 5 s.
  package var heartbeatSeconds: Double?

  /// The most bytes that one message carries; larger payloads go in pieces.
  ///
  /// Measured over TCP at 1 Gbit/s, both ways at once: one message of 22 MB moves at 60 MB/s, pieces of 1 MiB at 119.7.
  package var pieceBytes = 1 << 20

  public init(timeoutSeconds: Double = 1800, whileWaiting: (@Sendable () -> Void)? = nil) {
    precondition(timeoutSeconds > 0, "a time-out of \(timeoutSeconds) s")
    self.timeoutSeconds = timeoutSeconds
    self.whileWaiting = whileWaiting
  }
}
