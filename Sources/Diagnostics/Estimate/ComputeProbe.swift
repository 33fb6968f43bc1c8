import Collectives
import Configuration
import Corpus
import Glibc
import Model
import Synchronization
import Tensors
import Training

/// Runs real steps of a stage as one rank among several would, alone or beside others of its host, and keeps nothing.
///
/// The sentences, the way they are dealt, forward, backward, norm and update are those of training; only the sums over
/// ranks are missing. Without neighbours the rank that is run is, in each step, the one with the costliest share: the
/// one that the others wait for.
struct ComputeProbe<Task: TrainingTask> {
  let work: StageWork<Task>
  /// The rows that have moments before the first step.
  let rowsInUse: [[Int32]]
  let kernels: KernelTable
  let precision: Precision
  let threads: Int
  /// Steps that are timed, after ``warmup`` that are not.
  let steps: Int
  let shards: Int
  let fullDeterminism: Bool
  let buckets: GradientBuckets
  let optimiser: Optimiser
  /// The rate at which a rank's bytes move.
  let bytesPerSecond: Double

  private static var warmup: Int { 3 }

  /// - Parameters:
  ///   - ranks: Of the whole group whose share of a step is worked on.
  ///   - neighbours: How many of them run at once on this machine, this one included.
  ///   - means: Of the stage's steps over so many ranks.
  ///   - model: Makes the weights, once for each of the neighbours.
  func run(
    ranks: Int, neighbours: Int, means: StageMeans, model: () throws -> TrainedModel,
    residentBefore: Double
  ) throws -> ProbeOutcome {
    let store = ModelStore(try (0..<neighbours).map { _ in try model() })
    // A bucket is two waits, in each of which a rank sends its even part.
    let bytesPerWait =
      4 * buckets.floats.reduce(0, +) / max(1, buckets.floats.count) * (ranks - 1) / ranks
    let traffic = try (0..<(ranks > 1 ? neighbours : 0)).map { _ in
      try StandInTraffic(bytesPerSecond: bytesPerSecond, bytesPerWait: bytesPerWait)
    }
    // As many threads again for the traffic of each.
    let outcomes = try ThreadGroup.run(ranks: neighbours + traffic.count) { all in
      let group = try all.split(color: all.rank < neighbours ? 0 : 1, key: all.rank)
      if all.rank >= neighbours {
        traffic[group.rank].run()
        return RankMoments()
      }
      defer { for each in traffic { each.stop() } }
      return try rank(
        of: ranks, beside: group, store, traffic: traffic.isEmpty ? nil : traffic[group.rank])
    }
    let moments = outcomes.prefix(neighbours)
    let bytes = moments.map(\.resident).max() ?? 0
    // By step: when the last of the neighbours was so far.
    func latest(_ steps: (RankMoments) -> [Moments]) -> [Moments] {
      (0..<self.steps).map { step in
        moments.dropFirst().reduce(steps(moments[0])[step]) { $0.later(steps($1)[step]) }
      }
    }
    let timed = latest(\.steps)
    let scales = timed.map { means.slowestCost / max(1, $0.cost) }
    func median(_ value: (Moments) -> Double, scaled: Bool = false) -> Double {
      let values = zip(timed, scales).map { value($0) * (scaled ? $1 : 1) }.sorted()
      return (values[(steps - 1) / 2] + values[steps / 2]) / 2
    }
    var ready: [Double] = []
    for bucket in buckets.floats.indices {
      let moment = median({ $0.ready[bucket] - $0.begun }, scaled: true)
      ready.append(max(moment, ready.last ?? 0))
    }
    let forward = median({ $0.forward }, scaled: true)
    let passes = max(median({ $0.final - $0.begun }, scaled: true), ready.last ?? 0)
    var overlap = Overlap(
      keptShare: 1, bytesPerSecond: bytesPerSecond, noticeSeconds: 0)
    if !traffic.isEmpty {
      // The same steps with traffic and without, one after the other.
      let shares = zip(timed, latest(\.besideTraffic)).map { alone, beside in
        (alone.final - alone.begun) / max(1e-9, beside.final - beside.begun)
      }.sorted()
      overlap.keptShare = min(1, (shares[(steps - 1) / 2] + shares[steps / 2]) / 2)
      overlap.bytesPerSecond =
        traffic.reduce(0) { $0 + $1.rate } / Double(traffic.count)
      overlap.noticeSeconds =
        traffic.reduce(0) { $0 + $1.noticeSeconds } / Double(traffic.count)
    }
    return ProbeOutcome(
      compute: StepCompute(
        beforeSeconds: median { $0.begun }, forwardSeconds: min(forward, passes),
        backwardSeconds: max(0, passes - forward),
        afterSeconds: median { $0.summed - $0.final },
        optimiserSeconds: median { $0.updated - $0.met }, readySeconds: ready),
      overlap: overlap,
      rankBytes: residentBefore + (bytes - residentBefore) / Double(neighbours))
  }

