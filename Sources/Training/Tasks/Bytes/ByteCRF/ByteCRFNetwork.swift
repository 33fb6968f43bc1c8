public import Model
public import Tensors

/// The Byte-CRF: a stack of bidirectional LSTMs over the units of each word, whose last states of all layers and directions
/// are the word; another one over the words of a sentence; a linear layer and a CRF (Lample et al., 2016, on bytes as
/// Mueller, Andrews and Dredze, 2020).
///
/// In comments, U is units, W words, S sentences.
public struct ByteCRFNetwork: Network {
  public let layout: ParameterLayout
  let head: TokenHead
  private let shape: ByteCRFOptions
  private let vocabulary: Int
  private let embedding: Parameter  // [vocabulary, embedding size]
  private let wordStack: RecurrentStack
  private let sentenceStack: RecurrentStack

  /// - Parameter vocabulary: How many units have an id.
  init(_ shape: ByteCRFOptions, vocabulary: Int, labels: Int) {
    self.shape = shape
    self.vocabulary = vocabulary
    var layout = ParameterLayout()
    embedding = layout.at(depth: 0, group: .encoder) {
      $0.add(
        "embedding.weight", vocabulary, shape.embeddingSize, first: .normal(deviation: 0.001))
    }
    wordStack = RecurrentStack(
      "word_lstm", inputs: shape.embeddingSize, units: shape.wordUnits, layers: shape.wordLayers,
      isBidirectional: true, depth: 1, in: &layout)
    let wordColumns = shape.wordLayers * wordStack.columns
    sentenceStack = RecurrentStack(
      "sentence_lstm", inputs: wordColumns, units: shape.sentenceUnits,
      layers: shape.sentenceLayers, isBidirectional: true, depth: 1 + shape.wordLayers, in: &layout)
    let columns = sentenceStack.columns
    head = layout.at(depth: 1 + shape.wordLayers + shape.sentenceLayers, group: .head) {
      TokenHead(
        kind: .crf, name: "classifier", chainName: "crf", labelCount: labels, hiddenSize: columns,
        weight: .uniform(bound: (6 / Float(columns + labels)).squareRoot()),
        hasEnds: shape.chainEnds, in: &$0)
    }
    self.layout = layout
  }

  public var limits: BatchLimits {
    BatchLimits(vocabulary: vocabulary, longestSequence: .max, tokenTypes: 1)
  }

  /// The units: the layers over words do the most of the work.
  public func cost(ofSequences lengths: [Int]) -> Int { lengths.reduce(0, +) }

  public func activationFloats(ofTokens tokens: Int) -> Int {
    // Gates, cells and states of both directions; words are a fifth of the units.
    let word = 2 * 6 * shape.wordUnits * shape.wordLayers + 2 * shape.embeddingSize
    let sentence =
      2 * 6 * shape.sentenceUnits * shape.sentenceLayers + 2 * wordStack.columns * shape.wordLayers
    return tokens * (word + sentence / 5)
  }

  /// The vector of each word, `[W, layers × 2 × word units]`.
  private func vectors(
    _ batch: UnitBatch, _ units: RowSpace, _ words: RowSpace, on tape: Tape
  ) -> Tensor {
    let x = tape.embed([(embedding, batch.units)], in: units)  // [U, embedding size]
    let states = wordStack(
      x, sequenceBounds: batch.wordBounds, in: words,
      dropout: Float(shape.dropout), on: tape)
    return tape.beside(states.map(\.last))
  }

  /// The score of each label for each word, `[W, labels]`.
  ///
  /// Where nothing is learned, and so nothing dropped, a word is read once in each segment.
  func logits(_ batch: UnitBatch, bySegment: Bool, on tape: Tape) -> Tensor {
    let (units, words, items) = batch.spaces(bySegment: bySegment)
    let dropout = Float(shape.dropout)
    let vectors: Tensor
    if tape.gradients == nil {
      let (distinct, places) = batch.distinctWords()
      let spaces = distinct.spaces(bySegment: bySegment)
      vectors = tape.gather(
        self.vectors(distinct, spaces.units, spaces.words, on: tape), rows: places, as: words)
    } else {
      vectors = self.vectors(batch, units, words, on: tape)
    }
    let sentence = sentenceStack(
      vectors, sequenceBounds: batch.itemBounds, in: items,
      dropout: dropout, on: tape)
    let states = sentence[sentence.count - 1].all  // [W, 2 × sentence units]
    return head.logits(tape.dropout(states, rate: dropout), on: tape)
  }
}
