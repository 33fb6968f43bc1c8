import Tensors
import Testing

/// Layers that learn nothing have no backward pass and keep nothing for one.
@Suite struct FrozenLayersTests {
  /// Runs twelve layers, of which the first are frozen, forward and backward.
  private func run(
    frozen: Int, learning: Bool = true
  ) -> (bytes: Int, output: [Float], calls: [String: Int]) {
    let width = 128
    let rows = 4096
    var layout = ParameterLayout()
    let weights = (0..<12).map { layout.add("w\($0)", width, width) }
    var set = ParameterSet(layout: layout)
    for entry in weights.indices {
      set.update(entry: entry) { span in
        for i in span.indices { span[i] = Float((i * 31 + entry * 7) % 17 - 8) * 0.01 }
      }
    }
    let workspace = Workspace(kernels: .best, threadCount: 2)
    defer { workspace.stop() }
    let profile = Profile()
    workspace.profile = profile
    let gradients = GradientBuffer(
      layout: layout, trained: weights.indices.map { $0 >= frozen })
    let space = RowSpace(segmentBounds: [0, rows])
    var output: [Float] = []
    for _ in 0..<2 {
      let tape = Tape(
        workspace: workspace, parameters: set, gradients: learning ? gradients : nil)
      var x = tape.constant(
        (0..<rows * width).map { Float($0 % 23 - 11) * 0.1 }, in: space, columns: width)
      for weight in weights {
        x = tape.part(x) { input in
          (0..<6).reduce(input) { x, _ in tape.linear(x, weight, activation: .gelu) }
        }
      }
      output = x.array
      guard learning else { continue }
      gradients.reset()
      tape.weightedSum(x, weights: [Float](repeating: 1, count: x.count)).seed = 1
      tape.backward()
    }
    let calls = Dictionary(uniqueKeysWithValues: profile.rows.map { ($0.name, $0.calls) })
    return (workspace.stepBytes, output, calls)
  }

  @Test func frozenLayersCostNoMemoryAndNoBackwardPass() {
    let all = run(frozen: 0)
    let few = run(frozen: 10)
    let none = run(frozen: 0, learning: false)
    #expect(few.output == all.output && none.output == all.output)
    #expect(all.calls["linear 128 → 128 backward"] == 2 * 72)
    #expect(few.calls["linear 128 → 128 backward"] == 2 * 12)
    #expect(few.bytes < all.bytes / 3, "\(few.bytes) of \(all.bytes) bytes")
    #expect(none.bytes < all.bytes / 5, "\(none.bytes) of \(all.bytes) bytes")
  }

  /// Sequences whose weights training keeps, one that it makes again, and one of two tokens, where both need as much.
  @Test(arguments: KernelTable.runnable)
  func attentionKeepsNothingWithoutABackwardPass(table: KernelTable) {
    let (heads, width, bounds) = (12, 32, [0, 2, 130, 258, 386, 386, 600])
    let values = (0..<600 * 3 * heads * width).map { Float($0 % 23 - 11) * 0.1 }
    var outputs: [[Float]] = []
    var bytes: [Int] = []
    for learning in [true, false] {
      let workspace = Workspace(kernels: table, threadCount: 2)
      defer { workspace.stop() }
      let layout = ParameterLayout()
      let tape = Tape(
        workspace: workspace, parameters: ParameterSet(layout: layout),
        gradients: learning ? GradientBuffer(layout: layout) : nil)
      let qkv = tape.constant(
        values, in: RowSpace(segmentBounds: [0, 600]), columns: 3 * heads * width,
        needsGradient: true)
      outputs.append(tape.attention(qkv, heads: heads, sequenceBounds: bounds).array)
      bytes.append(workspace.stepBytes)
    }
    #expect(outputs[0] == outputs[1])
    // Three sequences of 128 tokens, and two floats for each row of the long one.
    #expect(bytes[0] - bytes[1] >= 4 * heads * (3 * 128 * 128 + 2 * 214))
  }

  /// An operation with a trained and a frozen parameter may write both gradients; a later pass finds neither.
  @Test func gradientsThatNoOperationUsedAreZero() {
    let workspace = Workspace(kernels: .forTests, threadCount: 1)
    defer { workspace.stop() }
    var layout = ParameterLayout()
    let scale = layout.add("scale", 8, first: .ones)
    let shift = layout.add("shift", 8)
    _ = layout.add("frozen", 8)
    var set = ParameterSet(layout: layout)
    set.fillFirst(entry: 0, seed: 0, in: workspace)
    let gradients = GradientBuffer(layout: layout, trained: [false, true, false])
    for isUsed in [true, false] {
      gradients.reset()
      let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
      if isUsed {
        let x = tape.constant(
          (0..<16).map { Float($0 * $0 % 7) }, in: RowSpace(segmentBounds: [0, 2]), columns: 8)
        let y = tape.layerNorm(
          x, LayerNormParameters(scale: scale, shift: shift, epsilon: 1e-5))
        tape.weightedSum(y, weights: (0..<16).map { Float($0) }).seed = 1
      }
      tape.backward()
      let used = layout.entries.indices.map { entry in
        gradients.read(entry: entry) { span in span.indices.contains { span[$0] != 0 } }
      }
      #expect(used == (isUsed ? [true, true, false] : [false, false, false]))
    }
  }
}
