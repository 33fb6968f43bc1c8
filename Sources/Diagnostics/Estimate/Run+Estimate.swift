import Collectives
import Configuration
import Model
import Tensors
public import Training

/// What an estimate is asked for.
public struct EstimateRequest: Sendable {
  /// Numbers of nodes, ascending, each at least 1.
  public var nodes: [Int]
  public var ranksPerNode: Int
  public var threads: Int
  /// Steps that are timed for each number of nodes.
  public var steps: Int
  /// Whether the nodes are containers or namespaces of this machine and share its cores.
  public var isOneMachine: Bool
  public var gigabits: Double
  public var microseconds: Double
  /// In place of the two, if ranks have measured the network.
  public var measured: NetworkProbe.Measurement?
  public var cores: Int

  public init(
    nodes: [Int], ranksPerNode: Int, threads: Int, steps: Int, isOneMachine: Bool,
    gigabits: Double, microseconds: Double, measured: NetworkProbe.Measurement?, cores: Int
  ) {
    precondition(!nodes.isEmpty && nodes.allSatisfy { $0 >= 1 }, "nodes \(nodes)")
    self.nodes = nodes
    self.ranksPerNode = ranksPerNode
    self.threads = threads
    self.steps = steps
    self.isOneMachine = isOneMachine
    self.gigabits = gigabits
    self.microseconds = microseconds
    self.measured = measured
    self.cores = cores
  }
}

extension Run {
  /// Predicts the steps of this run on other numbers of nodes, from steps that this process runs by itself.
  ///
  /// Each number of nodes is probed with its own share of the first stage's steps; later stages are taken to compute
  /// as fast. Nothing is written. The run's own communicator is not used.
  ///
  /// - Parameter progress: Told what is being measured.
  public func estimate(
    _ request: EstimateRequest, progress: (String) -> Void
  ) throws -> RunEstimate {
    var works: [any PlannedWork] = []
    var later: [String] = []
    for stage in context.configuration.stages {
      switch try planned(stage) {
      case .training(let training):
        works.append(try work(of: training, stage))
      case .data, .choice: break
      case .known(let after): later.append("'\(stage.name)' after '\(after)'")
      }
    }
    guard let first = works.first else {
      throw RunError(
        .configuration,
        later.isEmpty
          ? "no stage of the run trains: there are no steps to estimate"
          : "no stage of the run can be estimated before others have run: "
            + later.joined(separator: ", "))
    }
    let network = try network(request)
    let resident = ResidentMemory.bytes
    let probe = try first.probe(self, request, network, residentBefore: resident)
    var rows: [RunEstimate.Row] = []
    for nodes in request.nodes {
      let ranks = nodes * request.ranksPerNode
      let neighbours = request.isOneMachine ? ranks : min(ranks, request.ranksPerNode)
      progress("running steps with the share of a rank of \(ranks)")
      let means = try first.means(ranks: ranks)
      let outcome = try probe(ranks, neighbours, means)
      var shared = network
      shared.processorSecondsPerByte *= max(1, Double(neighbours) / Double(request.cores))
      let times = try works.map { work in
        let own = try work.means(ranks: ranks)
        return StepModel(
          compute: outcome.compute.scaled(by: own.slowestCost / max(1, means.slowestCost)),
          traffic: traffic(
            own, rowLength: work.rowLength, ranks: ranks, request, first.buckets),
          network: shared, overlap: outcome.overlap
        ).times()
      }
      let seconds = zip(works, times).reduce(0) { $0 + Double($1.0.steps) * $1.1.seconds }
      let step = times[0].seconds
      let base = rows.first
      let speedUp = base.map { $0.stepMilliseconds / 1000 / step } ?? 1
      rows.append(
        RunEstimate.Row(
          nodes: nodes, ranks: ranks, stepMilliseconds: step * 1000,
          notHiddenMilliseconds: times[0].notHiddenSeconds * 1000,
          tokensPerSecond: means.tokens / step, speedUp: speedUp,
          efficiency: speedUp * Double(base?.nodes ?? nodes) / Double(nodes),
          bytesSentPerStep: times[0].bytesSent, bytesPerRank: outcome.rankBytes,
          hours: seconds / 3600, nodeHours: seconds / 3600 * Double(nodes),
          stages: zip(works, times).map {
            .init(stage: $0.name, steps: $0.steps, stepMilliseconds: $1.seconds * 1000)
          }, compute: outcome.compute, overlap: outcome.overlap))
    }
    return RunEstimate(
      threads: request.threads, ranksPerNode: request.ranksPerNode,
      isOneMachine: request.isOneMachine, network: network,
      isNetworkMeasured: request.measured != nil, cores: request.cores, rows: rows,
      knownLater: later.isEmpty ? nil : later)
  }

