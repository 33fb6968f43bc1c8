public import Tensors

/// What an encoder reads: packed sequences, without padding.
public struct EncoderInput {
  /// The rows of the tokens: their segments, and where each stands in its work item.
  public var space: RowSpace
  /// Shape `[tokens]`.
  public var tokenIDs: [Int32]
  /// The position of each token in its sequence, from 0. Shape `[tokens]`.
  public var positions: [Int32]
  /// Shape `[tokens]`.
  public var tokenTypes: [Int32]
  /// Token bounds of the sequences, from 0 to the token count.
  public var sequenceBounds: [Int]

  public init(
    space: RowSpace, tokenIDs: [Int32], positions: [Int32], tokenTypes: [Int32],
    sequenceBounds: [Int]
  ) {
    self.space = space
    self.tokenIDs = tokenIDs
    self.positions = positions
    self.tokenTypes = tokenTypes
    self.sequenceBounds = sequenceBounds
  }
}

/// A BERT, RoBERTa or XLM-R encoder: embeddings, then post-norm transformer blocks (Devlin et al.,
/// 2019).
///
/// Parameters have the names of `transformers`, without the model's prefix. In comments, T is tokens and
/// D the model width.
public struct Encoder: Sendable {
  public let configuration: EncoderConfiguration
  let embeddings: Embeddings
  let blocks: [EncoderBlock]

  /// Adds the parameters of an encoder to a layout, in the group ``ParameterGroup/encoder``: embeddings at depth 0, block
  /// `i` at depth `i + 1`.
  ///
  /// First values are those of `transformers`: matrices normal with the configuration's deviation, biases 0, normalisation
  /// 1 and 0, the padding id's row 0. With the initializer `mimetic` the matrices of blocks have another deviation: see
  /// ``MimeticInitializer``.
  ///
  /// - Parameter wordsByRow: Whether the word table is used by rows alone; not where it is a decoder too.
  public init(
    _ configuration: EncoderConfiguration, wordsByRow: Bool = true,
    in layout: inout ParameterLayout
  ) {
    self.configuration = configuration
    embeddings = layout.at(depth: 0, group: .encoder) {
      Embeddings(configuration, wordsByRow: wordsByRow, in: &$0)
    }
    blocks = (0..<configuration.layerCount).map { layer in
      layout.at(depth: layer + 1, group: .encoder) {
        EncoderBlock(configuration, layer: layer, in: &$0)
      }
    }
  }

  /// The hidden states of every layer: of the embeddings first, of the last block last, each `[T, D]`.
  ///
  /// - Precondition: No sequence is longer than the configuration's `longestSequence`, and ids are below
  ///   the vocabulary's size.
  public func hiddenStates(_ input: EncoderInput, on tape: Tape) -> [Tensor] {
    var states = [tape.within("embeddings") { embeddings(input, on: tape) }]
    for (layer, block) in blocks.enumerated() {
      let below = states[states.count - 1]
      states.append(
        tape.within("encoder.layer.\(layer)") {
          tape.part(below) { block($0, input.sequenceBounds, on: tape) }
        })
    }
    return states
  }
}

/// `dropout(LayerNorm(word + position + type))`.
struct Embeddings: Sendable {
  let words: Parameter  // [vocabulary, D]
  let positions: Parameter  // [positions, D]
  let types: Parameter  // [types, D]
  let norm: LayerNormParameters
  let positionOffset: Int32
  let dropout: Float

  init(
    _ configuration: EncoderConfiguration, wordsByRow: Bool, in layout: inout ParameterLayout
  ) {
    let width = configuration.hiddenSize
    let (name, rows) = ("embeddings.word_embeddings.weight", configuration.vocabularySize)
    let first = FirstValue.normal(deviation: configuration.initializerRange)
    let padding = configuration.paddingID
    let firstWords = FirstValue.normal(
      deviation: configuration.initializerRange, zeroRow: 0..<rows ~= padding ? padding : nil)
    words =
      wordsByRow
      ? layout.addTable(name, rows, width, first: firstWords)
      : layout.add(name, rows, width, first: firstWords)
    positions = layout.add(
      "embeddings.position_embeddings.weight", configuration.positionCount, width, first: first)
    types = layout.add(
      "embeddings.token_type_embeddings.weight", configuration.tokenTypeCount, width, first: first)
    norm = LayerNormParameters(
      "embeddings.LayerNorm", width, configuration.layerNormEpsilon, in: &layout)
    positionOffset = Int32(configuration.positionOffset)
    dropout = configuration.hiddenDropout
  }

