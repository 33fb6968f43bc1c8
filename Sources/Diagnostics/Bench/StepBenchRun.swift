public import Collectives
import Foundation
import Model
public import Tensors
public import Training

/// Measures steps of a task's bench: gradients over all ranks, clipping at 1, AdamW with decay 0.01 on every parameter, as
/// in training. The first three steps are not timed.
public struct StepBenchRun: Sendable {
  /// Steps that are timed.
  public var steps: Int
  /// How gradients travel between ranks.
  public var gradientType: Precision
  /// Whether each rank updates a share of the weights.
  public var shardOptimizer: Bool

  public init(steps: Int, gradientType: Precision = .fp32, shardOptimizer: Bool = false) {
    self.steps = steps
    self.gradientType = gradientType
    self.shardOptimizer = shardOptimizer
  }

  /// What a bench measured; all but the moments is of all ranks.
  public struct Result: Sendable {
    /// Of the last step.
    public var loss: Double
    public var realTokensPerSecond: Double
    public var stepMilliseconds: Double
    /// From the start of the process to the end of the first step.
    public var firstStepSeconds: Double
    /// The bytes of gradients and weights that a rank sends in a step.
    public var bytesSentPerStep: Int
    /// For which a step waited for sums over ranks when its own work was done.
    public var exposedMilliseconds: Double
    public var tokensPerStep: Int
    /// The rows of tables that a rank's part of a step reads, on average.
    public var touchedRows: Int
    /// The floats of moments that this rank keeps: of dense parameters, and of rows in use.
    public var denseMoments: Int
    public var rowMoments: Int
  }

  public static let warmup = 3

  /// Runs the steps. Every rank calls it.
  ///
  /// - Parameters:
  ///   - started: When the process began.
  ///   - profile: Measures the operations of the timed steps.
  public func run(
    _ bench: some StepBench, communicator: any Communicator, workspace: Workspace,
    started: ContinuousClock.Instant, profile: Profile? = nil
  ) throws -> Result {
    let (world, rank) = (communicator.size, communicator.rank)
    let network = bench.network
    let layout = network.layout
    var parameters = ParameterSet(layout: layout)
    network.initialise(
      &parameters, entries: Array(layout.entries.indices), tableRows: bench.tableRows, seed: 0,
      in: workspace)
    let method = bench.method
    let gradients = GradientBuffer(layout: layout)
    let optimiser = Optimiser(.adamW(AdamW(tableDecay: bench.tableDecay)), maxNorm: 1)
    let rates = layout.entries.map { _ in
      (learningRate: bench.learningRate, weightDecay: 0.01)
    }
    let step = try GradientStep(
      communicator: communicator, workspace: workspace, layout: layout,
      trained: gradients.trained, shards: world, fullDeterminism: false,
      gradientType: gradientType, shardOptimizer: shardOptimizer)
    var state = OptimiserState(optimiser.algorithm, layout: layout, share: step.optimiserShare)

    var (tokens, rows, bytes, exposed) = (0, 0, 0, 0.0)
    var loss = 0.0
    var firstStep = 0.0
    var begin = ContinuousClock.now
    for index in 0..<steps + Self.warmup {
      if index == Self.warmup {
        (tokens, rows, bytes, exposed) = (0, 0, 0, 0)
        workspace.profile = profile
        begin = .now
      }
      let batch = bench.batch(step: index, rank: rank, ranks: world)
      let outcome = try step.run(
        method, parameters: &parameters, gradients: gradients,
        key: StepKey(seed: 0, stage: 0, step: index), passes: .pass(rank..<rank + 1),
        batch: { _ in batch })
      optimiser.update(
        &parameters, gradients, &state, norm: outcome.gradientNorm, rates: rates, in: workspace)
      loss = outcome.losses[0]
      tokens += batch.tokenCount
      bytes += step.exchangedBytes
      exposed += step.exposedSeconds
      rows += method.tableRows(of: batch).reduce(0) { $0 + $1.count }
      if index == 0 { firstStep = (ContinuousClock.now - started) / .seconds(1) }
    }
    let elapsed = (ContinuousClock.now - begin) / .seconds(1)
    let moments = state.floats
    workspace.profile = nil
    let allTokens = Int(try communicator.allReduce(Int64(tokens), .sum))
    return Result(
      loss: loss, realTokensPerSecond: Double(allTokens) / elapsed,
      stepMilliseconds: elapsed / Double(steps) * 1000, firstStepSeconds: firstStep,
      bytesSentPerStep: bytes / steps, exposedMilliseconds: exposed / Double(steps) * 1000,
      tokensPerStep: allTokens / steps, touchedRows: rows / steps,
      denseMoments: moments.dense, rowMoments: moments.rows)
  }
}