  private func work(
    of training: some StageTraining, _ stage: Stage
  ) throws -> any PlannedWork {
    let configuration = context.configuration
    let work = try StageWork(training.trainer, stage, configuration)
    return TaskWork(
      task: training.trainer.task, work: work,
      buckets: GradientBuckets(
        layout: work.network.layout, trained: work.rates.trained,
        bucketBytes: configuration.ddpBucketCapMb << 20))
  }

  private func traffic(
    _ means: StageMeans, rowLength: Int, ranks: Int, _ request: EstimateRequest,
    _ buckets: GradientBuckets
  ) -> StepTraffic {
    let configuration = context.configuration
    let halves = configuration.gradientDtype == .bf16
    let isSharded = configuration.shardOptimizer && ranks > 1
    let nodes = ranks / request.ranksPerNode
    let treeShards = configuration.fullDeterminism ? configuration.shards : ranks
    return StepTraffic(
      ranks: ranks, ranksPerNode: request.ranksPerNode,
      hasLevels: nodes > 1 && request.ranksPerNode > 1
        && Levels.areNodes(
          ofTreeOver: treeShards, machines: nodes, ranks: request.ranksPerNode),
      bucketBytes: buckets.floats.map { Double($0 * (halves ? 2 : 4)) },
      weightBytes: isSharded ? buckets.floats.map { Double($0 * 4) } : [],
      ownRows: means.ownRows, pulledRows: isSharded ? means.ownedRows : 0,
      summedRows: isSharded ? means.ownedRows : means.summedRows,
      rowLength: rowLength)
  }

  private func network(_ request: EstimateRequest) throws -> NetworkFigures {
    let cost = try ProcessorCost()
    let memory = cost.copyBytesPerSecond / 2
    if let measured = request.measured {
      return NetworkFigures(
        bytesPerSecond: measured.bytesPerSecond,
        latencySeconds: measured.latencySeconds + NetworkProbe.pollSeconds,
        memoryBytesPerSecond: memory, processorSecondsPerByte: cost.secondsPerByte)
    }
    return NetworkFigures(
      bytesPerSecond: request.gigabits * 1e9 / 8 * NetworkProbe.payloadShare,
      latencySeconds: request.microseconds * 1e-6 + NetworkProbe.pollSeconds,
      memoryBytesPerSecond: memory, processorSecondsPerByte: cost.secondsPerByte)
  }
}

/// The work of a stage of whatever task.
private protocol PlannedWork {
  var name: String { get }
  var steps: Int { get }
  var rowLength: Int { get }
  var buckets: GradientBuckets { get }
  func means(ranks: Int) throws -> StageMeans
  /// What measures a rank's share of the stage's steps.
  func probe(
    _ run: Run, _ request: EstimateRequest, _ network: NetworkFigures, residentBefore: Double
  ) throws -> (_ ranks: Int, _ neighbours: Int, StageMeans) throws -> ProbeOutcome
}

private struct TaskWork<Task: TrainingTask>: PlannedWork {
  let task: Task
  let work: StageWork<Task>
  let buckets: GradientBuckets

  var name: String { work.stage.name }
  var steps: Int { work.steps }
  var rowLength: Int { work.rowLength }

  func means(ranks: Int) throws -> StageMeans { try work.means(ranks: ranks) }

  func probe(
    _ run: Run, _ request: EstimateRequest, _ network: NetworkFigures, residentBefore: Double
  ) throws -> (_ ranks: Int, _ neighbours: Int, StageMeans) throws -> ProbeOutcome {
    let context = run.context
    let probe = ComputeProbe(
      work: work, rowsInUse: try work.rowsInUse(), kernels: context.workspace.kernels,
      precision: context.workspace.precision, threads: request.threads, steps: request.steps,
      shards: context.configuration.shards,
      fullDeterminism: context.configuration.fullDeterminism, buckets: buckets,
      optimiser: Optimiser(work.stage.training),
      bytesPerSecond: network.bytesPerSecond / Double(request.ranksPerNode))
    return { ranks, neighbours, means in
      var outcome = try probe.run(
        ranks: ranks, neighbours: neighbours, means: means,
        model: { try run.firstModel(of: work.stage, task, areKept: false) },
        residentBefore: residentBefore)
      if context.configuration.shardOptimizer { outcome.keepShare(of: ranks, probe) }
      return outcome
    }
  }
}

extension StepCompute {
  /// The same work times `factor`; norm and update stay.
  func scaled(by factor: Double) -> StepCompute {
    var scaled = self
    scaled.beforeSeconds *= factor
    scaled.forwardSeconds *= factor
    scaled.backwardSeconds *= factor
    scaled.readySeconds = readySeconds.map { $0 * factor }
    return scaled
  }
}