  func callAsFunction(_ input: EncoderInput, on tape: Tape) -> Tensor {
    let offset = positionOffset
    let sum = tape.embed(
      [
        (words, input.tokenIDs), (types, input.tokenTypes),
        (positions, input.positions.map { $0 + offset }),
      ], in: input.space)  // [T, D]
    return tape.dropout(tape.layerNorm(sum, norm), rate: dropout)
  }
}

/// Attention, then the position-wise half, each followed by its residual sum and normalisation.
struct EncoderBlock: Sendable {
  let queryKeyValue: Parameter  // [3D, D]
  let queryKeyValueBias: Parameter  // [3D]
  let attentionOutput: Linear  // [D, D]
  let attentionNorm: LayerNormParameters
  let expand: Linear  // [inner, D]
  let contract: Linear  // [D, inner]
  let outputNorm: LayerNormParameters
  let heads: Int
  let dropout: Float
  let attentionDropout: Float

  init(_ configuration: EncoderConfiguration, layer: Int, in layout: inout ParameterLayout) {
    let prefix = "encoder.layer.\(layer)"
    let width = configuration.hiddenSize
    func first(inputs: Int) -> FirstValue {
      .normal(
        deviation: configuration.initializer == .mimetic
          ? MimeticInitializer.deviation(inputs: inputs) : configuration.initializerRange)
    }
    let names = ["query", "key", "value"].map { "\(prefix).attention.self.\($0)" }
    queryKeyValue = layout.joined(
      names.map { layout.add("\($0).weight", width, width, first: first(inputs: width)) })
    queryKeyValueBias = layout.joinedVectors(names.map { layout.add("\($0).bias", width) })
    attentionOutput = Linear(
      "\(prefix).attention.output.dense", width, width, first: first(inputs: width), in: &layout)
    attentionNorm = LayerNormParameters(
      "\(prefix).attention.output.LayerNorm", width, configuration.layerNormEpsilon, in: &layout)
    let inner = configuration.innerSize
    expand = Linear(
      "\(prefix).intermediate.dense", inner, width, first: first(inputs: width), in: &layout)
    contract = Linear(
      "\(prefix).output.dense", width, inner, first: first(inputs: inner), in: &layout)
    outputNorm = LayerNormParameters(
      "\(prefix).output.LayerNorm", width, configuration.layerNormEpsilon, in: &layout)
    heads = configuration.headCount
    dropout = configuration.hiddenDropout
    attentionDropout = configuration.attentionDropout
  }

  func callAsFunction(_ x: Tensor, _ sequenceBounds: [Int], on tape: Tape) -> Tensor {
    let qkv = tape.linear(x, queryKeyValue, queryKeyValueBias)  // [T, 3D]
    let mixed = tape.attention(
      qkv, heads: heads, sequenceBounds: sequenceBounds, dropout: attentionDropout)  // [T, D]
    let attended = tape.layerNorm(
      tape.linear(mixed, attentionOutput.weight), bias: attentionOutput.bias, residual: x,
      dropout: dropout, attentionNorm)  // [T, D]
    let inner = tape.linear(attended, expand.weight, expand.bias, activation: .gelu)  // [T, inner]
    return tape.layerNorm(
      tape.linear(inner, contract.weight), bias: contract.bias, residual: attended,
      dropout: dropout, outputNorm)  // [T, D]
  }
}

/// The parameters of `x·Wᵀ + b`.
struct Linear: Sendable {
  let weight: Parameter  // [out, in]
  let bias: Parameter  // [out]

  /// - Parameter first: The first value of the weight; the bias begins at 0.
  init(
    _ name: String, _ outputs: Int, _ inputs: Int, first: FirstValue,
    in layout: inout ParameterLayout
  ) {
    weight = layout.add("\(name).weight", outputs, inputs, first: first)
    bias = layout.add("\(name).bias", outputs)
  }
}

extension LayerNormParameters {
  init(_ name: String, _ width: Int, _ epsilon: Float, in layout: inout ParameterLayout) {
    self.init(
      scale: layout.add("\(name).weight", width, first: .ones),
      shift: layout.add("\(name).bias", width), epsilon: epsilon)
  }
}