  private func rank(
    of ranks: Int, beside group: any Communicator, _ store: ModelStore,
    traffic: StandInTraffic?
  ) throws -> RankMoments {
    let workspace = Workspace(kernels: kernels, threadCount: threads, precision: precision)
    defer { workspace.stop() }
    var parameters = store.take(group.rank).parameters
    let layout = parameters.layout
    let gradients = GradientBuffer(layout: layout, trained: work.rates.trained)
    var state = OptimiserState(optimiser.algorithm, layout: layout)
    for (table, rows) in rowsInUse.enumerated() {
      for row in rows { state.rowsInUse[table].insert(row) }
    }
    let clock = PassClock(entries: layout.entries.count)
    let method = ClockedMethod(method: work.method, clock: clock)
    let gradientStep = try GradientStep(
      communicator: SingleRank(), workspace: workspace, layout: layout,
      trained: work.rates.trained, shards: shards, fullDeterminism: fullDeterminism)
    // Far below any rate of training: the weights stay what they are.
    let rates = work.rates.at(work.stage.training.learningRate * 1e-3)
    var result = RankMoments()
    let turns = traffic == nil ? [false] : [false, true]
    for (index, moves) in (0..<Self.warmup + steps).flatMap({ step in turns.map { (step, $0) } }) {
      try group.barrier()
      if moves { traffic?.begin() }
      let start = Profile.now()
      clock.reset()
      let step = try work.step(index)
      let costs = work.shareCosts(of: step, ranks: ranks)
      let order = costs.indices.sorted { (costs[$1], $0) < (costs[$0], $1) }
      let place = order[group.rank]
      let passes = work.passes(of: step, work.nodes(ranks: ranks)[place])
      let outcome = try gradientStep.run(
        method, parameters: &parameters, gradients: gradients,
        key: StepKey(seed: 0, stage: 0, step: index), passes: passes,
        batch: { work.batch(of: step, $0) })
      let summed = Profile.now()
      if moves { traffic?.pause() }
      // As after the sums over ranks: all update at once.
      try group.barrier()
      let met = Profile.now()
      optimiser.update(
        &parameters, gradients, &state, norm: outcome.gradientNorm, rates: rates, in: workspace)
      let updated = Profile.now()
      if index < Self.warmup { continue }
      let final = clock.finals.max() ?? clock.ended
      var ready = [Double](repeating: 0, count: buckets.floats.count)
      for (entry, bucket) in buckets.ofEntry.enumerated() {
        if let bucket { ready[bucket] = max(ready[bucket], clock.finals[entry] - start) }
      }
      let moments = Moments(
        cost: Double(costs[place]), begun: (clock.begun ?? start) - start,
        forward: clock.forwardSeconds, ready: ready, final: final - start,
        summed: summed - start, met: met - start, updated: updated - start)
      if moves {
        result.besideTraffic.append(moments)
      } else {
        result.steps.append(moments)
      }
    }
    // While all still hold what they need.
    try group.barrier()
    result.resident = ResidentMemory.bytes
    try group.barrier()
    return result
  }
}

/// The weights of each rank until it takes them: held by it alone, they need not be copied.
private final class ModelStore: Sendable {
  private let models: Mutex<[TrainedModel?]>

  init(_ models: [TrainedModel]) { self.models = Mutex(models) }

  func take(_ rank: Int) -> TrainedModel {
    let taken = models.withLock { models in
      defer { models[rank] = nil }
      return models[rank]
    }
    guard let taken else { preconditionFailure("the weights of rank \(rank) are taken twice") }
    return taken
  }
}

