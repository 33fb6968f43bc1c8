import Collectives
import Configuration
import Model
import Tensors

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
    let works = try context.configuration.stages.enumerated().map { index, stage in
      try StageWork(
        StageTrainer(
          context: context, stage: stage, index: index, directory: "",
          model: emptyModel(for: stage)))
    }
    let network = try network(request)
    let resident = ResidentMemory.bytes
    let first = try probe(works[0], request, network)
    var rows: [RunEstimate.Row] = []
    for nodes in request.nodes {
      let ranks = nodes * request.ranksPerNode
      let neighbours = request.isOneMachine ? ranks : min(ranks, request.ranksPerNode)
      progress("running steps with the share of a rank of \(ranks)")
      let means = try works[0].means(ranks: ranks)
      var outcome = try first.run(
        ranks: ranks, neighbours: neighbours, means: means,
        model: { try firstModel(of: works[0].stage, areKept: false) },
        residentBefore: resident)
      if context.configuration.shardOptimizer { outcome.keepShare(of: ranks, first) }
      var shared = network
      shared.processorSecondsPerByte *= max(1, Double(neighbours) / Double(request.cores))
      let times = try works.map { work in
        let own = try work.means(ranks: ranks)
        return StepModel(
          compute: outcome.compute.scaled(by: own.slowestCost / max(1, means.slowestCost)),
          traffic: traffic(of: work, own, ranks: ranks, request, first.buckets),
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
            .init(stage: $0.stage.name, steps: $0.steps, stepMilliseconds: $1.seconds * 1000)
          }, compute: outcome.compute, overlap: outcome.overlap))
    }
    return RunEstimate(
      threads: request.threads, ranksPerNode: request.ranksPerNode,
      isOneMachine: request.isOneMachine, network: network,
      isNetworkMeasured: request.measured != nil, cores: request.cores, rows: rows)
  }

  private func probe(_ work: StageWork, _ request: EstimateRequest, _ network: NetworkFigures)
    throws -> ComputeProbe
  {
    let training = work.stage.training
    return ComputeProbe(
      work: work, rowsInUse: try work.rowsInUse(), kernels: context.workspace.kernels,
      precision: context.workspace.precision, threads: request.threads, steps: request.steps,
      shards: context.configuration.shards,
      fullDeterminism: context.configuration.fullDeterminism,
      buckets: GradientBuckets(
        layout: work.network.layout, trained: work.rates.trained,
        bucketBytes: context.configuration.ddpBucketCapMb << 20),
      optimiser: AdamW(
        beta1: training.adamBeta1, beta2: training.adamBeta2, epsilon: training.adamEpsilon,
        tableDecay: training.embeddingWeightDecay == .dense ? .dense : .touched),
      bytesPerSecond: network.bytesPerSecond / Double(request.ranksPerNode))
  }

  private func traffic(
    of work: StageWork, _ means: StageWork.Means, ranks: Int, _ request: EstimateRequest,
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
      rowLength: work.network.configuration.hiddenSize)
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
