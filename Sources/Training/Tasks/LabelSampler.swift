public import Determinism
public import Tensors

/// The sentences of a model that gives each labelling of a sentence a probability, p(y|x), from which labels are drawn.
public protocol LabelSampler {
  /// Runs the forward pass of a sentence, draws a labelling, and records −log p of it as terms, in nats, to be summed with
  /// seeds of 1.
  ///
  /// - Parameters:
  ///   - sentence: Its place among those that the sampler was made of.
  ///   - tape: Of the model's parameters.
  func recordSample(ofSentence sentence: Int, using random: inout RandomStream, on tape: Tape)
}
