import Configuration
import Corpus
import Model
import Tensors

/// The steps of a stage as work: which sentences each has, how they are dealt to ranks, what that costs.
struct StageWork: Sendable {
  let stage: Stage
  let steps: Int
  let method: TokenClassification
  let rates: ParameterRates
  let splits: [Split]
  private let configuration: RunConfiguration
  private let plan: StagePlan
  private let firstSteps: Int

  /// The steps that means are taken over.
  private static let sampledSteps = 200

  init(_ trainer: StageTrainer) {
    stage = trainer.stage
    steps = trainer.totalSteps
    method = trainer.method
    rates = trainer.parameterRates()
    splits = trainer.context.corpora.compactMap(\.train)
    configuration = trainer.context.configuration
    var plan = trainer.plan
    firstSteps = max(1, min(steps, plan.firstStep(ofEpoch: 1)))
    self.plan = plan
  }

  /// A step, dealt to shards as training deals it.
  struct Step {
    var items: ArraySlice<SentenceReference>
    var shards: [[Int]]
    /// The cost of each shard.
    var costs: [Int]
  }

  /// Step `index` of the first epoch, around its end.
  func step(_ index: Int) -> Step {
    var plan = plan
    let items = plan.sentences(ofStep: index % firstSteps)
    let encoder = method.model.configuration
    let costs = Sharding.costs(
      of: items, in: splits, width: encoder.hiddenSize, inner: encoder.innerSize)
    let shards = Sharding.assign(costs: costs, shards: configuration.shards)
    return Step(
      items: items, shards: shards,
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
    PackedBatch(step: step.items, assignment: step.shards, shards: range, splits: splits)
  }

  func passes(of step: Step, _ node: Range<Int>) -> PassTree {
    let tokens = step.shards.map { members in
      members.reduce(0) { sum, member in
        let item = step.items[step.items.startIndex + member]
        return sum + splits[item.language].tokenCount(of: item.sentence)
      }
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

  func means(ranks: Int) -> Means {
    let count = min(Self.sampledSteps, firstSteps)
    let nodes = nodes(ranks: ranks)
    let hasRows = rates.trained.first ?? false
    var means = Means()
    for index in 0..<count {
      let step = step(index * firstSteps / count)
      means.slowestCost += Double(shareCosts(of: step, ranks: ranks).max() ?? 0)
      let batches = nodes.map { batch(of: step, $0) }
      means.tokens += Double(batches.reduce(0) { $0 + $1.tokenCount })
      guard hasRows else { continue }
      let plan = RowPlan(
        batches.map { Set($0.tokenIDs).sorted() },
        tableRows: method.model.layout.entries[0].shape[0])
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

  /// As many rows of the word table as moments exist for on the mean over the stage's steps: those of the first steps.
  ///
  /// A row has moments from the first step on that uses it. Rows that the first epoch does not use are left out.
  func rowsInUse() -> [Int32] {
    guard rates.trained.first ?? false else { return [] }
    var used = RowSet(tableRows: method.model.layout.entries[0].shape[0])
    var plan = plan
    var sum = 0.0
    for index in 0..<firstSteps {
      for item in plan.sentences(ofStep: index) {
        let split = splits[item.language]
        let windows = split.sentenceBounds[item.sentence]..<split.sentenceBounds[item.sentence + 1]
        let tokens = split.windowBounds[windows.lowerBound]..<split.windowBounds[windows.upperBound]
        for token in split.tokens[tokens] { used.insert(token) }
      }
      sum += Double(used.rows.count)
    }
    sum += Double(steps - firstSteps) * Double(used.rows.count)
    return Array(used.rows.prefix(Int((sum / Double(max(1, steps))).rounded())))
  }
}
