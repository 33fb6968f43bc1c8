import Determinism
import Tensors
import TestSupport
import Testing

/// Linear layers whose factors are rounded to bf16.
@Suite struct RoundedProductsTests {
  /// A layer over segments, of which one is empty and none is a whole number of blocks.
  private func layer(_ shape: (outputs: Int, inputs: Int), _ activation: Activation) -> Case {
    Case(
      name: "rounded", segmentBounds: [0, 37, 37, 38, 251], inputs: [shape.inputs],
      parameters: [[shape.outputs, shape.inputs], [shape.outputs]],
      run: { tape, x, p in
        let output = tape.linear(x[0], p[0], p[1], activation: activation)
        // A square layer is used twice: gradients are added to what is there.
        return shape.outputs == shape.inputs ? tape.linear(output, p[0], p[1]) : output
      }, reference: { _ in [] })
  }

  private func result(
    _ one: Case, _ values: [[Float]], _ table: KernelTable, _ precision: Precision,
    threads: Int = 2, weights: [Float]? = nil
  ) -> CaseResult {
    let workspace = Workspace(kernels: table, threadCount: threads, precision: precision)
    defer { workspace.stop() }
    return one.result(values, in: workspace, outputWeights: weights)
  }

  private func eighths(_ count: Int, _ name: String) -> [Float] {
    var random = RandomStream(seed: 4, [.text(name)])
    return random.floats(count, in: -8.4...8.4).map { $0.rounded() / 8 }
  }

  /// Small eighths are bf16 numbers, and sums of their products have no rounding in any order: nothing may differ.
  @Test(arguments: KernelTable.runnable, [(96, 64), (200, 40), (33, 97)])
  func productsOfSmallNumbersAreExact(_ table: KernelTable, _ shape: (outputs: Int, inputs: Int)) {
    let one = layer(shape, .none)
    let values = [
      eighths(251 * shape.inputs, "x"), eighths(shape.outputs * shape.inputs, "w"),
      eighths(shape.outputs, "b"),
    ]
    let weights = eighths(251 * shape.outputs, "dy")
    let wanted = result(one, values, table, .fp32, weights: weights)
    let found = result(one, values, table, .bf16, weights: weights)
    #expect(found == wanted)
  }

  /// Real numbers: the error is that of factors of 8 bits, and is there.
  @Test(arguments: KernelTable.runnable, [96, 160])
  func productsAreThoseOfRoundedFactors(_ table: KernelTable, _ outputs: Int) {
    let one = layer((outputs, 96), .gelu)
    let values = one.values()
    let wanted = result(one, values, table, .fp32).all
    let found = result(one, values, table, .bf16).all
    let scale = wanted.map { $0.magnitude }.max() ?? 0
    let worst = zip(found, wanted).map { ($0 - $1).magnitude }.max() ?? 0
    #expect(worst > 1e-4 * scale)
    #expect(worst < 1e-2 * scale)
  }

  /// Layers of few outputs, those of heads, are not rounded.
  @Test func headsAreNotRounded() {
    let one = layer((9, 96), .none)
    let values = one.values()
    #expect(result(one, values, .best, .bf16) == result(one, values, .best, .fp32))
  }
}
