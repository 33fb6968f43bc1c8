import Collectives
import Configuration
import Corpus
import Foundation
import Model
import Tensors

extension Run {
  /// What a run would do: its resolved config, and for each stage the steps, the ledger and the memory.
  public func plan() throws -> String {
    var text = context.configuration.description
    for (index, stage) in context.configuration.stages.enumerated() {
      let model = emptyModel(for: stage)
      let trainer = StageTrainer(
        context: context, stage: stage, index: index, directory: "", model: model)
      text +=
        "\n\(stage.name): \(trainer.totalSteps) steps\n\(try trainer.ledger(steps: trainer.totalSteps))"
      let memory = try memory(of: model.network, trainer, ranks: context.communicator.size)
      text += String(
        format:
          "memory a rank: %.3f GB for %d parameters, their gradient and two moments%@; about %.3f GB "
          + "for %d tokens a step\n", Double(memory.stateBytes) / 1e9,
        model.network.layout.count,
        memory.copiedBytes > 0
          ? String(
            format: ", and %.3f GB of what is written meanwhile", Double(memory.copiedBytes) / 1e9)
          : "",
        Double(memory.activationBytes) / 1e9, memory.tokens)
    }
    return text
  }

  /// The memory of a rank at most: weights, gradient and two moments, of weights and moments a second copy where a
  /// checkpoint is written beside steps, and the activations of its largest step among the first hundred.
  func memory(
    of network: any Network, _ trainer: StageTrainer, ranks: Int
  ) throws -> (stateBytes: Int, copiedBytes: Int, activationBytes: Int, tokens: Int) {
    let shape = network.configuration
    var feed = trainer.feed
    var most = 0
    for step in 0..<min(100, trainer.totalSteps) {
      let items = try feed.go(toStep: step).count
      most = max(most, (0..<items).reduce(0) { $0 + feed.lengths(ofItem: $1).reduce(0, +) })
    }
    let share = (most + ranks - 1) / ranks
    let perToken =
      shape.layerCount * (6 * shape.hiddenSize + 2 * shape.innerSize) + 8 * shape.hiddenSize
    // The best weights are kept besides.
    let training = trainer.stage.training
    let copies = (training.savesStates ? 3 : 0) + (training.loadBestModelAtEnd ? 1 : 0)
    let floats = network.layout.count
    return (16 * floats, 4 * copies * floats, share * perToken * 4, share)
  }
}
