import Configuration
import Corpus
import Model
import Tensors
import Training

/// The steps of a stage as work: which items each has, how they are dealt to ranks, what that costs.
struct StageWork<Task: TrainingTask>: Sendable {
  let stage: Stage
  let steps: Int
  let method: Task.Method
  let network: any Network
  let rates: ParameterRates
  private let configuration: RunConfiguration
  private let feed: Task.Feed
  private let firstSteps: Int

  /// The steps that means are taken over.
  private static var sampledSteps: Int { 200 }

  /// Made once where a step cannot be gone to at once.
  private var made: [Step] = []

  init(_ trainer: StageTrainer<Task>, _ stage: Stage, _ configuration: RunConfiguration) throws {
    self.stage = stage
    self.configuration = configuration
    steps = trainer.totalSteps
    method = trainer.task.method
    network = trainer.task.network
    rates = trainer.rates
    var feed = trainer.task.feed
    firstSteps = feed.representativeSteps(of: steps)
    self.feed = feed
    if feed.cursor != nil {
      for index in 0..<firstSteps { made.append(try makeStep(index, &feed)) }
    }
  }

  /// A step, dealt to shards as training deals it.
  struct Step: Sendable {
    /// At this step.
    fileprivate var feed: Task.Feed
    fileprivate var lengths: [[Int]]
    var shards: [[Int]]
    /// The cost of each shard.
    var costs: [Int]
  }

  /// Step `index` of the first epoch, around its end.
  func step(_ index: Int) throws -> Step {
    if !made.isEmpty { return made[index % made.count] }
    var feed = feed
    return try makeStep(index % firstSteps, &feed)
  }

  private func makeStep(_ index: Int, _ feed: inout Task.Feed) throws -> Step {
    let items = try feed.go(toStep: index)
    let lengths = (0..<items.count).map { feed.lengths(ofItem: $0) }
    let costs = lengths.map { network.cost(ofSequences: $0) }
    let shards = Sharding.assign(costs: costs, shards: configuration.shards)
    return Step(
      feed: feed, lengths: lengths, shards: shards,
      costs: shards.map { members in members.reduce(0) { $0 + costs[$1] } })
  }

  /// The shards of each of `ranks` ranks.
  func nodes(ranks: Int) -> [Range<Int>] {
    (0..<ranks).map {
      GradientStep.node(
        ofRank: $0, ranks: ranks, shards: configuration.shards,
        fullDeterminism: configuration.fullDeterminism)
    }
  }

  /// What each rank's share of a step costs.
  func shareCosts(of step: Step, ranks: Int) -> [Int] {
    nodes(ranks: ranks).map { step.costs[$0].reduce(0, +) }
  }

  func batch(of step: Step, _ range: Range<Int>) -> Task.Batch {
    step.feed.batch(step.shards, shards: range)
  }

  func passes(of step: Step, _ node: Range<Int>) -> PassTree {
    let tokens = step.shards.map { members in
      members.reduce(0) { $0 + step.lengths[$1].reduce(0, +) }
    }
    return PassTree(
      node: node, tokens: tokens,
      budget: method.worksByShard ? 0 : stage.training.maxTokensPerPass)
  }

  // MARK: Means

  /// The tables whose gradients are of rows.
  private var tables: [Int] { network.layout.tables.filter { rates.trained[$0] } }

  /// The floats of a row of the first of them, in which rows of all are counted.
  var rowLength: Int { tables.first.map { network.layout.entries[$0].shape[1] } ?? 1 }

  func means(ranks: Int) throws -> StageMeans {
    let count = min(Self.sampledSteps, firstSteps)
    let nodes = nodes(ranks: ranks)
    var means = StageMeans()
    for index in 0..<count {
      let step = try step(index * firstSteps / count)
      means.slowestCost += Double(shareCosts(of: step, ranks: ranks).max() ?? 0)
      let batches = nodes.map { batch(of: step, $0) }
      means.tokens += Double(batches.reduce(0) { $0 + $1.tokenCount })
      let rows = batches.map { method.tableRows(of: $0) }
      for table in tables {
        let entry = network.layout.entries[table]
        let plan = RowPlan(rows.map { $0[table] }, tableRows: entry.shape[0])
        let scale = Double(entry.shape[1]) / Double(rowLength)
        means.ownRows += scale * Double(plan.rows.reduce(0) { $0 + $1.count }) / Double(ranks)
        means.summedRows += scale * Double(plan.traffic(plan.cheapest))
        means.ownedRows += scale * Double(plan.ownedTraffic)
      }
    }
    means.tokens /= Double(count)
    means.slowestCost /= Double(count)
    means.ownRows /= Double(count)
    means.summedRows /= Double(count)
    means.ownedRows /= Double(count)
    return means
  }

  /// As many rows of each table as moments exist for on the mean over the stage's steps: those of the first steps.
  ///
  /// A row has moments from the first step on that uses it. Rows that the first epoch does not use are left out.
  func rowsInUse() throws -> [[Int32]] {
    var used = network.layout.tables.map { RowSet(tableRows: network.layout.entries[$0].shape[0]) }
    if tables.isEmpty { return used.map(\.rows) }
    var feed = feed
    var sums = used.map { _ in 0.0 }
    for index in 0..<firstSteps {
      let items = try feed.go(toStep: index)
      let batch = feed.batch([Array(0..<items.count)], shards: 0..<1)
      for (table, rows) in method.tableRows(of: batch).enumerated() where tables.contains(table) {
        for row in rows { used[table].insert(row) }
      }
      for table in tables { sums[table] += Double(used[table].rows.count) }
    }
    return used.indices.map { table in
      let all = used[table].rows
      let sum = sums[table] + Double(steps - firstSteps) * Double(all.count)
      return Array(all.prefix(Int((sum / Double(max(1, steps))).rounded())))
    }
  }
}

/// Means over steps spread through a stage's first epoch.
struct StageMeans: Sendable {
  /// Of the whole step.
  var tokens = 0.0
  /// The cost of the costliest rank's share.
  var slowestCost = 0.0
  /// The rows of tables that a rank touches, in rows of the first table's length.
  var ownRows = 0.0
  /// The rows that the rank that sends most sends for their sums, or what owners give or get.
  var summedRows = 0.0
  var ownedRows = 0.0
}
