public import Collectives
import Determinism
public import Tensors

/// What came of a step, the same on every rank.
public struct StepOutcome: Sendable {
  /// The mean of each term over the whole batch, by the method's order.
  public var losses: [Double]
  /// The global weight of each term.
  public var weights: [Double]
  /// The norm of the gradient before clipping.
  public var gradientNorm: Double
  /// The shards whose loss is not finite.
  public var badShards: [Int]
  /// The ranks whose own part of the gradient is not finite, or whose loss, where that was seen first.
  public var badRanks: [Int]
  /// What any rank asked for: a preemption goes before an interrupt.
  public var stop: StopRequest?
}

/// Computes the gradient of one step over all ranks.
///
/// Every rank calls it with the same shards; each works on its own node of them. With a sharded optimiser each rank
/// gets the gradient of its ``optimiserShare`` and is to update that; what the others have updated arrives in the next step, or
/// with ``complete(_:rowsInUse:)``.
public final class GradientStep {
  private let communicator: any Communicator
  private let workspace: Workspace
  private let shards: Int
  private let fullDeterminism: Bool
  private let isSharded: Bool
  /// Whether other ranks have updated weights that are not here.
  private var isStale = false
  /// The bytes of gradients and weights that this rank sent in the last step.
  public var exchangedBytes: Int { (dense?.bytesPerStep ?? 0) + (rows?.sentBytes ?? 0) }
  /// What each rank is to update.
  public let optimiserShares: [OptimiserShare]
  /// The seconds for which the last step's own work was done and the sums over ranks were not.
  public var exposedSeconds: Double { dense?.exposedSeconds ?? 0 }
  private let dense: GradientExchange?
  private let rows: RowExchange?
  /// The seconds that this rank has spent in collectives since the first step: what others made it wait, and the
  /// way of its data.
  public private(set) var waitedSeconds = 0.0
  private var spareGradients: [GradientBuffer] = []
  /// Looks on, if there is one.
  package var watch: StepWatch?
  private let inner = InnerMemory()

  /// Every rank makes one at the same time.
  ///
  /// - Parameters:
  ///   - layout: Of the gradients of all steps, with which of its entries are `trained`.
  ///   - shards: The shards of every step. At least the rank count.
  ///   - gradientType: How dense gradients travel; rows of tables are fp32. As bf16 they are rounded by each rank and
  ///     at each node of the tree along which ranks are added.
  ///   - bucketBytes: The bytes of fp32 gradients that are reduced at once.
  ///   - shardOptimizer: Whether each rank updates a share of the weights, and keeps the moments of that alone.
  public init(
    communicator: any Communicator, workspace: Workspace, layout: ParameterLayout, trained: [Bool],
    shards: Int, fullDeterminism: Bool, gradientType: Precision = .fp32,
    bucketBytes: Int = 4 << 20, shardOptimizer: Bool = false
  ) throws(CollectiveError) {
    precondition(communicator.size <= shards, "\(communicator.size) ranks over \(shards) shards")
    self.communicator = communicator
    self.workspace = workspace
    self.shards = shards
    self.fullDeterminism = fullDeterminism
    isSharded = shardOptimizer && communicator.size > 1
    if communicator.size == 1 {
      (dense, rows) = (nil, nil)
    } else {
      // Without full determinism ranks are the leaves of the tree: it can follow machines all the same.
      let treeShards = fullDeterminism ? shards : communicator.size
      let own = try communicator.split(color: 0, key: communicator.rank)
      dense = GradientExchange(
        own, levels: try own.levels(), layout: layout, trained: trained,
        kernels: workspace.kernels, treeShards: treeShards, type: gradientType,
        bucketBytes: bucketBytes, isSharded: isSharded)
      rows = RowExchange(
        communicator, workspace: workspace, layout: layout, trained: trained,
        reduction: .treeSum(shards: treeShards), isSharded: isSharded)
    }
    optimiserShares =
      dense?.shares ?? (0..<communicator.size).map { _ in OptimiserShare(allOf: layout) }
  }

  /// What this rank is to update.
  public var optimiserShare: OptimiserShare { optimiserShares[communicator.rank] }

  deinit { dense?.stop() }

  /// The shards of a rank: a node of the tree under full determinism, else an even share.
  public static func node(
    ofRank rank: Int, ranks: Int, shards: Int, fullDeterminism: Bool
  ) -> Range<Int> {
    if fullDeterminism { return FoldTree.nodes(shards: shards, ranks: ranks)[rank] }
    return rank * shards / ranks..<(rank + 1) * shards / ranks
  }

  /// How many shards each rank has.
  public static func shares(ranks: Int, shards: Int, fullDeterminism: Bool) -> [Int] {
    (0..<ranks).map {
      node(ofRank: $0, ranks: ranks, shards: shards, fullDeterminism: fullDeterminism).count
    }
  }

