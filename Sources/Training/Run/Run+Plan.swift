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
        "\n\(stage.name): \(trainer.totalSteps) steps\n\(trainer.ledger(steps: trainer.totalSteps).table)"
      let memory = memory(of: model.classifier, trainer, ranks: context.communicator.size)
      text += String(
        format:
          "memory a rank: %.3f GB for %d parameters, their gradient and two moments; about %.3f GB "
          + "for %d tokens a step\n", Double(memory.stateBytes) / 1e9,
        model.classifier.layout.count,
        Double(memory.activationBytes) / 1e9, memory.tokens)
    }
    return text
  }

  /// The memory of a rank: four copies of the weights' size, and the activations of its largest step among
  /// the first hundred.
  func memory(
    of classifier: TokenClassifier, _ trainer: StageTrainer, ranks: Int
  ) -> (stateBytes: Int, activationBytes: Int, tokens: Int) {
    let shape = classifier.configuration
    var plan = trainer.plan
    var most = 0
    let splits = context.corpora.compactMap(\.train)
    for step in 0..<min(100, trainer.totalSteps) {
      let tokens = plan.sentences(ofStep: step).reduce(0) {
        $0 + splits[$1.language].tokenCount(of: $1.sentence)
      }
      most = max(most, tokens)
    }
    let share = (most + ranks - 1) / ranks
    let perToken =
      shape.layerCount * (6 * shape.hiddenSize + 2 * shape.innerSize) + 8 * shape.hiddenSize
    return (classifier.layout.count * 16, share * perToken * 4, share)
  }
}
