import Tensors
import TestSupport
import Testing

/// Sets that share the weights of another one until they write them.
@Suite struct SharingTests {
  private static let (rows, columns) = (30, 8)
  private let workspace = Workspace(kernels: .forTests, threadCount: 2)
  private let layout: ParameterLayout
  private let table: Parameter
  private let joined: Parameter
  private let bias: Parameter
  private let scale: Parameter

  init() {
    var layout = ParameterLayout()
    table = layout.addTable("table", Self.rows, Self.columns, first: .normal(deviation: 1))
    let parts = ["query", "key", "value"].map {
      layout.add($0, 4, Self.columns, first: .normal(deviation: 0.5))
    }
    joined = layout.joined(parts)
    bias = layout.add("bias", 12, first: .uniform(bound: 0.5))
    scale = layout.add("scale", 12, first: .ones)
    self.layout = layout
  }

  private func fresh() -> ParameterSet {
    var set = ParameterSet(layout: layout)
    for entry in layout.entries.indices { set.fillFirst(entry: entry, seed: 6, in: workspace) }
    return set
  }

  private func weights(_ set: ParameterSet) -> [[Float]] {
    layout.entries.indices.map { entry in
      set.read(entry: entry) { span in span.indices.map { span[$0] } }
    }
  }

  private let ids: [Int32] = [3, 9, 3, 27, 0, 9]

  /// The loss, and its gradient in `gradients`.
  @discardableResult
  private func step(_ set: ParameterSet, _ gradients: GradientBuffer) -> Double {
    gradients.reset()
    let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
    let x = tape.embed([(table, ids)], in: RowSpace(segmentBounds: [0, 6]))
    let h = tape.layerNorm(
      tape.linear(x, joined, bias), LayerNormParameters(scale: scale, shift: bias, epsilon: 1e-5))
    let term = tape.crossEntropy(h, targets: [0, 5, 11, 3, 2, 7])
    term.seed = 1
    tape.backward()
    return term.segmentSums[0]
  }

  private let rates = (0..<6).map { (learningRate: 0.1 + 0.01 * Double($0), weightDecay: 0.1) }

  static let algorithms: [Optimiser.Algorithm] = [
    .sgd(SGD()), .adamW(AdamW()), .adamW(AdamW(tableDecay: .dense)),
  ]

  /// Steps over a set that shares and steps over a copy have the same bits, also where the other set owes decay; the other
  /// set stays what it was; and after a reset all begins anew.
  @Test(arguments: algorithms, [false, true])
  func aSharingSetIsAsGoodAsACopy(algorithm: Optimiser.Algorithm, owes: Bool) {
    let optimiser = Optimiser(algorithm, maxNorm: 1)
    let gradients = GradientBuffer(layout: layout)
    var base = fresh()
    if owes {
      // Rows that no step uses owe their decay from now on.
      let dense = Optimiser(.adamW(AdamW(tableDecay: .dense)))
      var state = OptimiserState(dense.algorithm, layout: layout)
      step(base, gradients)
      for _ in 0..<3 {
        dense.update(&base, gradients, &state, norm: 0, rates: rates, in: workspace)
      }
    }
    var settled = base
    settled.settle(in: workspace)
    let before = weights(settled)

    func train(_ set: inout ParameterSet, _ state: inout OptimiserState) -> [Double] {
      (0..<3).map { _ in
        let loss = step(set, gradients)
        optimiser.update(
          &set, gradients, &state, norm: gradients.norm(in: workspace), rates: rates,
          in: workspace)
        return loss
      }
    }
    var copy = base
    var copyState = OptimiserState(algorithm, layout: layout)
    let losses = train(&copy, &copyState)
    copy.settle(in: workspace)

    var shared = ParameterSet(sharing: base)
    var state = OptimiserState(algorithm, layout: layout)
    for round in 0..<3 {
      #expect(shared.ownWeights.entries.isEmpty && shared.ownWeights.rows == [0])
      #expect(train(&shared, &state) == losses, "round \(round)")
      #expect(shared.ownWeights.entries == [1, 2, 3, 4, 5] && shared.ownWeights.rows == [4])
      var whole = shared
      whole.settle(in: workspace)
      #expect(weights(whole) == weights(copy), "round \(round)")
      #expect(whole.hash == copy.hash)
      shared.reset(sharing: base)
      state.reset()
    }
    settled = base
    settled.settle(in: workspace)
    #expect(weights(settled) == before)
  }

