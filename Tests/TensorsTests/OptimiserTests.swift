import Tensors
import TestSupport
import Testing

/// Clipping and the reset of states, which all optimisers share; and SGD against `Double`.
@Suite struct OptimiserTests {
  private static let (rows, columns) = (20, 8)
  private let workspace = Workspace(kernels: .forTests, threadCount: 2)

  private static func layout() -> ParameterLayout {
    var layout = ParameterLayout()
    _ = layout.addTable("table", rows, columns, first: .normal(deviation: 1))
    _ = layout.add("matrix", 70, 1000, first: .normal(deviation: 1))
    _ = layout.add("bias", 7, first: .uniform(bound: 1))
    _ = layout.add("frozen", 9, first: .uniform(bound: 1))
    return layout
  }

  private let layout = layout()
  private let trained = [true, true, true, false]
  private let rates = [(0.1, 0.0), (0.03, 0.0), (0.2, 0.5), (0.1, 0.0)]
    .map { (learningRate: $0, weightDecay: $1) }

  private func fresh() -> ParameterSet {
    var set = ParameterSet(layout: layout)
    for entry in layout.entries.indices { set.fillFirst(entry: entry, seed: 3, in: workspace) }
    return set
  }

  private func weights(_ set: ParameterSet) -> [[Float]] {
    layout.entries.indices.map { entry in
      set.read(entry: entry) { span in span.indices.map { span[$0] } }
    }
  }

  /// A gradient that depends on `number`, of other rows each time.
  private func fill(_ gradients: GradientBuffer, _ number: Int) {
    gradients.reset()
    gradients.zeroUntouched()
    gradients.withDense(layout.denseRange) { span in
      for index in span.indices {
        span[index] = Float((index * 37 + number * 101) % 211 - 105) / 64
      }
    }
    let rows = [1, 4 + number % 3, 11 + number].map(Int32.init)
    gradients.touch(rows, ofTable: 0)
    for row in rows {
      gradients.withRow(row, ofTable: 0) { span in
        for column in span.indices { span[column] = Float(Int(row) * 3 + column - number) / 16 }
      }
    }
  }

  @Test func gradientsAreClippedToTheNorm() {
    let optimiser = Optimiser(.sgd(SGD()), maxNorm: 2)
    #expect(optimiser.gradientScale(norm: 1) == 1)
    #expect(optimiser.gradientScale(norm: 8) == Float(2 / (8 + 1e-6)))
    #expect(Optimiser(.sgd(SGD())).gradientScale(norm: 8) == 1)
    #expect(optimiser.algorithm.name == "sgd" && optimiser.algorithm.momentNames.isEmpty)
    #expect(Optimiser.Algorithm.adamW(AdamW()).momentNames == ["exp_avg", "exp_avg_sq"])
  }

  @Test(arguments: [1, 2, 3]) func sgdIsThatOfDoubles(threads: Int) {
    let workspace = Workspace(kernels: .forTests, threadCount: threads)
    defer { workspace.stop() }
    let optimiser = Optimiser(.sgd(SGD()), maxNorm: 5)
    var set = fresh()
    var wanted = weights(set).map { $0.map(Double.init) }
    var state = OptimiserState(optimiser.algorithm, layout: layout)
    let gradients = GradientBuffer(layout: layout, trained: trained)
    for number in 0..<4 {
      fill(gradients, number)
      let norm = gradients.norm(in: workspace)
      let scale = Double(optimiser.gradientScale(norm: norm))
      for (entry, place) in layout.entries.enumerated() where trained[entry] {
        let touched =
          entry == 0
          ? gradients.touchedRows[0].rows.flatMap {
            Int($0) * Self.columns..<(Int($0) + 1) * Self.columns
          } : Array(0..<place.count)
        gradients.read(entry: entry) { span in
          for index in touched {
            let (rate, decay) = rates[entry]
            wanted[entry][index] -=
              rate * (scale * Double(span[index]) + decay * wanted[entry][index])
          }
        }
      }
      optimiser.update(&set, gradients, &state, norm: norm, rates: rates, in: workspace)
    }
    #expect(state.step == 4 && state.algorithm == "sgd" && state.moments.isEmpty)
    #expect(Set(state.rowsInUse[0].rows) == [1, 4, 5, 6, 11, 12, 13, 14])
    for (found, wanted) in zip(weights(set), wanted) {
      for (value, wanted) in zip(found, wanted) {
        // Four steps of at most five roundings, of numbers below 4.
        #expect(abs(Double(value) - wanted) <= 20 * 4 * 0x1p-25)
      }
    }
    #expect(weights(set)[3] == weights(fresh())[3])
  }

  /// A state that was reset, whatever it held, gives the bits of a new one: over other rows, other trained entries, and
  /// where a copy of it lives.
  @Test func aResetStateIsAsGoodAsANewOne() {
    let optimiser = Optimiser(.adamW(AdamW()), maxNorm: 1)
    func train(_ state: inout OptimiserState, _ trained: [Bool], from first: Int) -> [[Float]] {
      var set = fresh()
      let gradients = GradientBuffer(layout: layout, trained: trained)
      for number in first..<first + 3 {
        fill(gradients, number)
        optimiser.update(
          &set, gradients, &state, norm: gradients.norm(in: workspace), rates: rates,
          in: workspace)
      }
      return weights(set)
    }
    var used = OptimiserState(optimiser.algorithm, layout: layout)
    var copies: [OptimiserState] = []
    for (first, flags) in [
      (0, trained), (2, [true, false, true, true]), (1, trained), (4, [true, true, true, true]),
    ] {
      var new = OptimiserState(optimiser.algorithm, layout: layout)
      #expect(train(&used, flags, from: first) == train(&new, flags, from: first))
      #expect(used.rowsInUse == new.rowsInUse && used.step == 3)
      copies.append(used)
      used.reset()
      #expect(used.step == 0 && used.rowsInUse[0].rows.isEmpty && used.floats.rows == 0)
      if copies.count == 3 { copies = [] }
    }
  }
}
