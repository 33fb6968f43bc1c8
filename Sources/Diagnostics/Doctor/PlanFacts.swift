package import Configuration
import Corpus
import Foundation
public import Training

/// What a run of the config takes of memory and disk.
public struct PlanFacts: Sendable, Equatable {
  /// The bytes that the run's files have at most at one time: models, and the checkpoints that are kept.
  public var checkpointBytes: Int
  /// The memory of each rank: weights, gradient, moments, copies that are written, and activations.
  public var rankBytes: Int
  /// The stages whose needs are not known yet, and after which stage they are: `'student' after 'labelled'`.
  public var unknown: [String] = []

  public init(checkpointBytes: Int, rankBytes: Int) {
    self.checkpointBytes = checkpointBytes
    self.rankBytes = rankBytes
  }

  static func text(_ bytes: Int) -> String {
    bytes < 1_000_000_000
      ? String(format: "%.1f MB", Double(bytes) / 1e6)
      : String(format: "%.1f GB", Double(bytes) / 1e9)
  }

  /// A stage's files at most: its model, the best one, and the states in between with their moments, each three times
  /// the weights. One more is written before the oldest is removed, and with a sharded optimiser its moments lie there
  /// twice meanwhile.
  package static func stageBytes(
    model: Int, training: TrainingConfiguration, steps: Int, epochs: Int, keepsMoments: Bool,
    isSharded: Bool = false
  ) -> Int {
    let saves =
      switch training.saveStrategy {
      case .no, .end: 0
      case .epoch: max(0, epochs - 1)
      case .steps: max(0, steps - 1) / max(1, training.saveSteps ?? 500)
      }
    // A stop saves one in any case.
    let states = max(1, saves + (keepsMoments ? 1 : 0))
    let kept = training.saveTotalLimit.map { min(states - 1, $0) + 1 } ?? states
    let models = (training.saveStrategy == .no ? 0 : 1) + (training.loadBestModelAtEnd ? 1 : 0)
    let parts = isSharded ? 2 : 0
    let (bytes, overflow) = model.multipliedReportingOverflow(by: 3 * kept + models + parts)
    return overflow ? .max : bytes
  }
}

extension Run {
  /// What this run takes if so many ranks share it. What a stage makes is known after it; such stages are named.
  public func planFacts(ranks: Int) throws -> PlanFacts {
    let configuration = context.configuration
    var facts = PlanFacts(checkpointBytes: 0, rankBytes: 0)
    for stage in configuration.stages {
      switch try planned(stage) {
      case .training(let training):
        try facts.add(training, stage, configuration, ranks: ranks)
      case .data, .choice: break
      case .known(let after): facts.unknown.append("'\(stage.name)' after '\(after)'")
      }
    }
    return facts
  }
}

extension PlanFacts {
  fileprivate mutating func add(
    _ training: some StageTraining, _ stage: Stage, _ configuration: RunConfiguration, ranks: Int
  ) throws {
    let trainer = training.trainer
    let keeps = configuration.stages.contains {
      !$0.resetOptimizer && $0.start == .stage(name: stage.name)
    }
    let files = Self.stageBytes(
      model: trainer.modelBytes, training: stage.training, steps: trainer.totalSteps,
      epochs: trainer.epochs, keepsMoments: keeps,
      isSharded: configuration.shardOptimizer && ranks > 1)
    let sum = checkpointBytes.addingReportingOverflow(files)
    checkpointBytes = sum.overflow ? .max : sum.partialValue
    let memory = try trainer.memory(ranks: ranks)
    rankBytes = max(rankBytes, memory.stateBytes + memory.copiedBytes + memory.activationBytes)
  }
}

extension GroupFacts {
  /// Machines whose ranks need more memory than there is, or more shared memory than MPI takes.
  var memoryFindings: [Finding] {
    grouped(\.kernelID).flatMap { _, members in
      [crowdedMemory(members), crowdedSharedMemory(members)].compactMap(\.self)
    }
  }

  private func crowdedMemory(_ members: [RankFacts]) -> Finding? {
    guard let plan, let available = members.compactMap(\.availableBytes).min() else { return nil }
    let (needed, overflow) = plan.rankBytes.multipliedReportingOverflow(by: members.count)
    guard overflow || needed > available else { return nil }
    return Finding(
      .memory,
      "\(place(of: members)) will need about \(PlanFacts.text(plan.rankBytes)) each, and "
        + "\(members[0].hostName) has \(PlanFacts.text(available)) left",
      fix: "start fewer ranks a host, set max_tokens_per_pass lower, or shard_optimizer: true")
  }

  /// Open MPI and MPICH give each rank segments of 4 MiB to exchange messages within a host, and some more.
  private static let sharedBytesPerRank = 8 << 20

  private func crowdedSharedMemory(_ members: [RankFacts]) -> Finding? {
    guard members.count > 1, let free = members.compactMap(\.sharedMemoryBytes).min() else {
      return nil
    }
    let needed = members.count * Self.sharedBytesPerRank
    guard free < needed else { return nil }
    return Finding(
      .sharedMemory,
      "/dev/shm of \(members[0].hostName) has \(PlanFacts.text(free)) free; \(members.count) ranks "
        + "exchange messages through about \(PlanFacts.text(needed))",
      fix: "empty it, start the container with --shm-size=1g, or set OMPI_MCA_btl=self,tcp")
  }

  /// Limits of the shell that started the ranks.
  var limitFindings: [Finding] {
    // A connection or two to each other rank, and files besides.
    let descriptors = 128 + 4 * ranks.count
    var findings: [Finding] = []
    let few = ranks.filter { ($0.openFiles ?? .max) < descriptors }
    if let least = few.compactMap(\.openFiles).min() {
      findings.append(
        Finding(
          .limits,
          "\(place(of: few)) may open \(least) files, and \(ranks.count) ranks need about \(descriptors)",
          fix: "raise it with ulimit -n \(max(1024, descriptors)) before the launch"))
    }
    if let plan {
      let small = ranks.filter { ($0.addressSpaceBytes ?? .max) < plan.rankBytes }
      if let least = small.compactMap(\.addressSpaceBytes).min() {
        findings.append(
          Finding(
            .limits,
            "\(place(of: small)) may have \(PlanFacts.text(least)) of addresses, and need about "
              + PlanFacts.text(plan.rankBytes),
            fix: "lift it with ulimit -v unlimited before the launch"))
      }
    }
    return findings
  }
}