  /// Leaves the gradient of the whole step, over all ranks, in `gradients`.
  ///
  /// Terms are divided by their weight over the whole step, never by a rank's own. Exchanges: the terms'
  /// weights and whether to stop; the rows in use; the gradient; the terms' sums.
  ///
  /// - Parameters:
  ///   - parameters: Where other ranks have updated some, those come in.
  ///   - key: Names the step's random numbers; nil to drop nothing.
  ///   - passes: This rank's shards, cut into passes.
  ///   - batch: Gives the packed batch of a range of shards.
  ///   - stop: Whether, and why, this rank asks all to stop.
  public func run<Method: TrainingMethod>(
    _ method: Method, parameters: inout ParameterSet, gradients: GradientBuffer,
    key: StepKey?, passes: PassTree, batch: (Range<Int>) -> Method.Batch,
    stop: StopRequest? = nil
  ) throws(CollectiveError) -> StepOutcome {
    communicator.activity.begin("forward and backward pass")
    let terms = method.terms
    let ranges = passes.passes
    var batches = ranges.map(batch)
    for index in batches.indices { method.prepare(&batches[index], in: workspace) }

    // One slot a term and shard: each is filled by one rank, so that their sum is exact.
    var slots = [Double](repeating: 0, count: terms.count * shards + 2)
    var itemWeights: [[[Double]]] = []
    for (range, batch) in zip(ranges, batches) {
      let own = method.weights(of: batch)
      for (term, weights) in own.enumerated() {
        for (segment, shard) in range.enumerated() {
          slots[term * shards + shard] = Self.weight(
            weights, ofSegment: segment, batch, terms[term])
        }
      }
      itemWeights.append(own)
    }
    slots[terms.count * shards] = stop == .interrupt ? 1 : 0
    slots[terms.count * shards + 1] = stop == .preemption ? 1 : 0
    try waiting { () throws(CollectiveError) in try sum(&slots) }
    let weights = terms.indices.map { fold(slots, term: $0) }
    let seeds = zip(terms, weights).map { $1 > 0 ? $0.coefficient / $1 : 0 }
    let stop: StopRequest? =
      slots[terms.count * shards + 1] > 0
      ? .preemption : slots[terms.count * shards] > 0 ? .interrupt : nil

    if let rows {
      try waiting { () throws(CollectiveError) in
        try rows.begin(
          Self.union(batches.map { method.tableRows(of: $0) }),
          reading: method.readsMoreRows ? Self.union(batches.map { method.rowsRead(of: $0) }) : nil)
        if isStale {
          try workspace.measured("all-to-all of rows") { () throws(CollectiveError) in
            try rows.pull(&parameters)
          }
          dense?.gather(parameters)
        }
      }
    }
    isStale = isSharded

    let weightSet = parameters
    var sums = [Double](repeating: 0, count: terms.count * shards)
    gradients.reset()
    dense?.begin(gradients, digest: watch?.digest)
    watch?.finding = nil
    let sendEntry = { [dense] (entry: Int) -> Void in dense?.isFinal(entry) }
    accumulate(passes, into: gradients, level: 0, whenFinal: sendEntry) {
      range, gradients, whenFinal in
      let index = ranges.firstIndex(of: range) ?? 0
      let check = watch?.check()
      let pass = Pass(
        workspace: workspace, gradients: gradients, bySegment: fullDeterminism, terms: terms,
        seeds: seeds, itemWeights: itemWeights[index], segments: range.count, weights: weightSet,
        key: key, inner: inner, check: check,
        whenRead: isSharded ? { [dense] in dense?.waitForWeights($0) } : nil,
        whenFinal: whenFinal, whenLossIsNotFinite: { [dense] in dense?.lossIsNotFinite() })
      method.accumulate(batches[index], pass)
      pass.finish()
      watch?.note(check)
      for term in terms.indices {
        for (segment, shard) in range.enumerated() {
          sums[term * shards + shard] += pass.sums[term][segment]
        }
      }
    }
    watch?.sums = terms.indices.map { sums[$0 * shards..<($0 + 1) * shards].reduce(0, +) }
    let ownRowsAreFinite = dense == nil || gradients.rowsAreFinite(in: workspace)
    do throws(CollectiveError) {
      try waiting { () throws(CollectiveError) in try exchange(gradients) }
    } catch {
      guard error.code == .notFinite else { throw error }
      // Nothing has been sent: the gradient is still this rank's own.
      watch?.digest?.note(gradients.layout.entries.indices, of: gradients)
      return StepOutcome(
        losses: weights.map { _ in .nan }, weights: weights, gradientNorm: .nan, badShards: [],
        badRanks: error.others, stop: stop)
    }
    var squares = gradients.squares(of: isSharded ? optimiserShare : nil, in: workspace)
    let ranks = communicator.size
    var flags = [Double](repeating: 0, count: ranks)
    if let dense, !ownRowsAreFinite || !dense.ownGradientIsFinite { flags[communicator.rank] = 1 }
    sums += flags
    if isSharded { sums += squares }
    try waiting { () throws(CollectiveError) in try sum(&sums) }
    if isSharded { squares = Array(sums[(terms.count * shards + ranks)...]) }
    let losses = terms.indices.map { term in
      weights[term] > 0 ? fold(sums, term: term) / weights[term] : 0
    }
    let badShards = (0..<shards).filter { shard in
      terms.indices.contains { !sums[$0 * shards + shard].isFinite }
    }
    return StepOutcome(
      losses: losses, weights: weights, gradientNorm: GradientBuffer.norm(ofSquares: squares),
      badShards: badShards,
      badRanks: (0..<ranks).filter { sums[terms.count * shards + $0] > 0 }, stop: stop)
  }

