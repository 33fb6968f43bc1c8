/// One named part of the loss: a sum over some units of the batch, and how many units there were.
///
/// Nothing is divided in the term. Once the weights of all ranks are known, whoever runs the step sets
/// ``seed`` to `coefficient ÷ global weight` and runs the tape backwards.
public final class LossTerm {
  public let name: String
  /// The sum over each segment, in nats.
  public let segmentSums: [Double]
  /// The number of units summed over in each segment (words, sentences): the normaliser.
  public let segmentWeights: [Double]
  /// What the backward pass multiplies the sum's gradient by. 0 until it is set.
  public var seed: Float = 0

  public init(name: String, segmentSums: [Double], segmentWeights: [Double]) {
    precondition(segmentSums.count == segmentWeights.count, "sums and weights of other segments")
    self.name = name
    self.segmentSums = segmentSums
    self.segmentWeights = segmentWeights
  }
}
