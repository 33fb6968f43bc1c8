import Determinism
import Model
import Tensors

/// `softmax(W₂·gelu(W₁·e + b₁) + b₂)`, where e is the row of a table that a hash of a word's bytes names.
struct HashedNetwork: Network {
  let layout: ParameterLayout
  let buckets: Int
  let labels: Int
  private let dropout: Float
  private let table: Parameter  // [buckets, width]
  private let hidden: Parameter  // [width, width]
  private let hiddenBias: Parameter  // [width]
  private let output: Parameter  // [labels, width]
  private let outputBias: Parameter  // [labels]

  init(buckets: Int, width: Int, labels: Int, dropout: Float) {
    var layout = ParameterLayout()
    self.buckets = buckets
    self.labels = labels
    self.dropout = dropout
    let deviation = 1 / Float(width).squareRoot()
    table = layout.at(depth: 0, group: .encoder) {
      $0.addTable("hashes.weight", buckets, width, first: .normal(deviation: 0.5))
    }
    (hidden, hiddenBias) = layout.at(depth: 1, group: .encoder) {
      (
        $0.add("hidden.weight", width, width, first: .normal(deviation: deviation)),
        $0.add("hidden.bias", width)
      )
    }
    (output, outputBias) = layout.at(depth: 2, group: .head) {
      (
        $0.add("output.weight", labels, width, first: .normal(deviation: deviation)),
        $0.add("output.bias", labels)
      )
    }
    self.layout = layout
  }

  var limits: BatchLimits {
    BatchLimits(vocabulary: buckets, longestSequence: .max, tokenTypes: 1)
  }

  func cost(ofSequences lengths: [Int]) -> Int { lengths.reduce(0, +) }

  func activationFloats(ofTokens tokens: Int) -> Int { tokens * (3 * table.columns + labels) }

  func bucket(of word: String) -> Int32 {
    var hash = FNV1a()
    for byte in word.utf8 { hash.add(byte: byte) }
    return Int32(hash.value % UInt64(buckets))
  }

  /// The score of each label for each word, `[words, labels]`.
  func logits(_ buckets: [Int32], in space: RowSpace, on tape: Tape) -> Tensor {
    let words = tape.embed([(table, buckets)], in: space)  // [words, width]
    let inner = tape.linear(words, hidden, hiddenBias, activation: .gelu)  // [words, width]
    return tape.linear(tape.dropout(inner, rate: dropout), output, outputBias)
  }

  /// The probability of each label for each word of a sentence, row-major.
  func probabilities(
    of buckets: [Int32], _ parameters: ParameterSet, in workspace: Workspace
  ) -> [Float] {
    let tape = Tape(workspace: workspace, parameters: parameters)
    let space = RowSpace(segmentBounds: [0, buckets.count])
    return tape.softmax(logits(buckets, in: space, on: tape)).array
  }
}
