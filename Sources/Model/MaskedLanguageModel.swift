import Checkpoints
public import Tensors

/// An encoder that guesses tokens from their hidden states: XLM-R's head (BERT's has other names), whose decoder is
/// the word table itself unless the configuration says otherwise (Devlin et al., 2019; Conneau et al., 2020).
public struct MaskedLanguageModel: EncoderNetwork {
  public let layout: ParameterLayout
  public let encoder: Encoder
  let transform: Linear  // [D, D]
  let norm: LayerNormParameters
  let decoder: Parameter  // [vocabulary, D]
  let bias: Parameter  // [vocabulary]

  /// The decoder's bias as an entry of the layout.
  public var biasEntry: Int { bias.entries.lowerBound }

  public init(_ configuration: EncoderConfiguration) {
    var layout = ParameterLayout()
    let isTied = configuration.tiesWordEmbeddings
    let encoder = Encoder(configuration, wordsByRow: !isTied, in: &layout)
    let (width, words) = (configuration.hiddenSize, configuration.vocabularySize)
    let isBERT = configuration.family == .bert
    let first = FirstValue.normal(deviation: configuration.initializerRange)
    (transform, norm, decoder, bias) = layout.at(
      depth: configuration.layerCount + 1, group: .head
    ) { layout in
      let transform = Linear(
        isBERT ? "cls.predictions.transform.dense" : "lm_head.dense", width, width, first: first,
        in: &layout)
      let norm = LayerNormParameters(
        isBERT ? "cls.predictions.transform.LayerNorm" : "lm_head.layer_norm", width,
        configuration.layerNormEpsilon, in: &layout)
      // Where decoder and word table are one, `transformers` keeps the bias beside the decoder.
      let head = (isBERT ? "cls.predictions" : "lm_head") + (isTied ? "" : ".decoder")
      let decoder =
        isTied
        ? encoder.embeddings.words : layout.add(head + ".weight", words, width, first: first)
      return (transform, norm, decoder, layout.add(head + ".bias", words))
    }
    self.encoder = encoder
    self.layout = layout
  }

  /// The loss of guessing `targets` at the tokens `rows`, as a term: no other token's scores are made.
  ///
  /// - Parameters:
  ///   - rows: Rows of the input, ascending within a segment.
  ///   - space: Of these rows.
  ///   - targets: The id that is wanted at each.
  public func loss(
    _ input: EncoderInput, rows: [Int32], as space: RowSpace, targets: [Int32], on tape: Tape
  ) {
    let guesses = guesses(input, rows: rows, as: space, on: tape)
    tape.decoderCrossEntropy(guesses, decoder, bias, targets: targets)
  }

  /// The scores of the whole vocabulary at the tokens `rows`, `[rows, vocabulary]`: for few rows.
  public func scores(
    _ input: EncoderInput, rows: [Int32], as space: RowSpace, on tape: Tape
  ) -> Tensor {
    tape.linear(guesses(input, rows: rows, as: space, on: tape), decoder, bias)
  }

  /// What the decoder reads: `LayerNorm(gelu(W·h + b))`, `[rows, D]`.
  private func guesses(
    _ input: EncoderInput, rows: [Int32], as space: RowSpace, on tape: Tape
  ) -> Tensor {
    let states = encoder.hiddenStates(input, on: tape)
    return tape.within("head") {
      let chosen = tape.gather(states[states.count - 1], rows: rows, as: space)  // [rows, D]
      return tape.layerNorm(
        tape.linear(chosen, transform.weight, transform.bias, activation: .gelu), norm)
    }
  }
}
