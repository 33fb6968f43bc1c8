import Collectives
package import Configuration
import Files
import Foundation
import Model
import Tensors

/// A stage before it runs.
package enum PlannedStage {
  /// With weights that are all zero.
  case training(any StageTraining)
  /// Makes data.
  case data
  /// Is the best of so many tries.
  case choice(of: Int)
  /// What it works on is what an earlier stage will make.
  case known(after: String)
}

/// A trainer of whatever task. What reads its trainer is generic over it.
package protocol StageTraining {
  associatedtype Task: TrainingTask

  var trainer: StageTrainer<Task> { get }
  /// The stage's steps, ledger and memory, for people.
  func plan(ranks: Int) throws -> String
}

extension StageTrainer: StageTraining {
  package var trainer: StageTrainer<Task> { self }
}

extension Run {
  /// A stage as it would run, with weights that are all zero.
  package func planned(_ stage: Stage) throws -> PlannedStage {
    if !stage.tries.isEmpty { return .choice(of: stage.tries.count) }
    do {
      guard let task = try task(of: stage) as? any TrainingTask else { return .data }
      return .training(planning(stage, task))
    } catch let missing as StageDataMissing {
      try checkLaterFiles()
      return .known(after: missing.stage)
    }
  }

  private func planning(_ stage: Stage, _ task: some TrainingTask) -> any StageTraining {
    let network = task.network
    return StageTrainer(
      context: context, stage: stage, directory: "", task: task,
      model: TrainedModel(network: network, parameters: ParameterSet(layout: network.layout)))
  }

  /// What a run would do: its resolved config, and for each stage the steps, the ledger and the memory.
  public func plan() throws -> String {
    var text = context.configuration.description
    for stage in context.configuration.stages {
      switch try planned(stage) {
      case .training(let training):
        text += "\n\(try training.plan(ranks: context.communicator.size))"
      case .data: text += "\n\(stage.name): makes \(words(stage))\n"
      case .choice(let tries): text += "\n\(stage.name): the best on dev of \(tries) tries\n"
      case .known(let after): text += "\n\(stage.name): known after '\(after)'\n"
      }
    }
    return text
  }

  private func words(_ stage: Stage) -> String {
    context.configuration.schema(of: stage).makes.map(\.words).sorted()
      .joined(separator: " and ") + " of \(stage.languages.joined(separator: ", "))"
  }
}

/// What a rank needs.
package struct StageMemory {
  /// Weights, gradient and two moments.
  package var stateBytes: Int
  /// A second copy of weights and moments where a checkpoint is written while steps run.
  package var copiedBytes: Int
  /// The activations of the largest step among the first hundred.
  package var activationBytes: Int
  /// Of that step.
  package var tokens: Int
}

extension StageTrainer {
  package func plan(ranks: Int) throws -> String {
    let memory = try memory(ranks: ranks)
    return "\(stage.name): \(totalSteps) steps\n\(TextTable(try ledger(steps: totalSteps)).text)"
      + String(
        format:
          "memory a rank: %.3f GB for %d parameters, their gradient and two moments%@; about %.3f GB "
          + "for %d tokens a step\n", Double(memory.stateBytes) / 1e9, model.network.layout.count,
        memory.copiedBytes > 0
          ? String(
            format: ", and %.3f GB of what is written meanwhile", Double(memory.copiedBytes) / 1e9)
          : "",
        Double(memory.activationBytes) / 1e9, memory.tokens)
  }

  /// The memory of a rank at most.
  package func memory(ranks: Int) throws -> StageMemory {
    var feed = feed
    var most = 0
    for step in 0..<min(100, totalSteps) {
      let items = try feed.go(toStep: step).count
      most = max(most, (0..<items).reduce(0) { $0 + feed.lengths(ofItem: $1).reduce(0, +) })
    }
    let share = (most + ranks - 1) / ranks
    // The best weights are kept besides.
    let training = stage.training
    let copies = (training.savesStates ? 3 : 0) + (training.loadBestModelAtEnd ? 1 : 0)
    let floats = model.network.layout.count
    return StageMemory(
      stateBytes: 16 * floats, copiedBytes: 4 * copies * floats,
      activationBytes: 4 * model.network.activationFloats(ofTokens: share), tokens: share)
  }

  /// The bytes that the weights take on disk.
  package var modelBytes: Int { model.byteCount }

  /// The passes over the data that the stage makes, a part of one counted as one.
  package var epochs: Int {
    var feed = feed
    switch stage.training.duration {
    case .epochs(let count): return Int(count.rounded(.up))
    case .steps(let count): return count == 0 ? 0 : feed.place(ofStep: count - 1).epoch + 1
    }
  }
}
