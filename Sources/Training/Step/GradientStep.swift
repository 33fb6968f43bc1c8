public import Collectives
public import Corpus
import Determinism
public import Tensors

/// The shards that a rank works on at once, or two halves one after the other whose gradients are added.
///
/// Halves follow ``FoldTree``, so that a gradient has the same bits however often it is cut.
public indirect enum PassTree: Sendable, Equatable {
  case pass(Range<Int>)
  case both(PassTree, PassTree)

  /// Cuts a node of shards until each pass costs at most `budget`, or is one shard.
  public init(node: Range<Int>, tokens: [Int], budget: Int?) {
    let total = tokens[node].reduce(0, +)
    guard let budget, total > budget, node.count > 1 else {
      self = .pass(node)
      return
    }
    let middle = node.lowerBound + FoldTree.leftCount(of: node.count)
    self = .both(
      PassTree(node: node.lowerBound..<middle, tokens: tokens, budget: budget),
      PassTree(node: middle..<node.upperBound, tokens: tokens, budget: budget))
  }

  public var passes: [Range<Int>] {
    switch self {
    case .pass(let range): [range]
    case .both(let left, let right): left.passes + right.passes
    }
  }
}

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
    shards: Int, fullDeterminism: Bool, gradientType: GradientType = .fp32,
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
  ///   - passes: This rank's shards, cut into passes.
  ///   - batch: Gives the packed batch of a range of shards.
  ///   - stop: Whether, and why, this rank asks all to stop.
  public func run(
    _ method: some TrainingMethod, parameters: inout ParameterSet, gradients: GradientBuffer,
    dropout: DropoutKey?, passes: PassTree, batch: (Range<Int>) -> PackedBatch,
    stop: StopRequest? = nil
  ) throws(CollectiveError) -> StepOutcome {
    communicator.activity.begin("forward and backward pass")
    let terms = method.termNames.count
    let ranges = passes.passes
    let batches = ranges.map(batch)

    // One slot a term and shard: each is filled by one rank, so that their sum is exact.
    var slots = [Double](repeating: 0, count: terms * shards + 2)
    for (range, batch) in zip(ranges, batches) {
      for (term, weights) in method.weights(of: batch).enumerated() {
        for (shard, weight) in zip(range, weights) { slots[term * shards + shard] = weight }
      }
    }
    slots[terms * shards] = stop == .interrupt ? 1 : 0
    slots[terms * shards + 1] = stop == .preemption ? 1 : 0
    try waiting { () throws(CollectiveError) in try sum(&slots) }
    let weights = (0..<terms).map { fold(slots, term: $0) }
    let stop: StopRequest? =
      slots[terms * shards + 1] > 0
      ? .preemption : slots[terms * shards] > 0 ? .interrupt : nil

    if let rows {
      try waiting { () throws(CollectiveError) in
        try rows.begin(tableRows(method, batches))
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
    var sums = [Double](repeating: 0, count: terms * shards)
    gradients.reset()
    dense?.begin(gradients, digest: watch?.digest, leavesOut: watch?.fault == .bucket ? 0 : nil)
    watch?.finding = nil
    let whenFinal = { [dense, watch] (entry: Int) in
      watch?.poison(entry, of: gradients)
      dense?.isFinal(entry)
    }
    accumulate(passes, into: gradients, level: 0, whenFinal: whenFinal) {
      range, gradients, whenFinal in
      let index = ranges.firstIndex(of: range) ?? 0
      let tape = Tape(
        workspace: workspace, parameters: weightSet, gradients: gradients, dropout: dropout)
      if isSharded, let dense { tape.whenRead = { dense.waitForWeights($0) } }
      tape.whenFinal = whenFinal
      tape.check = watch?.check()
      method.record(batches[index], bySegment: fullDeterminism, on: tape)
      for term in tape.terms {
        guard let place = method.termNames.firstIndex(of: term.name) else {
          preconditionFailure("a term \(term.name) that the method does not name")
        }
        if watch?.fault == .loss { sums[place * shards + range.lowerBound] = .nan }
        if watch?.fault == .loss || !term.segmentSums.allSatisfy(\.isFinite) {
          dense?.lossIsNotFinite()
        }
        term.seed = weights[place] > 0 ? Float(1 / weights[place]) : 0
        for (segment, sum) in term.segmentSums.enumerated() {
          sums[place * shards + range.lowerBound + segment] += sum
        }
      }
      tape.backward()
      watch?.note(tape.check)
    }
    watch?.sums = (0..<terms).map { sums[$0 * shards..<($0 + 1) * shards].reduce(0, +) }
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
    if watch?.fault == .count { sums.append(0) }
    if watch?.fault != .skip {
      try waiting { () throws(CollectiveError) in try sum(&sums) }
    }
    if isSharded { squares = Array(sums[(terms * shards + ranks)...]) }
    let losses = (0..<terms).map { term in
      weights[term] > 0 ? fold(sums, term: term) / weights[term] : 0
    }
    let badShards = (0..<shards).filter { shard in
      (0..<terms).contains { !sums[$0 * shards + shard].isFinite }
    }
    return StepOutcome(
      losses: losses, weights: weights, gradientNorm: GradientBuffer.norm(ofSquares: squares),
      badShards: badShards, badRanks: (0..<ranks).filter { sums[terms * shards + $0] > 0 },
      stop: stop)
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

  /// The rows that all passes use of each table.
  private func tableRows(_ method: some TrainingMethod, _ batches: [PackedBatch]) -> [[Int32]] {
    let rows = batches.map { method.tableRows(of: $0) }
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
