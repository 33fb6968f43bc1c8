public import Model
public import Tensors

/// A stack of bidirectional LSTMs over the bytes of a whole sentence, and the score of each entity type for each byte (Kuru,
/// Can and Yuret, 2016, on bytes as Mueller, Andrews and Dredze, 2020).
///
/// In comments, U is bytes.
public struct CharNERNetwork: Network {
  public let layout: ParameterLayout
  let head: TokenHead
  private let shape: CharNEROptions
  private let vocabulary: Int
  private let embedding: Parameter  // [vocabulary, embedding size]
  private let stack: RecurrentStack

  /// - Parameters:
  ///   - vocabulary: How many bytes have an id.
  ///   - types: Entity types, and `O`.
  init(_ shape: CharNEROptions, vocabulary: Int, types: Int) {
    self.shape = shape
    self.vocabulary = vocabulary
    var layout = ParameterLayout()
    func glorot(_ rows: Int, _ columns: Int) -> FirstValue {
      .uniform(bound: (6 / Float(rows + columns)).squareRoot())
    }
    embedding = layout.at(depth: 0, group: .encoder) {
      $0.add(
        "embedding.weight", vocabulary, shape.embeddingSize,
        first: glorot(vocabulary, shape.embeddingSize))
    }
    stack = RecurrentStack(
      "lstm", inputs: shape.embeddingSize, units: shape.layerUnits, layers: shape.layers,
      isBidirectional: true, depth: 1, in: &layout)
    let columns = stack.columns
    head = layout.at(depth: 1 + shape.layers, group: .head) {
      TokenHead(
        kind: .softmax, name: "classifier", chainName: "", labelCount: types, hiddenSize: columns,
        weight: glorot(columns, types), in: &$0)
    }
    self.layout = layout
  }

  public var limits: BatchLimits {
    BatchLimits(vocabulary: vocabulary, longestSequence: .max, tokenTypes: 1)
  }

  public func cost(ofSequences lengths: [Int]) -> Int { lengths.reduce(0, +) }

  public func activationFloats(ofTokens tokens: Int) -> Int {
    // Gates, cells, states and their dropout of both directions.
    tokens * (2 * 7 * shape.layerUnits * shape.layers + 2 * shape.embeddingSize)
  }

  /// The score of each type for each byte, `[U, types]`.
  func logits(_ batch: UnitBatch, bySegment: Bool, on tape: Tape) -> Tensor {
    let (units, _, items) = batch.spaces(bySegment: bySegment)
    let x = tape.dropoutRows(
      tape.embed([(embedding, batch.units)], in: units), rate: Float(shape.byteDropout))
    let states = stack(
      x, sequenceBounds: batch.itemUnitBounds, in: items,
      dropout: Float(shape.dropout), inputDropout: 0, on: tape)
    let last = states[states.count - 1].all  // [U, 2 × layer units]
    return head.logits(tape.dropout(last, rate: Float(shape.lastDropout)), on: tape)
  }
}