/// Notes when a rank's passes begin, when the gradient of the first of their entries is final, from which on it counts as
/// the backward pass, and when that of each is. One thread uses it.
private final class PassClock: @unchecked Sendable {
  private(set) var begun: Double?
  private(set) var ended = 0.0
  private(set) var forwardSeconds = 0.0
  private(set) var finals: [Double]
  private var start = 0.0
  private var isForward = false

  init(entries: Int) { finals = [Double](repeating: 0, count: entries) }

  func reset() {
    begun = nil
    forwardSeconds = 0
    for entry in finals.indices { finals[entry] = 0 }
  }

  /// A pass, of which no more is known than its begin, its end and when entries are final.
  func pass(_ body: () -> Void) {
    start = Profile.now()
    isForward = true
    if begun == nil { begun = start }
    body()
    ended = Profile.now()
    endForward(at: ended)
  }

  func isFinal(_ entry: Int) {
    let now = Profile.now()
    endForward(at: now)
    finals[entry] = now
  }

  private func endForward(at moment: Double) {
    if isForward { forwardSeconds += moment - start }
    isForward = false
  }
}

/// A method whose passes a clock follows.
private struct ClockedMethod<Method: TrainingMethod>: TrainingMethod {
  let method: Method
  let clock: PassClock

  var terms: [MethodTerm] { method.terms }
  var worksByShard: Bool { method.worksByShard }
  var readsMoreRows: Bool { method.readsMoreRows }

  func prepare(_ batch: inout Method.Batch, in workspace: Workspace) {
    method.prepare(&batch, in: workspace)
  }

  func weights(of batch: Method.Batch) -> [[Double]] { method.weights(of: batch) }

  func tableRows(of batch: Method.Batch) -> [[Int32]] { method.tableRows(of: batch) }

  func rowsRead(of batch: Method.Batch) -> [[Int32]] { method.rowsRead(of: batch) }

  func accumulate(_ batch: Method.Batch, _ pass: Pass) {
    pass.observe { [clock] in clock.isFinal($0) }
    clock.pass { method.accumulate(batch, pass) }
  }
}

/// What a probe measured.
struct ProbeOutcome: Sendable {
  /// Medians over the steps, each scaled to the mean work of the stage's steps.
  var compute: StepCompute
  /// What computing and moving bytes leave of each other.
  var overlap: Overlap
  /// What a rank has in memory, in bytes.
  var rankBytes: Double

  /// Takes away what a rank among several does not keep and update of the optimiser's state.
  mutating func keepShare<Task>(of ranks: Int, _ probe: ComputeProbe<Task>) {
    let layout = probe.work.network.layout
    let rows = zip(layout.tables, probe.rowsInUse).reduce(0) {
      $0 + $1.1.count * layout.entries[$1.0].shape[1]
    }
    let floats = probe.buckets.floats.reduce(0, +) + rows
    let others = Double(ranks - 1) / Double(ranks)
    rankBytes -= 2 * Double(floats * MemoryLayout<Float>.stride) * others
    compute.optimiserSeconds *= 1 - others
  }
}

/// When a rank was how far in a step, in seconds since its start.
private struct Moments: Sendable {
  var cost: Double
  var begun: Double
  /// A length of time: the forward passes.
  var forward: Double
  var ready: [Double]
  var final: Double
  var summed: Double
  /// When all of the neighbours had come so far.
  var met: Double
  var updated: Double

  func later(_ other: Moments) -> Moments {
    Moments(
      cost: max(cost, other.cost), begun: max(begun, other.begun),
      forward: max(forward, other.forward), ready: zip(ready, other.ready).map(max),
      final: max(final, other.final), summed: max(summed, other.summed),
      met: max(met, other.met), updated: max(updated, other.updated))
  }
}

private struct RankMoments: Sendable {
  var steps: [Moments] = []
  /// The same steps, while bytes move.
  var besideTraffic: [Moments] = []
  var resident = 0.0
}

/// What this process has in memory.
enum ResidentMemory {
  /// Now, in bytes, without what it shares with other processes' files; 0 where the system does not tell.
  static var bytes: Double {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var text = [UInt8](repeating: 0, count: 128)
    let count = unsafe fread(&text, 1, text.count, file)
    let fields = String(decoding: text.prefix(count), as: UTF8.self).split(separator: " ")
    guard fields.count > 1, let pages = Double(fields[1]) else { return 0 }
    return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
  }
}
