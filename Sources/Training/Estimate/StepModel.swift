/// How long a step takes over several ranks, from what one rank computes and what it sends: numbers in, numbers out.
///
/// A rank computes forward and backward; each bucket of gradient goes out when the last of its entries is final and the
/// bucket before it has arrived. Ranks start together and the slowest is the one given. While bytes move, the
/// processor time that this takes is taken from what computes, unless cores are free. Rows of tables and the small
/// collectives follow, hidden by nothing.
public struct StepModel: Sendable, Equatable {
  public var compute: StepCompute
  public var traffic: StepTraffic
  public var network: NetworkFigures
  public var host: HostShare

  public init(
    compute: StepCompute, traffic: StepTraffic, network: NetworkFigures, host: HostShare
  ) {
    precondition(
      compute.readySeconds.count == traffic.bucketBytes.count,
      "\(compute.readySeconds.count) moments of \(traffic.bucketBytes.count) buckets")
    self.compute = compute
    self.traffic = traffic
    self.network = network
    self.host = host
  }

  /// The step, in order.
  ///
  /// - Complexity: O(buckets).
  public func times() -> StepTimes {
    let alone = compute.total
    guard traffic.ranks > 1 else {
      return StepTimes(seconds: alone, computeSeconds: alone, bytesSent: 0)
    }
    var clock = compute.beforeSeconds + collective(phases: 2)
    let kept = 1 - stolenShare
    let passes = compute.forwardSeconds + compute.backwardSeconds
    var computed = 0.0
    for (ready, bytes) in zip(compute.readySeconds, traffic.bucketBytes) {
      if computed < ready {
        clock += ready - computed
        computed = ready
      }
      // A reduce-scatter and an all-gather, after ranks have agreed on the call.
      let seconds = collective(phases: 3, bytes: 2 * traffic.perPeer(bytes))
      clock += seconds
      computed = min(passes, computed + seconds * kept)
    }
    clock += passes - computed
    clock += rowSeconds
    clock += collective(phases: 2)
    clock += compute.afterSeconds + compute.optimiserSeconds
    return StepTimes(seconds: clock, computeSeconds: alone, bytesSent: traffic.bytesSent)
  }

  // MARK: Parts

  /// Lists of rows to all, then the sum over their union.
  private var rowSeconds: Double {
    if traffic.rowBytes == 0 { return 0 }
    return collective(phases: 5, bytes: traffic.rowListBytes + traffic.rowBytes)
  }

  /// A collective of so many rounds of messages, in which a rank sends `bytes` in all.
  ///
  /// Ranks of one host share its link, and reach each other through memory meanwhile.
  private func collective(phases: Int, bytes: Double = 0) -> Double {
    let outside = bytes * traffic.outsideShare
    let link = outside * Double(traffic.ranksPerNode) / network.bytesPerSecond
    let memory = (bytes - outside) / network.memoryBytesPerSecond
    let processor = bytes * network.processorSecondsPerByte * Double(host.ranks) / host.cores
    return Double(phases) * network.latencySeconds + max(link, memory, processor)
  }

  /// The share of a rank's computing that it loses while bytes move.
  var stolenShare: Double {
    let perRank = network.bytesPerSecond / Double(traffic.ranksPerNode)
    let wanted = Double(host.ranks) * min(1, network.processorSecondsPerByte * perRank)
    let computing = min(Double(host.ranks * host.threads), host.cores)
    let free = host.cores - computing
    return min(1, max(0, wanted - free) / computing)
  }
}

/// What the slowest rank computes in a step, in seconds as measured with all ranks of its host at work.
public struct StepCompute: Sendable, Equatable, Codable {
  /// Making the batch.
  public var beforeSeconds: Double
  public var forwardSeconds: Double
  public var backwardSeconds: Double
  /// The norm of the gradient.
  public var afterSeconds: Double
  public var optimiserSeconds: Double
  /// When each bucket is final, since the forward pass began. Ascending.
  public var readySeconds: [Double]

