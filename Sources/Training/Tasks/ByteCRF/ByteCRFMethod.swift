import Model
public import Tensors

/// The negative log-likelihood of the labels of a sentence, a mean over sentences.
public struct ByteCRFMethod: TrainingMethod {
  let network: ByteCRFNetwork

  public var terms: [MethodTerm] { [MethodTerm("crf")] }

  public func weights(of batch: UnitBatch) -> [[Double]] {
    [
      (0..<batch.segmentCount).map { segment in
        let items = batch.segmentBounds[segment]..<batch.segmentBounds[segment + 1]
        return Double(items.count { batch.itemBounds[$0] < batch.itemBounds[$0 + 1] })
      }
    ]
  }

  public func tableRows(of batch: UnitBatch) -> [[Int32]] { [] }

  public func record(_ batch: UnitBatch, bySegment: Bool, on tape: Tape) {
    network.head.loss(
      network.logits(batch, bySegment: bySegment, on: tape), targets: batch.labels,
      sentenceBounds: batch.itemBounds, labelSmoothing: 0, on: tape)
  }

  /// The best labels of each item of a batch, and the scores of the labels of each word where they are asked for.
  func predict(
    _ batch: UnitBatch, logits wantLogits: Bool = false, on tape: Tape
  ) -> (labels: [Int32], logits: [Float]) {
    let logits = network.logits(batch, bySegment: false, on: tape)
    let labels = network.head.predictions(logits, sentenceBounds: batch.itemBounds, on: tape)
    return (labels, wantLogits ? logits.array : [])
  }
}
