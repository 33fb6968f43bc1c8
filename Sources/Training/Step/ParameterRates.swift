public import Configuration
import Foundation
public import Tensors

/// Which parameters a stage trains, and how fast each.
public struct ParameterRates: Sendable, Equatable {
  /// Whether each entry of the layout is trained.
  public var trained: [Bool] = []
  /// What the stage's learning rate is multiplied by for each entry.
  public var factors: [Double] = []
  public var weightDecays: [Double] = []

  /// Frozen layers, the heads' own rate, and rates that fall from layer to layer of the encoder, by the depth and the
  /// group of each entry.
  public init(_ layout: ParameterLayout, _ training: TrainingConfiguration) {
    let layers = layout.depth(ofGroup: .encoder)
    for entry in layout.entries {
      let isEncoder = entry.group == .encoder
      let frozen =
        isEncoder
        && (entry.depth == 0 ? training.freeze.embeddings : entry.depth <= training.freeze.layers)
      trained.append(!frozen)
      let decay = pow(training.layerLearningRateDecay, Double(layers + 1 - entry.depth))
      let own =
        isEncoder
        ? decay : (training.headLearningRate ?? training.learningRate) / training.learningRate
      factors.append(training.learningRate > 0 ? own : 1)
      let decays = training.weightDecayOn == .all || entry.shape.count > 1
      weightDecays.append(decays ? training.weightDecay : 0)
    }
  }

  /// The learning rate and weight decay of each entry at a step's rate.
  package func at(_ learningRate: Double) -> [(learningRate: Double, weightDecay: Double)] {
    zip(factors, weightDecays).map { (learningRate * $0, $1) }
  }
}
