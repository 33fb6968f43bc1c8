import Tensors
import TestSupport
import Testing

/// The bits of every operation do not depend on threads, on where memory lies, or on its neighbours.
@Suite struct BitsTests {
  @Test(arguments: cases, KernelTable.runnable)
  func threadsAndAlignmentLeaveTheBits(_ one: Case, _ table: KernelTable) {
    let values = one.values()
    let key = DropoutKey(seed: 3, stage: 0, step: 7, pass: 0)
    for precision in [Precision.fp32, .bf16] {
      var hashes: Set<UInt64> = []
      for threads in 1...4 {
        let workspace = Workspace(kernels: table, threadCount: threads, precision: precision)
        for misalignment in [0, 1, 3, 8] {
          workspace.misalign(by: misalignment)
          hashes.insert(one.result(values, in: workspace, dropout: key).hash)
        }
        workspace.stop()
      }
      #expect(hashes.count == 1, "\(one.name), \(precision)")
    }
  }

  @Test(arguments: [Precision.fp32, .bf16], [[0, 150, 150, 420, 700], [0, 700]])
  func largeOperationsHaveTheSameBitsForAnyThreads(precision: Precision, bounds: [Int]) {
    var hashes: Set<UInt64> = []
    let case1 = Case(
      name: "block", segmentBounds: bounds, inputs: [96],
      parameters: [[288, 96], [288], [400, 96], [400], [96, 400], [96], [96], [96]],
      run: { tape, x, p in
        let qkv = tape.linear(x[0], p[0], p[1])
        let mixed = tape.attention(
          qkv, heads: 3, sequenceBounds: [0, 150, 300, 420, 650, 700], dropout: 0.1)
        let inner = tape.linear(mixed, p[2], p[3], activation: .gelu)
        return tape.layerNorm(
          tape.linear(inner, p[4]), bias: p[5], residual: x[0], dropout: 0.1,
          LayerNormParameters(scale: p[6], shift: p[7], epsilon: 1e-5))
      }, reference: { _ in [] })
    let values = case1.values()
    for threads in 1...4 {
      let workspace = Workspace(kernels: .forTests, threadCount: threads, precision: precision)
      let key = DropoutKey(seed: 3, stage: 0, step: 7, pass: 0)
      for workers in [threads, 5, 8, 32, 64] {
        workspace.workers = workers
        hashes.insert(case1.result(values, in: workspace, dropout: key).hash)
      }
      workspace.stop()
    }
    #expect(hashes.count == 1)
  }

