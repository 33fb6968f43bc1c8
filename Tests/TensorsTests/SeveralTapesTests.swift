import Tensors
import TestSupport
import Testing

/// Passes of more than one tape: inner ones between the parts of an outer one, and outer ones that add to one gradient.
@Suite struct SeveralTapesTests {
  private let workspace = Workspace(kernels: .forTests, threadCount: 2)
  private let space = RowSpace(segmentBounds: [0, 3, 8])

  private struct Model {
    var layout = ParameterLayout()
    let table: Parameter
    let first: Parameter
    let bias: Parameter
    let second: Parameter
    let unused: Parameter
    var set: ParameterSet

    init() {
      table = layout.addTable("table", 12, 16, first: .normal(deviation: 1))
      first = layout.add("first", 24, 16, first: .normal(deviation: 0.3))
      bias = layout.add("bias", 24, first: .uniform(bound: 0.5))
      second = layout.add("second", 4, 24, first: .normal(deviation: 0.3))
      unused = layout.add("unused", 5)
      set = ParameterSet(layout: layout)
    }
  }

  private func model() -> Model {
    var model = Model()
    for entry in model.layout.entries.indices {
      model.set.fillFirst(entry: entry, seed: 2, in: workspace)
    }
    return model
  }

  private func rows(_ shift: Int) -> [Int32] { (0..<8).map { Int32(($0 * 5 + shift) % 12) } }

  /// Records a loss, of one layer alone where `isShort`.
  @discardableResult
  private func record(_ model: Model, _ shift: Int, isShort: Bool = false, on tape: Tape) -> Double
  {
    var x = tape.embed([(model.table, rows(shift))], in: space)
    x = tape.linear(x, model.first, model.bias, activation: .gelu)
    if !isShort { x = tape.linear(x, model.second) }
    let term = tape.crossEntropy(x, targets: (0..<8).map { Int32(($0 + shift) % 4) })
    term.seed = 0.5
    return term.segmentSums.reduce(0, +)
  }

  private func values(_ gradients: GradientBuffer) -> [Float] {
    gradients.storage.withSpan { span in span.indices.map { span[$0] } }
  }

  @Test func innerTapesLeaveTheOuterOneAsItWas() {
    let model = model()
    func gradient(innerTapes: Int) -> (loss: Double, [Float]) {
      let (outer, scratch) = (
        GradientBuffer(layout: model.layout), GradientBuffer(layout: model.layout)
      )
      let tape = Tape(workspace: workspace, parameters: model.set, gradients: outer)
      let x = tape.embed([(model.table, rows(0))], in: space)
      for number in 0..<innerTapes {
        scratch.reset()
        let inner = Tape(
          workspace: workspace, parameters: model.set, gradients: scratch, resetsArena: false)
        record(model, number + 1, on: inner)
        // One more inside of it.
        let innermost = Tape(workspace: workspace, parameters: model.set, resetsArena: false)
        record(model, 7, on: innermost)
        innermost.release()
        inner.backward()
        inner.release()
      }
      let term = tape.crossEntropy(tape.linear(x, model.first), targets: (0..<8).map { $0 })
      term.seed = 1
      let last = Tape(
        workspace: workspace, parameters: model.set, gradients: scratch, resetsArena: false)
      if innerTapes > 0 {
        scratch.reset()
        record(model, 3, on: last)
        last.backward()
      }
      last.release()
      tape.backward()
      return (term.segmentSums.reduce(0, +), values(outer))
    }
    let alone = gradient(innerTapes: 0)
    let many = gradient(innerTapes: 40)
    #expect(alone.0 == many.0 && alone.1 == many.1)
  }

  @Test func memoryOfInnerTapesIsUsedAgain() {
    let model = model()
    let scratch = GradientBuffer(layout: model.layout)
    func bytes(_ count: Int) -> Int {
      let workspace = Workspace(kernels: .forTests, threadCount: 1)
      defer { workspace.stop() }
      let outer = Tape(workspace: workspace, parameters: model.set)
      record(model, 0, on: outer)
      for number in 0..<count {
        scratch.reset()
        let inner = Tape(
          workspace: workspace, parameters: model.set, gradients: scratch, resetsArena: false)
        record(model, number, on: inner)
        inner.backward()
        inner.release()
      }
      return workspace.stepBytes
    }
    #expect(bytes(1) == bytes(50))
  }

  /// The gradient of several tapes is that of each added in order, and each entry is reported once.
  @Test func outerTapesAddToOneGradient() {
    let model = model()
    let parts = (0..<3).map { number in
      let gradients = GradientBuffer(layout: model.layout)
      let tape = Tape(workspace: workspace, parameters: model.set, gradients: gradients)
      record(model, number, isShort: number == 2, on: tape)
      tape.backward()
      return values(gradients)
    }
    let gradients = GradientBuffer(layout: model.layout)
    // Floats that an earlier pass left must not be seen.
    gradients.storage.withMutableSpan(model.layout.denseRange) { span in
      for index in span.indices { span[index] = 7 }
    }
    gradients.reset()
    var final: [Int: [Float]] = [:]
    for number in 0..<3 {
      let tape = Tape(
        workspace: workspace, parameters: model.set, gradients: gradients,
        completesGradient: number == 2)
      tape.whenFinal = { entry in
        #expect(number == 2 && final[entry] == nil, "entry \(entry) in tape \(number)")
        final[entry] = gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
      }
      record(model, number, isShort: number == 2, on: tape)
      tape.backward()
    }
    #expect(final.count == model.layout.entries.count)
    let sum = values(gradients)
    for index in sum.indices {
      let wanted = parts[0][index] + parts[1][index] + parts[2][index]
      // Rows of tables are added use by use.
      #expect(abs(sum[index] - wanted) <= 4 * Float.ulpOfOne * max(1, abs(wanted)))
    }
    for (index, entry) in model.layout.entries.enumerated() {
      let whole = Array(sum[entry.offset..<entry.offset + entry.count])
      #expect(final[index] == whole, "\(entry.name) changed after it was final")
    }
    #expect(Set(gradients.touchedRows[0].rows) == Set(rows(0) + rows(1) + rows(2)))
  }
}
