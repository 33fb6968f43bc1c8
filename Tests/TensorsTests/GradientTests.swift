import Tensors
import TestSupport
import Testing

/// Outputs against `Double`, gradients against finite differences of the operation in `Double`.
@Suite struct GradientTests {
  @Test(arguments: cases, KernelTable.runnable)
  func outputsAndGradientsAgreeWithDoubles(_ one: Case, _ table: KernelTable) {
    let workspace = Workspace(kernels: table, threadCount: 1)
    let values = one.values()
    let result = one.result(values, in: workspace)
    let doubles = values.map { $0.map(Double.init) }
    let wanted = one.reference(doubles)
    #expect(result.output.count == wanted.count)
    // Sums of at most 24 products of numbers below 4, each rounded to 24 bits, a few times over.
    for (value, wanted) in zip(result.output, wanted) {
      #expect(abs(Double(value) - wanted) <= 2e-5 * max(1, abs(wanted)), "\(one.name)")
    }

    let weights = one.outputWeights(wanted.count).map(Double.init)
    func scalar(_ values: [[Double]]) -> Double {
      zip(one.reference(values), weights).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let gradients = result.inputGradients + result.parameterGradients
    let step = 1e-5
    for (index, gradient) in gradients.enumerated() {
      #expect(gradient.count == values[index].count, "\(one.name), value \(index)")
      for element in stride(from: 0, to: gradient.count, by: max(1, gradient.count / 40)) {
        var moved = doubles
        moved[index][element] += step
        let above = scalar(moved)
        moved[index][element] -= 2 * step
        let difference = (above - scalar(moved)) / (2 * step)
        // The difference quotient is good to about 1e-9, the gradient to float's rounding of sums.
        #expect(
          abs(Double(gradient[element]) - difference) <= 5e-5 * max(1, abs(difference)),
          "\(one.name), value \(index), element \(element): \(gradient[element]) for \(difference)")
      }
    }
    workspace.stop()
  }

  @Test func frozenParametersHaveNoGradientAndStopTheBackwardPass() {
    let workspace = Workspace(kernels: .forTests, threadCount: 1)
    var layout = ParameterLayout()
    let first = layout.add("first", 4, 4)
    let second = layout.add("second", 4, 4)
    let gradients = GradientBuffer(layout: layout, trained: [false, true])
    let tape = Tape(
      workspace: workspace, parameters: ParameterSet(layout: layout), gradients: gradients)
    let x = tape.constant(
      [Float](repeating: 1, count: 8), in: RowSpace(segmentBounds: [0, 2]), columns: 4)
    let middle = tape.linear(x, first)
    let output = tape.linear(middle, second)
    #expect(!middle.needsGradient && output.needsGradient)
    workspace.stop()
  }
}
