public import Corpus
public import Tensors

/// What a paper changes: how a batch becomes terms of a loss.
///
/// A method is a value that knows its model's parts. The loop asks it for the weights of a batch first,
/// adds them over all ranks, and then for the terms themselves, recorded on a tape.
public protocol TrainingMethod: Sendable {
  /// The names of the terms, the same on every rank and in every step.
  var termNames: [String] { get }

  /// The weight of each term in each segment of a batch, before any forward pass. Shape
  /// `[terms][segments]`.
  func weights(of batch: PackedBatch) -> [[Double]]

  /// The rows that a batch uses of each table of the model's layout, each once, ascending. Shape `[tables][rows]`.
  func tableRows(of batch: PackedBatch) -> [[Int32]]

  /// Runs the forward pass and records the terms. Several terms may have one name; they share a weight.
  ///
  /// - Parameter bySegment: Whether sums are to be formed for each segment; otherwise the batch may be
  ///   worked on as one.
  func record(_ batch: PackedBatch, bySegment: Bool, on tape: Tape)
}