  public init(
    beforeSeconds: Double, forwardSeconds: Double, backwardSeconds: Double, afterSeconds: Double,
    optimiserSeconds: Double, readySeconds: [Double]
  ) {
    self.beforeSeconds = beforeSeconds
    self.forwardSeconds = forwardSeconds
    self.backwardSeconds = backwardSeconds
    self.afterSeconds = afterSeconds
    self.optimiserSeconds = optimiserSeconds
    self.readySeconds = readySeconds
  }

  public var total: Double {
    beforeSeconds + forwardSeconds + backwardSeconds + afterSeconds + optimiserSeconds
  }
}

/// What a rank sends in a step.
public struct StepTraffic: Sendable, Equatable, Codable {
  public var ranks: Int
  public var ranksPerNode: Int
  /// The bytes of each bucket of gradient, as they travel, in the order in which they do.
  public var bucketBytes: [Double]
  /// The rows of tables that one rank touches, and that any rank touches.
  public var ownRows: Double
  public var allRows: Double
  /// The floats of a row.
  public var rowLength: Int

  public init(
    ranks: Int, ranksPerNode: Int, bucketBytes: [Double], ownRows: Double, allRows: Double,
    rowLength: Int
  ) {
    precondition(ranks >= 1 && ranksPerNode >= 1, "\(ranks) ranks, \(ranksPerNode) a node")
    self.ranks = ranks
    self.ranksPerNode = min(ranks, ranksPerNode)
    self.bucketBytes = bucketBytes
    self.ownRows = ownRows
    self.allRows = allRows
    self.rowLength = rowLength
  }

  /// What a rank sends of a buffer of `bytes` when each other rank gets its even part.
  func perPeer(_ bytes: Double) -> Double { bytes * Double(ranks - 1) / Double(ranks) }

  /// The numbers of a rank's rows, eight bytes each, to all others.
  var rowListBytes: Double { 8 * ownRows * Double(ranks - 1) }

  /// The rows themselves: a reduce-scatter and an all-gather over the union.
  var rowBytes: Double { 2 * perPeer(4 * allRows * Double(rowLength)) }

  /// All of a step.
  public var bytesSent: Double {
    ranks == 1
      ? 0 : bucketBytes.reduce(0) { $0 + 2 * perPeer($1) } + rowListBytes + rowBytes
  }

  /// The share of a rank's bytes that leaves its host.
  var outsideShare: Double {
    ranks == 1 ? 0 : Double(ranks - ranksPerNode) / Double(ranks - 1)
  }
}

/// What the network does, and what it costs the processor.
public struct NetworkFigures: Sendable, Equatable, Codable {
  /// Payload out of a host, and as much in at the same time.
  public var bytesPerSecond: Double
  /// From a message's start until the other rank has noticed that it is there.
  public var latencySeconds: Double
  /// Between two ranks of one host.
  public var memoryBytesPerSecond: Double
  /// Of one core, for a byte sent, another received, and their share of sums and copies.
  public var processorSecondsPerByte: Double

  public init(
    bytesPerSecond: Double, latencySeconds: Double, memoryBytesPerSecond: Double,
    processorSecondsPerByte: Double
  ) {
    self.bytesPerSecond = bytesPerSecond
    self.latencySeconds = latencySeconds
    self.memoryBytesPerSecond = memoryBytesPerSecond
    self.processorSecondsPerByte = processorSecondsPerByte
  }
}

/// The ranks that share the cores of one machine.
public struct HostShare: Sendable, Equatable, Codable {
  public var ranks: Int
  public var threads: Int
  public var cores: Double

  public init(ranks: Int, threads: Int, cores: Double) {
    precondition(ranks >= 1 && threads >= 1 && cores > 0, "\(ranks) × \(threads) on \(cores)")
    self.ranks = ranks
    self.threads = threads
    self.cores = cores
  }
}

/// A step, predicted.
public struct StepTimes: Sendable, Equatable, Codable {
  public var seconds: Double
  /// What it would take if ranks sent nothing.
  public var computeSeconds: Double
  /// By each rank.
  public var bytesSent: Double

  /// What sending adds: bytes that nothing hides, waits, and computing that is slowed down.
  public var notHiddenSeconds: Double { seconds - computeSeconds }
}
