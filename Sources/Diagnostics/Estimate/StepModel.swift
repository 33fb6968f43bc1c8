/// How long a step takes over several ranks, from what one rank computes and what it sends: numbers in, numbers out.
///
/// A rank computes forward and backward; each bucket of gradient goes out when the last of its entries is final and the
/// bucket before it has arrived. Ranks start together and the slowest is the one given. What computes while bytes move
/// is slowed by it, as far as was measured. Rows of tables and the small collectives follow, hidden by nothing. Weights
/// of shares that other ranks have updated come in while the forward pass runs.
public struct StepModel: Sendable, Equatable {
  public var compute: StepCompute
  public var traffic: StepTraffic
  public var network: NetworkFigures
  public var overlap: Overlap

  public init(
    compute: StepCompute, traffic: StepTraffic, network: NetworkFigures, overlap: Overlap
  ) {
    precondition(
      compute.readySeconds.count == traffic.bucketBytes.count,
      "\(compute.readySeconds.count) moments of \(traffic.bucketBytes.count) buckets")
    self.compute = compute
    self.traffic = traffic
    self.network = network
    self.overlap = overlap
  }

  /// The step, in order.
  ///
  /// - Complexity: O(buckets).
  public func times() -> StepTimes {
    let alone = compute.total
    guard traffic.ranks > 1 else {
      return StepTimes(seconds: alone, computeSeconds: alone, bytesSent: 0)
    }
    let passes = compute.forwardSeconds + compute.backwardSeconds
    // The terms' weights, the lists of rows, and rows that other ranks have updated.
    var clock = compute.beforeSeconds + collective(rounds: 2)
    if traffic.ownRows > 0 {
      clock += collective(rounds: 2, traffic.flat(traffic.rowListBytes))
    }
    if traffic.pulledRows > 0 {
      clock += collective(rounds: 3, traffic.flat(traffic.bytes(ofRows: traffic.pulledRows)))
    }
    var computed = 0.0
    /// Moves bytes while computing goes on, until `limit` is computed; what is left then moves alone.
    func move(_ bytes: StepTraffic.Moved, rounds: Int, until limit: Double) {
      let beside = collective(rounds: rounds, bytes, besideComputing: true)
      let shared = min(beside, max(0, limit - computed) / overlap.keptShare)
      computed = min(limit, computed + shared * overlap.keptShare)
      clock += shared
      if shared < beside { clock += (1 - shared / beside) * collective(rounds: rounds, bytes) }
    }
    // Weights that other ranks have updated: the forward pass does not end before the last are there.
    for bytes in traffic.weightBytes.reversed() {
      move(traffic.moved(bytes), rounds: 4, until: compute.forwardSeconds)
    }
    // Ranks agree on the call, then a reduce-scatter, and an all-gather unless ranks own their parts: of each, MPI asks
    // before it sends.
    let isSharded = !traffic.weightBytes.isEmpty
    for (ready, bytes) in zip(compute.readySeconds, traffic.bucketBytes) {
      if computed < ready {
        clock += ready - computed
        computed = ready
      }
      let rounds = (isSharded ? 4 : 7) + traffic.moreRounds(of: bytes)
      move(traffic.moved(bytes, times: isSharded ? 1 : 2), rounds: rounds, until: passes)
    }
    clock += passes - computed
    if traffic.summedRows > 0 {
      clock += collective(rounds: 3, traffic.flat(traffic.bytes(ofRows: traffic.summedRows)))
    }
    clock += collective(rounds: 2) + compute.afterSeconds + compute.optimiserSeconds
    return StepTimes(seconds: clock, computeSeconds: alone, bytesSent: traffic.bytesSent)
  }

