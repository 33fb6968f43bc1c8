/// The little that a group of ranks needs below it: messages between two ranks, and a way to end.
///
/// Messages from one rank to another on one channel arrive in the order in which they were started,
/// and each is received with its own length.
protocol Transport: Sendable {
  associatedtype Request

  var rank: Int { get }
  var size: Int { get }

  /// Starts to send; `bytes` must stay as they are until the request is done or cancelled.
  func startSend(_ bytes: UnsafeRawBufferPointer, to peer: Int, on channel: Channel)
    throws(TransportFailure) -> Request

  /// Starts to receive; `bytes` must stay until the request is done or cancelled.
  func startReceive(
    into bytes: UnsafeMutableRawBufferPointer, from peer: Int, on channel: Channel
  ) throws(TransportFailure) -> Request

  /// Moves `request` on and says whether it is done, without waiting.
  func isDone(_ request: inout Request) throws(TransportFailure) -> Bool

  /// Gives `request` up. A message that is half way may still arrive.
  func cancel(_ request: inout Request)

  /// The calling rank's part of a new group.
  ///
  /// - Parameters:
  ///   - sequence: Equal on all ranks and different for each split.
  ///   - color: The number of the group among those of this split.
  ///   - members: The ranks of the group, in their new order.
  func split(sequence: UInt64, color: Int, members: [Int]) throws(TransportFailure) -> Self

  /// The calling rank's part of a new group of the ranks of its machine.
  func splitByMachine(sequence: UInt64) throws(TransportFailure) -> Self

  /// Ends every process of the group.
  func abort(code: Int32) -> Never
}

/// The two kinds of message, which do not overtake their own kind.
enum Channel: Int32 {
  case agreement = 1
  case payload = 2
}

/// What went wrong in a ``Transport``, before the operation is known.
struct TransportFailure: Error {
  var code: CollectiveError.Code
  var detail: String
}