  /// What a segment adds to a term's weight: its own weight, or how many of its items have one.
  private static func weight(
    _ weights: [Double], ofSegment segment: Int, _ batch: some StepBatch, _ term: MethodTerm
  ) -> Double {
    switch term.scope {
    case .step: return weights[segment]
    case .item:
      let items = batch.segmentBounds[segment]..<batch.segmentBounds[segment + 1]
      return Double(weights[items].count { $0 > 0 })
    }
  }

  /// Computes what one shard gives alone, on this rank alone, as the step computes it: for a shard whose numbers are
  /// looked into.
  ///
  /// - Returns: The sums of the terms; the gradient is left in `gradients`.
  func shardSums<Method: TrainingMethod>(
    _ method: Method, _ batch: Method.Batch, parameters: ParameterSet, gradients: GradientBuffer,
    key: StepKey
  ) -> [Double] {
    var batch = batch
    gradients.reset()
    method.prepare(&batch, in: workspace)
    let pass = Pass(
      workspace: workspace, gradients: gradients, bySegment: true, terms: method.terms,
      seeds: method.terms.map(\.coefficient), itemWeights: method.weights(of: batch), segments: 1,
      weights: parameters, key: key, inner: inner, check: nil, whenRead: nil, whenFinal: nil,
      whenLossIsNotFinite: {})
    method.accumulate(batch, pass)
    pass.finish()
    return pass.sums.map { $0[0] }
  }

  /// Runs the passes of a tree and leaves their sum in `gradients`.
  ///
  /// - Parameter whenFinal: Called with each entry once its sum is formed: in the last pass, while others are not.
  private func accumulate(
    _ tree: PassTree, into gradients: GradientBuffer, level: Int, whenFinal: ((Int) -> Void)?,
    _ pass: (Range<Int>, GradientBuffer, _ whenFinal: ((Int) -> Void)?) -> Void
  ) {
    switch tree {
    case .pass(let range):
      gradients.reset()
      pass(range, gradients, whenFinal)
    case .both(let left, let right):
      accumulate(left, into: gradients, level: level, whenFinal: nil, pass)
      if spareGradients.count == level {
        spareGradients.append(
          GradientBuffer(layout: gradients.layout, trained: gradients.trained))
      }
      let spare = spareGradients[level]
      accumulate(
        right, into: spare, level: level + 1,
        whenFinal: { [workspace] entry in
          gradients.add(spare, entry: entry, in: workspace)
          whenFinal?(entry)
        }, pass)
      gradients.addRows(spare, in: workspace)
    }
  }

  private func waiting<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) {
    let start = Profile.now()
    try body()
    waitedSeconds += Profile.now() - start
  }

  /// The rows that all passes use of each table, from those of each pass.
  private static func union(_ rows: [[[Int32]]]) -> [[Int32]] {
    if rows.count == 1 { return rows[0] }
    return (rows.first ?? []).indices.map { table in
      Set(rows.flatMap { $0[table] }).sorted()
    }
  }

  /// Makes all weights those that the ranks have updated. Nothing to do where each updates all.
  ///
  /// - Parameter rowsInUse: Of each table, as the optimiser's state names them.
  public func complete(
    _ parameters: inout ParameterSet, rowsInUse: [RowSet]
  ) throws(CollectiveError) {
    guard isStale, let rows, let dense else { return }
    isStale = false
    // A snapshot of them may still be read.
    parameters.makeUnique()
    try waiting { () throws(CollectiveError) in
      try rows.collect(&parameters, inUse: rowsInUse)
      dense.gather(parameters)
      try dense.finishWeights()
    }
  }

  /// Ends the exchange of buckets, then adds the rows of tables: beside the buckets their small messages would queue
  /// behind them.
  private func exchange(_ gradients: GradientBuffer) throws(CollectiveError) {
    guard let dense else {
      watch?.digest?.note(gradients.layout.entries.indices, of: gradients)
      return
    }
    let transfers = try workspace.measured("all-reduce not hidden") {
      () throws(CollectiveError) in try dense.finish()
    }
    if let profile = workspace.profile {
      for transfer in transfers {
        profile.addEvent(
          transfer.name, start: transfer.start, seconds: transfer.seconds)
      }
    }
    watch?.digest?.note(gradients.layout.tables, of: gradients)
    try workspace.measured("all-reduce of rows") { () throws(CollectiveError) in
      try rows?.sum(gradients)
    }
  }

  private func fold(_ slots: [Double], term: Int) -> Double {
    FoldTree.fold(shards, leaf: { slots[term * shards + $0] }, combine: +)
  }

  private func sum(_ values: inout [Double]) throws(CollectiveError) {
    if communicator.size == 1 { return }
    try communicator.allReduce(&values, .sum)
  }
}