  @Test func anEntryIsTakenWithItsNeighbours() {
    let base = fresh()
    let before = weights(base)
    var shared = ParameterSet(sharing: base)
    #expect(weights(shared) == before && shared.hash == base.hash)
    shared.update(entry: 4) { span in span[0] = 9 }
    #expect(shared.ownWeights.entries == [4])
    shared.update(entry: 2) { span in span[1] = 8 }
    #expect(shared.ownWeights.entries == [1, 2, 3, 4])
    var wanted = before
    wanted[4][0] = 9
    wanted[2][1] = 8
    #expect(weights(shared) == wanted && weights(base) == before)
    // A view over the neighbours reads all three.
    let tape = Tape(workspace: workspace, parameters: shared)
    let x = tape.constant(
      [Float](repeating: 1, count: Self.columns), in: RowSpace(segmentBounds: [0, 1]),
      columns: Self.columns)
    let sums = tape.linear(x, joined).array
    for (row, sum) in sums.enumerated() {
      let part = wanted[1 + row / 4][row % 4 * Self.columns..<(row % 4 + 1) * Self.columns]
      #expect(abs(sum - part.reduce(0, +)) < 1e-5)
    }
    // Copies are values; a set that shares may be shared.
    var copy = shared
    copy.update(entry: 4) { span in span[0] = 1 }
    var second = ParameterSet(sharing: shared)
    second.update(entry: 5) { span in span[0] = 5 }
    #expect(weights(shared) == wanted)
    #expect(weights(copy)[4][0] == 1 && weights(copy)[2] == wanted[2])
    #expect(weights(second)[4] == wanted[4] && weights(second)[5][0] == 5)
    shared.makeUnique()
    #expect(weights(shared) == wanted && shared.ownWeights.entries.count == 6)
    second.update { span in span[0] = 3 }
    #expect(weights(second)[0] == [3] + wanted[0].dropFirst())
  }

  @Test func rowsAreTakenOneByOne() {
    let base = fresh()
    let before = weights(base)[0]
    var shared = ParameterSet(sharing: base)
    let values = [Float](repeating: 4, count: 2 * Self.columns)
    shared.replaceRows([5, 20], ofTable: 0, by: values.span)
    #expect(shared.ownWeights.rows == [2])
    var wanted = before
    for row in [5, 20] {
      for column in 0..<Self.columns { wanted[row * Self.columns + column] = 4 }
    }
    #expect(weights(shared)[0] == wanted && weights(base)[0] == before)
    let tape = Tape(workspace: workspace, parameters: shared)
    let all = (0..<Int32(Self.rows)).map { $0 }
    let read = tape.embed([(table, all)], in: RowSpace(segmentBounds: [0, Self.rows])).array
    #expect(read == wanted)
    shared.update(entry: 0) { span in span[0] = 2 }
    #expect(weights(shared)[0] == [2] + wanted.dropFirst())
    shared.reset(sharing: base)
    #expect(weights(shared)[0] == before)
  }

  /// Once a set has let go of the other one, that is updated in place.
  @Test func theOtherSetIsUpdatedInPlaceOnceItIsFree() {
    func address(_ set: ParameterSet) -> Int {
      set.read(entry: 4) { span in
        unsafe span.withUnsafeBufferPointer { Int(bitPattern: $0.baseAddress) }
      }
    }
    var base = fresh()
    let place = address(base)
    var shared = ParameterSet(sharing: base)
    shared.update(entry: 4) { span in span[0] = 9 }
    shared.endSharing()
    base.update(entry: 4) { span in span[0] = 1 }
    #expect(address(base) == place)
    shared.reset(sharing: base)
    #expect(weights(shared) == weights(base))
    base.update(entry: 4) { span in span[0] = 2 }
    #expect(address(base) != place && weights(shared)[4][0] == 1)
  }
}
