import Determinism
import Tensors
import TestSupport
import Testing

/// One operation with inputs, as the tests of gradients and of bits run it.
///
/// `run` records the operation on tensors and parameters of the given shapes; `reference` computes the
/// same in `Double` from the same numbers, inputs first and then parameters.
struct Case: Sendable, CustomTestStringConvertible {
  var name: String
  /// Rows of the inputs; the segments of every input.
  var segmentBounds: [Int]
  /// Columns of each input tensor.
  var inputs: [Int]
  var parameters: [[Int]]
  var run: @Sendable (Tape, [Tensor], [Parameter]) -> Tensor
  var reference: @Sendable (_ values: [[Double]]) -> [Double]

  var testDescription: String { name }
  var rows: Int { segmentBounds[segmentBounds.count - 1] }
}

/// What a run of a case gave.
struct CaseResult: Equatable {
  var output: [Float]
  var inputGradients: [[Float]]
  var parameterGradients: [[Float]]

  /// All numbers, one after the other.
  var all: [Float] { output + inputGradients.flatMap { $0 } + parameterGradients.flatMap { $0 } }

  var hash: UInt64 {
    var hash = FNV1a()
    hash.add(all.span)
    return hash.value
  }
}

extension Case {
  /// Seeded inputs and parameters.
  func values(seed: UInt64 = 11) -> [[Float]] {
    var random = RandomStream(seed: seed, [.text(name)])
    let counts = inputs.map { $0 * rows } + parameters.map { $0.reduce(1, *) }
    return counts.map { random.floats($0, in: -1.5...1.5) }
  }

  /// The weights by which the output's elements are summed into the scalar that is differentiated.
  func outputWeights(_ count: Int) -> [Float] {
    var random = RandomStream(seed: 5, [.text(name), "output"])
    return random.floats(count, in: -1...1)
  }

  /// Runs the operation forward and backward.
  func result(
    _ values: [[Float]], in workspace: Workspace, segmentBounds: [Int]? = nil,
    dropout: DropoutKey? = nil, outputWeights: [Float]? = nil
  ) -> CaseResult {
    var layout = ParameterLayout()
    let handles = parameters.enumerated().map { index, shape in
      shape.count == 1
        ? layout.add("p\(index)", shape[0]) : layout.add("p\(index)", shape[0], shape[1])
    }
    if handles.isEmpty { _ = layout.add("unused", 1) }
    var set = ParameterSet(layout: layout)
    for index in handles.indices {
      set.update(entry: index) { span in
        for element in span.indices { span[element] = values[inputs.count + index][element] }
      }
    }
    let bounds = segmentBounds ?? self.segmentBounds
    let space = RowSpace(
      segmentBounds: bounds, items: (0..<rows).map { UInt32($0 / 3) },
      tokens: (0..<rows).map { UInt32($0 % 3) })
    let gradients = GradientBuffer(layout: layout)
    let tape = Tape(
      workspace: workspace, parameters: set, gradients: gradients, dropout: dropout)
    let tensors = inputs.enumerated().map { index, columns in
      tape.constant(values[index], in: space, columns: columns, needsGradient: true)
    }
    let output = run(tape, tensors, handles)
    let outputValues = output.array
    tape.weightedSum(output, weights: outputWeights ?? self.outputWeights(output.count)).seed = 1
    tape.backward()
    return CaseResult(
      output: outputValues, inputGradients: tensors.map { tape.gradient(of: $0) ?? [] },
      parameterGradients: handles.indices.map { index in
        gradients.read(entry: index) { span in span.indices.map { span[$0] } }
      })
  }
}

/// Rows of a matrix with `columns` columns.
func matrixRows(_ values: [Double], _ columns: Int) -> [[Double]] {
  stride(from: 0, to: values.count, by: columns).map { Array(values[$0..<$0 + columns]) }
}