  /// A batch of two segments: each alone gives the same rows, and the same part of every sum.
  @Test(arguments: [[0, 40, 64], [0, 33, 64], [0, 1, 64]], [Precision.fp32, .bf16])
  func aSegmentAloneHasTheBitsThatItHasBesideAnother(bounds: [Int], precision: Precision) {
    func block(_ rows: Int) -> Case {
      Case(
        name: "segment", segmentBounds: [0, rows], inputs: [24], parameters: [[40, 24], [40]],
        run: { tape, x, p in tape.linear(x[0], p[0], p[1], activation: .gelu) },
        reference: { _ in [] })
    }
    let workspace = Workspace(kernels: .forTests, threadCount: 2, precision: precision)
    var both = block(64)
    both.segmentBounds = bounds
    let values = both.values()
    let whole = both.result(values, in: workspace)
    let weights = both.outputWeights(64 * 40)
    var sums: [[Float]] = []
    for segment in 0..<2 {
      let rows = bounds[segment]..<bounds[segment + 1]
      let part = block(rows.count).result(
        [Array(values[0][rows.lowerBound * 24..<rows.upperBound * 24])] + values[1...],
        in: workspace,
        outputWeights: Array(weights[rows.lowerBound * 40..<rows.upperBound * 40]))
      #expect(
        part.output == Array(whole.output[rows.lowerBound * 40..<rows.upperBound * 40]))
      #expect(
        part.inputGradients[0]
          == Array(whole.inputGradients[0][rows.lowerBound * 24..<rows.upperBound * 24]))
      sums.append(part.parameterGradients.flatMap { $0 })
    }
    #expect(zip(sums[0], sums[1]).map { $0 + $1 } == whole.parameterGradients.flatMap { $0 })
    workspace.stop()
  }

  /// Blocks of an LSTM follow the threads where they leave the bits, and segments where they would not.
  @Test(arguments: KernelTable.runnable, [Precision.fp32, .bf16])
  func sequencesHaveTheSameBitsInAnyBlock(table: KernelTable, precision: Precision) {
    // 250 sequences of 0 to 8 rows in two segments.
    let bounds = (0..<250).reduce(into: [0]) { $0.append($0[$0.count - 1] + $1 * 7 % 9) }
    func layer(_ sequences: Range<Int>, segments: [Int]) -> Case {
      let own = bounds[sequences.lowerBound...sequences.upperBound].map {
        $0 - bounds[sequences.lowerBound]
      }
      return Case(
        name: "sequences", segmentBounds: segments.map { own[$0] }, inputs: [16],
        parameters: [[48, 16], [48, 12], [48], [48, 16], [48, 12], [48]],
        run: { tape, x, p in
          tape.lstm(
            x[0],
            [
              LSTMParameters(input: p[0], hidden: p[1], bias: p[2]),
              LSTMParameters(input: p[3], hidden: p[4], bias: p[5]),
            ], sequenceBounds: own, in: RowSpace(segmentBounds: segments)
          ).all
        }, reference: { _ in [] })
    }
    let both = layer(0..<250, segments: [0, 120, 250])
    let values = both.values()
    let weights = both.outputWeights(both.rows * 24)
    var wholes: [CaseResult] = []
    for threads in 1...4 {
      let workspace = Workspace(kernels: table, threadCount: threads, precision: precision)
      for workers in [threads, 5, 32] {
        workspace.workers = workers
        wholes.append(both.result(values, in: workspace))
      }
      workspace.stop()
    }
    #expect(Set(wholes.map(\.hash)).count == 1)
    let workspace = Workspace(kernels: table, threadCount: 2, precision: precision)
    var sums: [[Float]] = []
    for part in [0..<120, 120..<250] {
      let rows = bounds[part.lowerBound]..<bounds[part.upperBound]
      let alone = layer(part, segments: [0, part.count]).result(
        [Array(values[0][rows.lowerBound * 16..<rows.upperBound * 16])] + values[1...],
        in: workspace,
        outputWeights: Array(weights[rows.lowerBound * 24..<rows.upperBound * 24]))
      #expect(
        alone.output == Array(wholes[0].output[rows.lowerBound * 24..<rows.upperBound * 24]))
      sums.append(alone.parameterGradients.flatMap { $0 })
    }
    #expect(
      zip(sums[0], sums[1]).map { $0 + $1 } == wholes[0].parameterGradients.flatMap { $0 })
    workspace.stop()
  }

  @Test func dropoutKeepsItsRateAndDrawsAnotherMaskAtEachStep() {
    let workspace = Workspace(kernels: .forTests, threadCount: 2)
    let rows = 300
    let space = RowSpace(
      segmentBounds: [0, rows], items: (0..<rows).map { UInt32($0) },
      tokens: (0..<rows).map { _ in 0 })
    var masks: [[Float]] = []
    for step in 0..<2 {
      let tape = Tape(
        workspace: workspace, parameters: ParameterSet(layout: ParameterLayout()),
        dropout: DropoutKey(seed: 1, stage: 0, step: step, pass: 0))
      let x = tape.constant(
        [Float](repeating: 1, count: rows * 100), in: space, columns: 100)
      masks.append(tape.dropout(x, rate: 0.1).array)
    }
    #expect(masks[0] != masks[1])
    for mask in masks {
      let dropped = mask.count { $0 == 0 }
      // 30,000 draws of rate 0.1: a deviation of 52; six of them are never seen.
      #expect(abs(dropped - 3000) < 6 * 52)
      #expect(mask.allSatisfy { $0 == 0 || $0 == Float(1) / Float(0.9) })
    }
    workspace.stop()
  }
}
