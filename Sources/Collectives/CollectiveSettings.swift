/// How a rank waits for the others.
public struct CollectiveSettings: Sendable {
  /// How long one wait may last before it throws and names the ranks that did not come.
  public var timeoutSeconds: Double

  /// Called again and again while a wait lasts, on the waiting thread; it must be quick and must not
  /// use the communicator.
  public var whileWaiting: (@Sendable () -> Void)?

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
