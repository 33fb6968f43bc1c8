import Foundation
import Tensors

/// Every operation that gives a tensor, with its meaning in `Double`.
let cases: [Case] = [
  linearCase(activation: .none), linearCase(activation: .gelu),
  Case(
    name: "gelu", segmentBounds: [0, 5, 9], inputs: [7], parameters: [],
    run: { tape, x, _ in tape.gelu(x[0]) }, reference: { $0[0].map(gelu) }),
  Case(
    name: "tanh", segmentBounds: [0, 5, 9], inputs: [7], parameters: [],
    run: { tape, x, _ in tape.tanh(x[0]) }, reference: { $0[0].map { tanh($0) } }),
  Case(
    name: "softmax", segmentBounds: [0, 5, 9], inputs: [7], parameters: [],
    run: { tape, x, _ in tape.softmax(x[0]) },
    reference: { values in
      matrixRows(values[0], 7).flatMap { row in
        let powers = row.map { exp($0) }
        return powers.map { $0 / powers.reduce(0, +) }
      }
    }),
  Case(
    name: "foreign", segmentBounds: [0, 5, 5, 9], inputs: [7], parameters: [[7], [7]],
    run: { tape, x, p in tape.scaledColumns(tape.scaledColumns(x[0], p[0]), p[1]) },
    reference: { values in
      values[0].indices.map { values[0][$0] * values[1][$0 % 7] * values[2][$0 % 7] }
    }),
  Case(
    name: "gather", segmentBounds: [0, 5, 9], inputs: [7], parameters: [],
    run: { tape, x, _ in
      tape.gather(
        x[0], rows: [1, 4, 5, 8],
        as: x[0].space.gathering([1, 4, 5, 8], segmentBounds: [0, 2, 4]))
    },
    reference: { values in
      let rows = matrixRows(values[0], 7)
      return [1, 4, 5, 8].flatMap { rows[$0] }
    }),
  Case(
    name: "beside", segmentBounds: [0, 5, 9], inputs: [7, 3], parameters: [],
    run: { tape, x, _ in tape.beside([x[0], x[1], tape.tanh(x[0])]) },
    reference: { values in
      zip(matrixRows(values[0], 7), matrixRows(values[1], 3)).flatMap { left, right in
        left + right + left.map { tanh($0) }
      }
    }),
  Case(
    name: "layerNorm", segmentBounds: [0, 5, 9], inputs: [21], parameters: [[21], [21]],
    run: { tape, x, p in
      tape.layerNorm(x[0], LayerNormParameters(scale: p[0], shift: p[1], epsilon: 1e-12))
    },
    reference: { normalised($0[0], $0[1], $0[2], epsilon: 1e-12) }),
  Case(
    name: "residualLayerNorm", segmentBounds: [0, 5, 5, 9], inputs: [21, 21],
    parameters: [[21], [21], [21]],
    run: { tape, x, p in
      tape.layerNorm(
        x[0], bias: p[0], residual: x[1], dropout: 0.25,
        LayerNormParameters(scale: p[1], shift: p[2], epsilon: 1e-5))
    },
    reference: { values in
      let sums = values[0].indices.map { values[0][$0] + values[2][$0 % 21] + values[1][$0] }
      return normalised(sums, values[3], values[4], epsilon: 1e-5)
    }),
  Case(
    name: "attention", segmentBounds: [0, 4, 17], inputs: [24], parameters: [],
    run: { tape, x, _ in
      tape.attention(x[0], heads: 2, sequenceBounds: [0, 4, 5, 17], dropout: 0.25)
    },
    reference: { attention($0[0], heads: 2, bounds: [0, 4, 5, 17]) }),
  Case(
    name: "lstm", segmentBounds: [0, 2, 6], inputs: [7],
    parameters: [[36, 7], [36, 9], [36], [36, 7], [36, 9], [36]],
    run: { tape, x, p in
      tape.lstm(x[0], lstmDirections(p), sequenceBounds: lstmBounds, in: lstmSequences).all
    },
    reference: { lstm($0[0], inputs: 7, [Array($0[1...3]), Array($0[4...6])]).all }),
  // Of two layers, the first one's last states and cells begin the second.
  Case(
    name: "lstmFromLast", segmentBounds: [0, 2, 6], inputs: [7, 5],
    parameters: [[36, 7], [36, 9], [36], [36, 5], [36, 9], [36]],
    run: { tape, x, p in
      let first = tape.lstm(
        x[0], lstmDirections(Array(p[..<3])), sequenceBounds: lstmBounds, in: lstmSequences)
      return tape.lstm(
        x[1], lstmDirections(Array(p[3...])), sequenceBounds: lstmBounds, in: lstmSequences,
        initial: (first.last, first.lastCells)
      ).all
    },
    reference: { values in
      let first = lstm(values[0], inputs: 7, [Array(values[2...4])])
      return lstm(
        values[1], inputs: 5, [Array(values[5...7])], initial: (first.last, first.lastCells)
      ).all
    }),
  Case(
    name: "embedding", segmentBounds: [0, 3, 3, 8], inputs: [], parameters: [[6, 5], [4, 5]],
    run: { tape, _, p in
      tape.embed(
        [(p[0], embeddingIDs.0), (p[1], embeddingIDs.1)],
        in: RowSpace(segmentBounds: [0, 3, 3, 8]))
    },
    reference: { values in
      zip(embeddingIDs.0, embeddingIDs.1).flatMap { a, b in
        (0..<5).map { values[0][Int(a) * 5 + $0] + values[1][Int(b) * 5 + $0] }
      }
    }),
  Case(
    name: "sharedWeight", segmentBounds: [0, 4, 7], inputs: [6], parameters: [[6, 6]],
    run: { tape, x, p in tape.linear(tape.linear(x[0], p[0]), p[0]) },
    reference: { values in
      let once = products(values[0], values[1], inputs: 6)
      return products(once, values[1], inputs: 6)
    }),
  Case(
    name: "dropout", segmentBounds: [0, 4, 7], inputs: [6], parameters: [],
    run: { tape, x, _ in tape.dropout(x[0], rate: 0.25) }, reference: { $0[0] }),
]

