import Foundation
import Tensors
import TestSupport
import Testing

/// A table of which each step uses few rows: updated as dense AdamW updates it, at the cost of rows in use.
///
/// `Tests/Golden/adamw_rows.py` tells the rows and gradients, and made the weights PyTorch ends with.
@Suite struct RowsInUseTests {
  struct Reference: Decodable {
    var decay: Double
    var bits: [UInt32]
  }

  static let (rows, columns, steps) = (40, 8, 200)
  let workspace = Workspace(kernels: .best, threadCount: 2)

  private static func isUsed(_ row: Int, _ step: Int) -> Bool {
    row % 5 != 0 && !(step >= 120 && row < 8) && (row * 7 + step * 11) % 23 < 3
  }

  private static func layout() -> ParameterLayout {
    var layout = ParameterLayout()
    _ = layout.addTable("words", rows, columns)
    _ = layout.add("bias", 3)
    return layout
  }

  private func fresh(_ layout: ParameterLayout) -> ParameterSet {
    var set = ParameterSet(layout: layout)
    set.update(entry: 0) { span in
      for i in span.indices {
        let number = (i / Self.columns * 613 + i % Self.columns * 97) % 257
        span[i] = Float(number - 128) / 64
      }
    }
    return set
  }

  /// Gives rows of the table a gradient.
  private func fill(_ gradients: GradientBuffer, _ rows: [Int32], _ values: [Float]) {
    gradients.touch(rows, ofTable: 0)
    for (index, row) in rows.enumerated() {
      gradients.withRow(row, ofTable: 0) { span in
        for column in 0..<Self.columns { span[column] = values[index * Self.columns + column] }
      }
    }
  }

  /// Runs steps of the reference's work and hands set and state to `watch` before each.
  ///
  /// - Parameter trained: Whether the table is, and the three floats beside it.
  private func train(
    _ optimiser: AdamW, decay: Double, trained: [Bool] = [true, true],
    watch: (Int, ParameterSet, OptimiserState) -> Void = { _, _, _ in }
  ) -> (ParameterSet, OptimiserState) {
    let layout = Self.layout()
    var set = fresh(layout)
    var state = OptimiserState(.adamW(AdamW()), layout: layout)
    let gradients = GradientBuffer(layout: layout, trained: trained)
    for step in 0..<Self.steps {
      watch(step, set, state)
      gradients.reset()
      let used = (0..<Self.rows).filter { Self.isUsed($0, step) }
      var values: [Float] = []
      for row in used {
        for column in 0..<Self.columns {
          let number = (row * 7919 + column * 104_729 + step * 31337) % 1001
          values.append(Float(number - 500) / 512)
        }
      }
      fill(gradients, used.map(Int32.init), values)
      gradients.zeroUntouched()
      optimiser.update(
        &set, gradients, &state, gradientScale: 1, rates: [(1e-3, decay), (1e-3, 0)],
        in: workspace)
    }
    return (set, state)
  }

  private func weights(_ set: ParameterSet) -> [Float] {
    set.read(entry: 0) { span in span.indices.map { span[$0] } }
  }

  @Test func weightsAreThoseOfDenseAdamW() throws {
    let data = try Data(contentsOf: URL(filePath: fixture("adamw_rows.json")))
    for reference in try JSONDecoder().decode([Reference].self, from: data) {
      var (set, state) = train(AdamW(tableDecay: .dense), decay: reference.decay)
      set.settle(in: workspace)
      for (found, bits) in zip(weights(set), reference.bits) {
        let wanted = Float(bitPattern: bits)
        #expect(abs(found - wanted) <= 2 * wanted.ulp)
      }
      #expect(state.rowsInUse[0].rows.allSatisfy { $0 % 5 != 0 })
      // Moments of rows never used were never written.
      state.moments[0].withSpan(0..<Self.columns) { span in
        #expect(span.indices.allSatisfy { span[$0] == 0 })
      }
      if reference.decay > 0 { continue }
      let (touched, _) = train(AdamW(), decay: 0)
      #expect(weights(touched) == weights(set))
    }
  }

  @Test func rowsNeverUsedKeepTheirBytesUnlessDense() {
    let start = weights(fresh(Self.layout()))
    let (touched, _) = train(AdamW(tableDecay: .touched), decay: 0.1)
    let end = weights(touched)
    for row in stride(from: 0, to: Self.rows, by: 5) {
      for i in row * Self.columns..<(row + 1) * Self.columns { #expect(end[i] == start[i]) }
    }
  }

  /// A row that owes its decay is read as if it had paid, whenever that is.
  @Test func readingARowPaysForIt() {
    _ = train(AdamW(tableDecay: .dense), decay: 0.1) { step, set, _ in
      guard step % 37 == 5 else { return }
      let ids = (0..<Self.rows).map(Int32.init)
      let tape = Tape(workspace: workspace, parameters: set)
      var layout = ParameterLayout()
      let table = layout.addTable("words", Self.rows, Self.columns)
      let space = RowSpace(segmentBounds: [0, Self.rows])
      let read = tape.embed([(table, ids)], in: space).array
      var settled = set
      settled.settle(in: workspace)
      #expect(read == weights(settled))
    }
  }

  private func moments(_ state: OptimiserState) -> [[Float]] {
    state.moments.map { buffer in
      buffer.withSpan { span in span.indices.map { span[$0] } }
    }
  }

  /// Sets and states that are held while steps go on, for a while or for good, stay what they were, and change no step.
  @Test(arguments: [[true, true], [true, false]]) func copiesAreValues(trained: [Bool]) {
    struct Held {
      var until: Int
      var set: ParameterSet
      var state: OptimiserState
      var weights: [Float]
      var moments: [[Float]]
    }
    var held: [Held] = []
    let (set, state) = train(AdamW(), decay: 0.1, trained: trained) { step, set, state in
      for copy in held {
        #expect(weights(copy.set) == copy.weights)
        #expect(moments(copy.state) == copy.moments)
      }
      held.removeAll { $0.until == step }
      if step == 10 {
        set.copyPreparation()
        state.copyPreparation(trained: trained)()
      }
      // Two at once, and pages of one that is gone taken again.
      if [20, 21, 40, 90, 150].contains(step) {
        held.append(
          Held(
            until: step + [20: 5, 21: 60][step, default: 1], set: set, state: state,
            weights: weights(set), moments: moments(state)))
      }
    }
    let (alone, aloneState) = train(AdamW(), decay: 0.1, trained: trained)
    #expect(weights(set) == weights(alone))
    #expect(moments(state) == moments(aloneState))
    #expect(trained[1] || moments(state).allSatisfy { $0.suffix(3).allSatisfy { $0 == 0 } })
  }

  @Test func gradientsOfTablesAddUpByRows() {
    let layout = Self.layout()
    func gradient(_ rows: [Int32], _ value: Float) -> GradientBuffer {
      let gradients = GradientBuffer(layout: layout)
      fill(gradients, rows, [Float](repeating: value, count: rows.count * Self.columns))
      gradients.zeroUntouched()
      return gradients
    }
    let sum = gradient([3, 1], 2)
    sum.addRows(gradient([1, 30], 1), in: workspace)
    #expect(sum.touchedRows[0].rows.sorted() == [1, 3, 30])
    #expect(abs(sum.norm(in: workspace) - (8.0 * (9 + 4 + 1)).squareRoot()) < 1e-12)
    sum.reset()
    sum.zeroUntouched()
    #expect(sum.norm(in: workspace) == 0)
    sum.read(entry: 0) { span in #expect(span.indices.allSatisfy { span[$0] == 0 }) }
  }
}
