import Model
import Tensors

/// Which parameters a stage trains, and how fast each.
public struct ParameterRates: Sendable, Equatable {
  /// Whether each entry of the layout is trained.
  public var trained: [Bool]
  /// What the stage's learning rate is multiplied by for each entry.
  public var factors: [Double]
  public var weightDecays: [Double]

  /// The learning rate and weight decay of each entry at a step's rate.
  func at(_ learningRate: Double) -> [(learningRate: Double, weightDecay: Double)] {
    zip(factors, weightDecays).map { (learningRate * $0, $1) }
  }
}