private let embeddingIDs: ([Int32], [Int32]) = (
  [5, 0, 5, 1, 5, 5, 2, 0], [0, 1, 2, 0, 1, 2, 3, 3]
)

private func linearCase(activation: Activation) -> Case {
  Case(
    name: activation == .gelu ? "linearGELU" : "linear", segmentBounds: [0, 6, 6, 13],
    inputs: [10], parameters: [[18, 10], [18]],
    run: { tape, x, p in tape.linear(x[0], p[0], p[1], activation: activation) },
    reference: { values in
      let sums = products(values[0], values[1], inputs: 10)
      let z = sums.indices.map { sums[$0] + values[2][$0 % 18] }
      return activation == .gelu ? z.map(gelu) : z
    })
}

private func gelu(_ z: Double) -> Double { z * 0.5 * erfc(-z / 2.0.squareRoot()) }

/// `x·Wᵀ`, where both have `inputs` columns.
private func products(_ x: [Double], _ weight: [Double], inputs: Int) -> [Double] {
  let weights = matrixRows(weight, inputs)
  return matrixRows(x, inputs).flatMap { row in
    weights.map { zip(row, $0).reduce(0) { $0 + $1.0 * $1.1 } }
  }
}

private func normalised(
  _ x: [Double], _ scale: [Double], _ shift: [Double], epsilon: Double
) -> [Double] {
  matrixRows(x, scale.count).flatMap { row in
    let mean = row.reduce(0, +) / Double(row.count)
    let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
    return row.indices.map {
      (row[$0] - mean) / (variance + epsilon).squareRoot() * scale[$0] + shift[$0]
    }
  }
}

private func attention(_ qkv: [Double], heads: Int, bounds: [Int]) -> [Double] {
  let columns = 24
  let width = columns / 3 / heads
  let rows = matrixRows(qkv, columns)
  var output: [Double] = []
  for sequence in 0..<bounds.count - 1 {
    let tokens = bounds[sequence]..<bounds[sequence + 1]
    for query in tokens {
      for head in 0..<heads {
        let q = rows[query][head * width..<(head + 1) * width]
        let scores = tokens.map { key in
          zip(q, rows[key][columns / 3 + head * width..<columns / 3 + (head + 1) * width])
            .reduce(0) { $0 + $1.0 * $1.1 } / Double(width).squareRoot()
        }
        let largest = scores.max() ?? 0
        let weights = scores.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        for column in 0..<width {
          output.append(
            zip(tokens, weights).reduce(0) {
              $0 + $1.1 / total * rows[$1.0][2 * columns / 3 + head * width + column]
            })
        }
      }
    }
  }
  return output
}

/// The third sequence is empty.
private let lstmBounds = [0, 2, 3, 3, 6]
private let lstmSequences = RowSpace(segmentBounds: [0, 1, 4])

private func lstmDirections(_ parameters: [Parameter]) -> [LSTMParameters] {
  stride(from: 0, to: parameters.count, by: 3).map {
    LSTMParameters(
      input: parameters[$0], hidden: parameters[$0 + 1], bias: parameters[$0 + 2])
  }
}

/// A layer of nine units over the sequences of ``lstmBounds``, by the formulas of PyTorch's documentation.
private func lstm(
  _ x: [Double], inputs: Int, _ directions: [[[Double]]],
  initial: (states: [[Double]], cells: [[Double]])? = nil
) -> (all: [Double], last: [[Double]], lastCells: [[Double]]) {
  let units = 9
  let rows = matrixRows(x, inputs)
  func sigmoid(_ z: Double) -> Double { 1 / (1 + exp(-z)) }
  var all = rows.map { _ in [Double](repeating: 0, count: directions.count * units) }
  var last: [[Double]] = []
  var lastCells: [[Double]] = []
  for sequence in 0..<lstmBounds.count - 1 {
    var ends: [Double] = []
    var endCells: [Double] = []
    for (direction, parameters) in directions.enumerated() {
      let part = direction * units..<(direction + 1) * units
      var state = initial.map { Array($0.states[sequence][part]) } ?? Array(repeating: 0, count: 9)
      var cell = initial.map { Array($0.cells[sequence][part]) } ?? Array(repeating: 0, count: 9)
      let steps = Array(lstmBounds[sequence]..<lstmBounds[sequence + 1])
      for row in direction == 0 ? steps : steps.reversed() {
        let fromInput = products(rows[row], parameters[0], inputs: inputs)
        let fromState = products(state, parameters[1], inputs: units)
        let z = zip(zip(fromInput, fromState), parameters[2]).map { $0.0 + $0.1 + $1 }
        for unit in 0..<units {
          cell[unit] =
            sigmoid(z[units + unit]) * cell[unit] + sigmoid(z[unit]) * tanh(z[2 * units + unit])
          state[unit] = sigmoid(z[3 * units + unit]) * tanh(cell[unit])
        }
        all[row].replaceSubrange(part, with: state)
      }
      ends += state
      endCells += cell
    }
    last.append(ends)
    lastCells.append(endCells)
  }
  return (all.flatMap { $0 }, last, lastCells)
}
