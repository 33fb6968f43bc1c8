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

  private static func text(_ bytesPerSecond: Double) -> String {
    String(format: "%.0f MB/s", bytesPerSecond * 1e-6)
  }

  /// A sum over two hosts moves the gradient once out of each and once in.
  private static func cost(_ bytesPerSecond: Double) -> String {
    String(
      format: "summing the gradient of 100 million parameters over 2 hosts takes %.1f s a step",
      4e8 / bytesPerSecond)
  }

  // MARK: Measuring

  private static let roundTrips = 21
  private static let payloadBytes = 4 << 20

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
    var small = [Int64(0)]
    var trips: [Double] = []
    for trip in 0..<roundTrips {
      let start = Profile.now()
      try communicator.send(small.span, to: peer.rank, tag: trip)
      var span = small.mutableSpan
      try communicator.receive(into: &span, from: peer.rank, tag: trip)
      trips.append(Profile.now() - start)
    }
    trips.sort()
    var large = [UInt8](repeating: 1, count: payloadBytes)
    var (out, back) = (Double.infinity, Double.infinity)
    // The first one may still set up connections.
    for turn in 0..<2 {
      var start = Profile.now()
      try communicator.send(large.span, to: peer.rank, tag: roundTrips + turn)
      out = min(out, Profile.now() - start)
      start = Profile.now()
      var span = large.mutableSpan
      try communicator.receive(into: &span, from: peer.rank, tag: roundTrips + turn)
      back = min(back, Profile.now() - start)
    }
    return LinkFacts(
      rank: peer.rank, hostName: peer.hostName, latencySeconds: trips[roundTrips / 2] / 2,
      outBytesPerSecond: Double(payloadBytes) / out, inBytesPerSecond: Double(payloadBytes) / back)
  }

  private static func answer(over communicator: any Communicator) throws(CollectiveError) {
    var small = [Int64(0)]
    for trip in 0..<roundTrips {
      var span = small.mutableSpan
      try communicator.receive(into: &span, from: 0, tag: trip)
      try communicator.send(small.span, to: 0, tag: trip)
    }
    var large = [UInt8](repeating: 0, count: payloadBytes)
    for turn in 0..<2 {
      var span = large.mutableSpan
      try communicator.receive(into: &span, from: 0, tag: roundTrips + turn)
      try communicator.send(large.span, to: 0, tag: roundTrips + turn)
    }
  }
}
