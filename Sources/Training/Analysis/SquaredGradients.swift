import Determinism
import Tensors

/// Sums of squared gradients, one a weight: what a Fisher diagonal is a mean of.
struct SquaredGradients {
  let layout: ParameterLayout
  /// In the order of the layout's flat buffer.
  var sums: [Double]

  init(layout: ParameterLayout) {
    self.layout = layout
    sums = [Double](repeating: 0, count: layout.count)
  }

  /// Adds the square of every element. Of tables, the rows that operations used; the others are zero.
  mutating func add(_ gradients: GradientBuffer) {
    for (index, entry) in layout.entries.enumerated() {
      gradients.read(entry: index) { values in
        if !entry.isTable { return add(values, 0..<entry.count, at: entry.offset) }
        let columns = entry.shape[1]
        for row in gradients.touchedRows[index].rows {
          let start = Int(row) * columns
          add(values, start..<start + columns, at: entry.offset)
        }
      }
    }
  }

  private mutating func add(_ values: Span<Float>, _ range: Range<Int>, at offset: Int) {
    var sums = self.sums.mutableSpan
    for index in range {
      let value = Double(values[index])
      sums[offset + index] += value * value
    }
  }
}

extension LabelSampler {
  /// Draws a labelling of a sentence and leaves the gradient of −log p(y|x) in a buffer.
  ///
  /// Its numbers are those of the seed, the sentence's key and the sample, whatever was drawn before.
  ///
  /// - Parameter key: Of the sentence among all of its language; by it random numbers are named.
  func leaveGradient(
    ofSentence sentence: Int, key: Int, sample: Int, seed: UInt64, _ parameters: ParameterSet,
    into gradients: GradientBuffer, in workspace: Workspace
  ) {
    var random = RandomStream(seed: seed, ["fisher", .number(key), .number(sample)])
    gradients.reset()
    let tape = Tape(workspace: workspace, parameters: parameters, gradients: gradients)
    recordSample(ofSentence: sentence, using: &random, on: tape)
    for term in tape.terms { term.seed = 1 }
    tape.backward()
  }
}