  /// A collective of so many rounds of messages, in which a rank sends so many bytes.
  ///
  /// Ranks of one host share its link, and reach each other through memory meanwhile.
  private func collective(
    rounds: Int, _ bytes: StepTraffic.Moved = .init(), besideComputing: Bool = false
  ) -> Double {
    let link = bytes.outside * Double(traffic.ranksPerNode) / network.bytesPerSecond
    let memory = bytes.inside / network.memoryBytesPerSecond
    let processor = bytes.all * network.processorSecondsPerByte
    let slowed = besideComputing ? bytes.outside / overlap.bytesPerSecond : 0
    // A round is over when the last rank has noticed: of delays that vary as times between rare events do, the longest
    // of n is 1 + 1/2 + … + 1/n times their mean.
    let longest = (1...traffic.ranks).reduce(0) { $0 + 1 / Double($1) }
    let notice = besideComputing ? overlap.noticeSeconds * longest : 0
    return Double(rounds) * (network.latencySeconds + notice) + max(link, memory, processor, slowed)
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
  /// Whether ranks of a node reduce first, and then those of one place on all nodes.
  public var hasLevels: Bool
  /// The bytes of each bucket of gradient, as they travel, in the order in which they do.
  public var bucketBytes: [Double]
  /// The bytes of the weights of each bucket, where each rank updates a share of them; else nothing.
  public var weightBytes: [Double]
  /// The rows of tables that one rank touches.
  public var ownRows: Double
  /// The rows whose weights a rank sends before a step, and whose gradients after it.
  public var pulledRows: Double
  public var summedRows: Double
  /// The floats of a row.
  public var rowLength: Int

  public init(
    ranks: Int, ranksPerNode: Int, hasLevels: Bool = false, bucketBytes: [Double],
    weightBytes: [Double] = [], ownRows: Double, pulledRows: Double = 0, summedRows: Double,
    rowLength: Int
  ) {
    precondition(ranks >= 1 && ranksPerNode >= 1, "\(ranks) ranks, \(ranksPerNode) a node")
    self.ranks = ranks
    self.ranksPerNode = min(ranks, ranksPerNode)
    self.hasLevels = hasLevels
    self.bucketBytes = bucketBytes
    self.weightBytes = weightBytes
    self.ownRows = ownRows
    self.pulledRows = pulledRows
    self.summedRows = summedRows
    self.rowLength = rowLength
  }

  /// Bytes that a rank sends to other nodes, and to ranks of its own.
  struct Moved: Equatable {
    var outside = 0.0
    var inside = 0.0

    var all: Double { outside + inside }
  }

  /// Of a buffer of `bytes` that is scattered or gathered so many times.
  func moved(_ bytes: Double, times: Double = 1) -> Moved {
    guard hasLevels else {
      return flat(times * bytes * Double(ranks - 1) / Double(ranks))
    }
    let (inner, nodes) = (Double(ranksPerNode), Double(ranks / ranksPerNode))
    return Moved(
      outside: times * (nodes - 1) / nodes * bytes / inner,
      inside: times * (inner - 1) / inner * bytes)
  }

  /// Of bytes that go to all other ranks alike.
  func flat(_ bytes: Double) -> Moved {
    if ranks == 1 { return Moved() }
    let outside = bytes * Double(ranks - ranksPerNode) / Double(ranks - 1)
    return Moved(outside: outside, inside: bytes - outside)
  }

  /// The rounds of a reduce-scatter of `bytes` after its first: each rank's part comes in as many pieces as there are
  /// others, none under 64 KiB.
  func moreRounds(of bytes: Double) -> Int {
    let part = bytes / Double(ranks)
    return max(0, min(ranks - 1, Int((part / 65536).rounded(.up))) - 1)
  }

  /// The numbers of a rank's rows, four bytes each, to all others.
  var rowListBytes: Double { 4 * ownRows * Double(ranks - 1) }

  func bytes(ofRows rows: Double) -> Double { 4 * rows * Double(rowLength) }

  /// All of a step.
  public var bytesSent: Double {
    if ranks == 1 { return 0 }
    let times = weightBytes.isEmpty ? 2.0 : 1
    return bucketBytes.reduce(0) { $0 + moved($1, times: times).all }
      + weightBytes.reduce(0) { $0 + moved($1).all } + rowListBytes
      + bytes(ofRows: pulledRows + summedRows)
  }
}

/// What the network does, and what it costs the processor.
public struct NetworkFigures: Sendable, Equatable, Codable {
  /// Payload out of a host, and as much in at the same time.
  public var bytesPerSecond: Double
  /// From a message's start until the other rank has noticed that it is there, with nothing else to do.
  public var latencySeconds: Double
  /// Between two ranks of one host.
  public var memoryBytesPerSecond: Double
  /// That a rank needs for a byte sent, another received, and their share of sums and copies.
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

/// What computing and moving bytes leave of each other when both go on at once, measured on a host at work.
public struct Overlap: Sendable, Equatable, Codable {
  /// The speed of computing while bytes move, by that without. In (0, 1].
  public var keptShare: Double
  /// What a rank sends, and receives at the same time, while it computes.
  public var bytesPerSecond: Double
  /// From a message's arrival until a rank that computes notices it, on the mean.
  public var noticeSeconds: Double

  public init(
    keptShare: Double, bytesPerSecond: Double, noticeSeconds: Double
  ) {
    precondition(keptShare > 0 && keptShare <= 1, "a share of \(keptShare)")
    self.keptShare = keptShare
    self.bytesPerSecond = bytesPerSecond
    self.noticeSeconds = noticeSeconds
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
