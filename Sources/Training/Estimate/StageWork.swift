import Configuration
import Corpus
import Model
import Tensors

/// The steps of a stage as work: which sentences each has, how they are dealt to ranks, what that costs.
struct StageWork: Sendable {
  let stage: Stage
  let steps: Int
  let method: any TrainingMethod
  let network: any Network
  let rates: ParameterRates
  private let configuration: RunConfiguration
  private let feed: any StageFeed
  private let firstSteps: Int

  /// The steps that means are taken over.
  private static let sampledSteps = 200

  /// Made once where a step cannot be gone to at once.
  private var made: [Step] = []

  init(_ trainer: StageTrainer) throws {
    stage = trainer.stage
    steps = trainer.totalSteps
    method = trainer.task.method
    network = trainer.model.network
    rates = trainer.parameterRates()
    configuration = trainer.context.configuration
    var feed = trainer.feed
    firstSteps = feed.representativeSteps(of: steps)
    self.feed = feed
    if feed.cursor != nil {
      for index in 0..<firstSteps { made.append(try makeStep(index, &feed)) }
    }
  }

  /// A step, dealt to shards as training deals it.
  struct Step: Sendable {
    /// At this step.
    fileprivate var feed: any StageFeed
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

  private func makeStep(_ index: Int, _ feed: inout any StageFeed) throws -> Step {
    let items = try feed.go(toStep: index)
    let encoder = network.configuration
    let lengths = (0..<items.count).map { feed.lengths(ofItem: $0) }
    let costs = lengths.map {
      Sharding.cost(ofSequences: $0, width: encoder.hiddenSize, inner: encoder.innerSize)
    }
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

  func batch(of step: Step, _ range: Range<Int>) -> PackedBatch {
    step.feed.batch(step.shards, shards: range)
  }

  func passes(of step: Step, _ node: Range<Int>) -> PassTree {
    let tokens = step.shards.map { members in
      members.reduce(0) { $0 + step.lengths[$1].reduce(0, +) }
    }
    return PassTree(node: node, tokens: tokens, budget: stage.training.maxTokensPerPass)
  }

  // MARK: Means

  /// Means over steps spread through the first epoch.
  struct Means: Sendable {
    /// Of the whole step.
    var tokens = 0.0
    /// The cost of the costliest rank's share.
    var slowestCost = 0.0
    /// The rows of the word table that a rank touches.
    var ownRows = 0.0
    /// Of them what the rank that sends most sends for their sums, or what owners give or get.
    var summedRows = 0.0
    var ownedRows = 0.0
  }

  func means(ranks: Int) throws -> Means {
    let count = min(Self.sampledSteps, firstSteps)
    let nodes = nodes(ranks: ranks)
    var means = Means()
    for index in 0..<count {
      let step = try step(index * firstSteps / count)
      means.slowestCost += Double(shareCosts(of: step, ranks: ranks).max() ?? 0)
      let batches = nodes.map { batch(of: step, $0) }
      means.tokens += Double(batches.reduce(0) { $0 + $1.tokenCount })
      guard hasRows else { continue }
      let plan = RowPlan(
        batches.map { Set($0.tokenIDs).sorted() },
        tableRows: network.layout.entries[0].shape[0])
      means.ownRows += Double(plan.rows.reduce(0) { $0 + $1.count }) / Double(ranks)
      means.summedRows += Double(plan.traffic(plan.cheapest))
      means.ownedRows += Double(plan.ownedTraffic)
    }
    means.tokens /= Double(count)
    means.slowestCost /= Double(count)
    means.ownRows /= Double(count)
    means.summedRows /= Double(count)
    means.ownedRows /= Double(count)
    return means
  }

  /// Whether gradients of the word table are of rows.
  private var hasRows: Bool { !network.layout.tables.isEmpty && (rates.trained.first ?? false) }

  /// As many rows of the word table as moments exist for on the mean over the stage's steps: those of the first steps.
  ///
  /// A row has moments from the first step on that uses it. Rows that the first epoch does not use are left out.
  func rowsInUse() throws -> [Int32] {
    guard hasRows else { return [] }
    var used = RowSet(tableRows: network.layout.entries[0].shape[0])
    var feed = feed
    var sum = 0.0
    for index in 0..<firstSteps {
      for item in 0..<(try feed.go(toStep: index).count) {
        for token in feed.tokens(ofItem: item) { used.insert(token) }
      }
      sum += Double(used.rows.count)
    }
    sum += Double(steps - firstSteps) * Double(used.rows.count)
    return Array(used.rows.prefix(Int((sum / Double(max(1, steps))).rounded())))
  }
}
