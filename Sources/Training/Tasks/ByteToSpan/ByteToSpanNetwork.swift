public import Model
public import Tensors

/// Byte-to-Span: a stack of LSTMs reads the bytes of a window, and another one, which begins with the first one's last states
/// and cells, says the window's spans (Gillick et al., 2016, in the form of Mueller, Andrews and Dredze, 2020).
///
/// In comments, B is bytes, O outputs, N windows and V the output vocabulary.
public struct ByteToSpanNetwork: Network {
  /// The symbol in the place of a byte that is dropped.
  static let dropped: Int32 = 256

  public let layout: ParameterLayout
  let vocabulary: SpanVocabulary
  private let shape: ByteToSpanOptions
  private let embedding: Parameter  // [257, embedding size]
  private let encoder: RecurrentStack
  private let outputEmbedding: Parameter  // [V, output embedding size]
  private let decoder: RecurrentStack
  private let projection: Parameter  // [V, units]

  /// First values are even in ±0.08; biases are 0, and those of forget gates 1.
  package init(_ shape: ByteToSpanOptions, _ vocabulary: SpanVocabulary) {
    self.shape = shape
    self.vocabulary = vocabulary
    let first = FirstValue.uniform(bound: 0.08)
    var layout = ParameterLayout()
    embedding = layout.at(depth: 0, group: .encoder) {
      $0.add("embedding.weight", Int(Self.dropped) + 1, shape.embeddingSize, first: first)
    }
    encoder = RecurrentStack(
      "encoder_lstm", inputs: shape.embeddingSize, units: shape.units, layers: shape.layers,
      isBidirectional: false, first: first, depth: 1, in: &layout)
    decoder = RecurrentStack(
      "decoder_lstm", inputs: shape.outputEmbeddingSize, units: shape.units, layers: shape.layers,
      isBidirectional: false, first: first, depth: 1 + shape.layers, in: &layout)
    (outputEmbedding, projection) = layout.at(depth: 1 + 2 * shape.layers, group: .head) {
      (
        $0.add(
          "output_embedding.weight", vocabulary.count, shape.outputEmbeddingSize, first: first),
        $0.add("projection.weight", vocabulary.count, shape.units, first: first)
      )
    }
    self.layout = layout
  }

  public var limits: BatchLimits {
    BatchLimits(
      vocabulary: Int(Self.dropped) + 1, longestSequence: vocabulary.window, tokenTypes: 1)
  }

  /// The bytes: most windows have fewer outputs.
  public func cost(ofSequences lengths: [Int]) -> Int { lengths.reduce(0, +) }

  public func activationFloats(ofTokens tokens: Int) -> Int {
    // Gates, cells, states and dropped inputs; outputs are about a twentieth of the bytes.
    let byte = 7 * shape.units * shape.layers + 2 * shape.embeddingSize
    return tokens * (byte + byte / 20)
  }

  /// What the encoder ends with in each layer, `[N, units]`.
  func encoded(
    _ batch: SpanBatch, _ bytes: RowSpace, _ windows: RowSpace, on tape: Tape
  ) -> [LSTMStates] {
    let x = tape.embed([(embedding, droppingBytes(batch.bytes, bytes, on: tape))], in: bytes)
    return encoder(
      x, sequenceBounds: batch.byteBounds, in: windows, dropout: Float(shape.dropout), on: tape)
  }

  /// Some bytes, each replaced with the rate of byte dropout where the tape drops.
  private func droppingBytes(_ bytes: [Int32], _ space: RowSpace, on tape: Tape) -> [Int32] {
    let ones = tape.constant([Float](repeating: 1, count: space.count), in: space, columns: 1)
    let kept = tape.dropout(ones, rate: Float(shape.byteDropout))
    return kept.withSpan { kept in
      bytes.indices.map { kept[$0] == 0 ? Self.dropped : bytes[$0] }
    }
  }

  /// Steps of the decoder over runs of outputs, one run a window.
  ///
  /// - Parameters:
  ///   - previous: The output before each one, shape `[O]`.
  ///   - bounds: Output bounds of the windows.
  ///   - outputs: The space of the outputs; `windows` that of the windows.
  ///   - before: The states and the cells of each layer before the first step, `[N, units]`.
  /// - Returns: The score of each output, `[O, V]`, and the states of each layer.
  func decoded(
    _ previous: [Int32], bounds: [Int], _ outputs: RowSpace, _ windows: RowSpace,
    from before: [(states: Tensor, cells: Tensor)], on tape: Tape
  ) -> (logits: Tensor, states: [LSTMStates]) {
    let dropout = Float(shape.dropout)
    let x = tape.embed([(outputEmbedding, previous)], in: outputs)  // [O, output embedding size]
    let states = decoder(
      x, sequenceBounds: bounds, in: windows, from: before, dropout: dropout, on: tape)
    let top = tape.dropout(states[states.count - 1].all, rate: dropout)  // [O, units]
    return (tape.linear(top, projection), states)  // [O, V]
  }

  /// The scores of the outputs that a batch wants, `[O, V]`, where each follows the wanted ones before it.
  func logits(_ batch: SpanBatch, bySegment: Bool, on tape: Tape) -> Tensor {
    let (bytes, outputs, windows) = batch.spaces(bySegment: bySegment)
    let encoded = self.encoded(batch, bytes, windows, on: tape)
    return decoded(
      batch.previous, bounds: batch.targetBounds, outputs, windows,
      from: encoded.map { ($0.last, $0.lastCells) }, on: tape
    ).logits
  }
}
