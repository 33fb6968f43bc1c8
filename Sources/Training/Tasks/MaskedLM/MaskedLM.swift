public import Corpus
import Model
public import Tensors

/// Masked language modelling: the loss of guessing hidden tokens (Devlin et al., 2019).
///
/// A batch's words are its hidden tokens, and their labels the ids that are wanted.
public struct MaskedLM: TrainingMethod {
  let model: MaskedLanguageModel

  public var terms: [MethodTerm] { [MethodTerm("cross_entropy")] }

  public func weights(of batch: PackedBatch) -> [[Double]] {
    [
      (0..<batch.segmentCount).map { segment in
        let items = (batch.segmentBounds[segment], batch.segmentBounds[segment + 1])
        return Double(batch.wordBounds[items.1] - batch.wordBounds[items.0])
      }
    ]
  }

  /// None: the word table is the decoder too, and all of it is used.
  public func tableRows(of batch: PackedBatch) -> [[Int32]] { [] }

  public func record(_ batch: PackedBatch, bySegment: Bool, on tape: Tape) {
    let input = EncoderInput(batch, bySegment: bySegment)
    let bounds = batch.segmentBounds.map { batch.wordBounds[$0] }
    let space = input.space.gathering(
      batch.wordTokens, segmentBounds: bySegment ? bounds : [0, batch.wordTokens.count])
    model.loss(input, rows: batch.wordTokens, as: space, targets: batch.wordLabels, on: tape)
  }
}
