public import Collectives
import Foundation
import Tensors

/// What messages take between rank 0 and the first rank of another host.
public struct LinkFacts: Sendable, Equatable, Codable {
  public var rank: Int
  public var hostName: String
  /// From one host to the other: half of the median round trip of a message of 8 bytes.
  public var latencySeconds: Double
  /// Payload from rank 0, and to it.
  public var outBytesPerSecond: Double
  public var inBytesPerSecond: Double

  public init(
    rank: Int, hostName: String, latencySeconds: Double, outBytesPerSecond: Double,
    inBytesPerSecond: Double
  ) {
    self.rank = rank
    self.hostName = hostName
    self.latencySeconds = latencySeconds
    self.outBytesPerSecond = outBytesPerSecond
    self.inBytesPerSecond = inBytesPerSecond
  }

  var slowest: Double { min(outBytesPerSecond, inBytesPerSecond) }

  /// What links of 1 Gbit/s carry at least.
  static let fewBytesPerSecond = 110e6
  static let longLatency = 1e-3

  /// The links that are much slower than the others, or slow in themselves.
  static func findings(_ links: [LinkFacts]) -> [Finding] {
    guard !links.isEmpty else { return [] }
    let ordered = links.map(\.slowest).sorted()
    let median = ordered[ordered.count / 2]
    let choose =
      "choose the faster network with OMPI_MCA_btl_tcp_if_include=INTERFACE (of MPICH: mpiexec "
      + "-iface INTERFACE)"
    var findings: [Finding] = []
    let uneven = links.filter { $0.slowest < median / 2 }
    for link in uneven {
      findings.append(
        Finding(
          .network,
          "the link to \(link.place) carries \(text(link.slowest)), where most carry "
            + "\(text(median)); every step waits for the slowest",
          fix: "look after that host's cable, switch port or interface (ethtool), or leave it out"))
    }
    let slow = links.filter { !uneven.contains($0) && $0.slowest < fewBytesPerSecond }
    if let worst = slow.min(by: { $0.slowest < $1.slowest }) {
      findings.append(
        Finding(
          .network,
          "\(slow.count == 1 ? "the link to \(worst.place) carries" : "\(slow.count) links carry, that to \(worst.place)") "
            + "\(text(worst.slowest)), less than 1 Gbit/s: \(cost(worst.slowest))",
          fix: choose + ", or send less with gradient_dtype: bf16 or larger steps"))
    }
    let late = links.filter { $0.latencySeconds > longLatency }
    if let worst = late.max(by: { $0.latencySeconds < $1.latencySeconds }) {
      findings.append(
        Finding(
          .network,
          String(
            format:
              "a message to %@ takes %.1f ms, over 1 ms: each of a step's buckets waits so long",
            worst.place, worst.latencySeconds * 1e3),
          fix: choose + ", start the ranks in one rack, or set ddp_bucket_cap_mb higher"))
    }
    return findings
  }

  private var place: String { "\(hostName) (rank \(rank))" }

  static func text(_ bytesPerSecond: Double) -> String {
    String(format: bytesPerSecond < 10e6 ? "%.1f MB/s" : "%.0f MB/s", bytesPerSecond * 1e-6)
  }

  /// A sum over two hosts moves the gradient once out of each and once in.
  private static func cost(_ bytesPerSecond: Double) -> String {
    String(
      format: "summing the gradient of 100 million parameters over 2 hosts takes %.1f s a step",
      4e8 / bytesPerSecond)
  }

  // MARK: Measuring

  private static let roundTrips = 21
  private static let tag = 1
  /// What rank 0 asks a peer for by a small message: how many bytes come, how many (negative) it is to send, or these.
  private static let echo: Int64 = 0
  private static let lastWord = Int64.min

  /// Measures the links one after the other. Every rank calls it, with the facts of all ranks; the result is rank 0's,
  /// and empty on the others.
  public static func measure(
    over communicator: any Communicator, _ ranks: [RankFacts]
  ) throws(CollectiveError) -> [LinkFacts] {
    var links: [LinkFacts] = []
    for peer in ranks where peer.rank > 0 && peer.machine == peer.rank {
      if communicator.rank == 0 {
        links.append(try measure(over: communicator, to: peer))
      } else if communicator.rank == peer.rank {
        try answer(over: communicator)
      }
      try communicator.barrier()
    }
    return links
  }

  private static func measure(
    over communicator: any Communicator, to peer: RankFacts
  ) throws(CollectiveError) -> LinkFacts {
    func tell(_ word: Int64) throws(CollectiveError) {
      try send([word], over: communicator, to: peer.rank)
    }
    func hear() throws(CollectiveError) {
      var words = [Int64(0)]
      var span = words.mutableSpan
      try communicator.receive(into: &span, from: peer.rank, tag: tag)
    }
    var trips: [Double] = []
    for _ in 0..<roundTrips {
      let start = Profile.now()
      try tell(echo)
      try hear()
      trips.append(Profile.now() - start)
    }
    trips.sort()
    let trip = trips[roundTrips / 2]
    func turn(_ count: Int) throws(CollectiveError) -> (out: Double, back: Double) {
      var bytes = [UInt8](repeating: 1, count: count)
      let start = Profile.now()
      try tell(Int64(count))
      try send(bytes, over: communicator, to: peer.rank)
      // Sent is what the system has taken; heard of is what has come.
      try hear()
      let middle = Profile.now()
      try tell(-Int64(count))
      var span = bytes.mutableSpan
      try communicator.receive(into: &span, from: peer.rank, tag: tag)
      let end = Profile.now()
      return (
        Double(count) / max(1e-9, middle - start - trip),
        Double(count) / max(1e-9, end - middle - trip)
      )
    }
    // A small one sets up connections, and tells whether the link is fast enough for large ones.
    var best = try turn(1 << 18)
    if min(best.out, best.back) > 1e6 {
      best = try turn(4 << 20)
      // What a fast link carries is seen only if nothing else takes the time.
      for _ in 0..<(min(best.out, best.back) > 200e6 ? 8 : 2) {
        let next = try turn(4 << 20)
        best = (max(best.out, next.out), max(best.back, next.back))
      }
    }
    try tell(lastWord)
    return LinkFacts(
      rank: peer.rank, hostName: peer.hostName, latencySeconds: trip / 2,
      outBytesPerSecond: best.out, inBytesPerSecond: best.back)
  }

  private static func send<E: CollectiveElement>(
    _ values: [E], over communicator: any Communicator, to peer: Int
  ) throws(CollectiveError) {
    // Not `values.span`: Swift 6.3 drops the stores into an array literal that only a span reads.
    try unsafe values.withUnsafeBufferPointer { values throws(CollectiveError) in
      try communicator.send(unsafe Span(_unsafeElements: values), to: peer, tag: tag)
    }
  }

  /// Does what rank 0 asks for, to its last word.
  private static func answer(over communicator: any Communicator) throws(CollectiveError) {
    while true {
      var words = [echo]
      var span = words.mutableSpan
      try communicator.receive(into: &span, from: 0, tag: tag)
      let word = words[0]
      if word == lastWord { return }
      if word > 0 {
        var bytes = [UInt8](repeating: 0, count: Int(word))
        var span = bytes.mutableSpan
        try communicator.receive(into: &span, from: 0, tag: tag)
      }
      if word < 0 {
        let bytes = [UInt8](repeating: 1, count: Int(-word))
        try send(bytes, over: communicator, to: 0)
      } else {
        try send(words, over: communicator, to: 0)
      }
    }
  }
}
