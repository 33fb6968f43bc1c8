public import Collectives
import Glibc
import Tensors

/// The network between hosts: measured by ranks that run on them, or as a user describes it.
public enum NetworkProbe {
  /// What a link is taken to be where nothing is said or measured.
  public static let assumedGigabits = 10.0
  public static let assumedMicroseconds = 50.0

  /// A rank that waits sleeps so long between two looks for messages, timers included.
  static let pollSeconds = 0.0001
  /// Of a link's bits those that are payload: TCP in Ethernet frames of 1,500 bytes.
  static let payloadShare = 1448.0 / 1538

  /// What ranks measured among themselves.
  public struct Measurement: Sendable, Equatable, Codable {
    /// Payload out of each rank, and as much in at once.
    public var bytesPerSecond: Double
    public var latencySeconds: Double
  }

  /// Sums a large buffer over all ranks, and a barrier again and again. Every rank calls it, one on each host; the
  /// result is that of the slowest.
  public static func measure(
    over communicator: any Communicator
  ) throws(CollectiveError) -> Measurement {
    precondition(communicator.size > 1, "a network of one rank")
    let floats = 8 << 20
    let rounds = 3
    var values = [Float](repeating: 1, count: floats)
    try communicator.allReduce(&values, .sum)
    try communicator.barrier()
    var start = Profile.now()
    for _ in 0..<rounds { try communicator.allReduce(&values, .sum) }
    let seconds = Profile.now() - start
    let share = Double(communicator.size - 1) / Double(communicator.size)
    let sent = Double(rounds * floats * MemoryLayout<Float>.stride) * 2 * share
    var latencies: [Double] = []
    for _ in 0..<101 {
      start = Profile.now()
      try communicator.barrier()
      latencies.append(Profile.now() - start)
    }
    latencies.sort()
    var worst = [seconds / sent, latencies[50]]
    try communicator.allReduce(&worst, .max)
    return Measurement(bytesPerSecond: 1 / worst[0], latencySeconds: worst[1])
  }
}

/// The processor time of the calling thread.
func threadSeconds() -> Double {
  var time = timespec()
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
