import Determinism
import Foundation
import Tensors
import TestSupport
import Testing

/// The decoder of a masked language model against its meaning in `Double`.
@Suite struct DecoderTests {
  static let width = 12
  static let bounds = [0, 3, 3, 10, 23]
  /// Less than one part of the vocabulary, some whole parts, and a part more.
  static let vocabularies = [50, 2 * Tape.decoderColumns, 2 * Tape.decoderColumns + 97]

  private struct Problem {
    let x: [Float]
    let table: [Float]
    let bias: [Float]
    let targets: [Int32]

    init(vocabulary: Int) {
      var random = RandomStream(seed: 31, "decoder", .number(vocabulary))
      x = random.floats(23 * width, in: -1...1)
      table = random.floats(vocabulary * width, in: -1...1)
      bias = random.floats(vocabulary, in: -1...1)
      targets = (0..<23).map { _ in Int32(random.below(vocabulary)) }
    }

    func run(
      in workspace: Workspace, bounds: [Int] = DecoderTests.bounds
    ) -> (sums: [Double], gradients: [[Float]]) {
      var layout = ParameterLayout()
      let e = layout.add("table", bias.count, width)
      let b = layout.add("bias", bias.count)
      var set = ParameterSet(layout: layout)
      for (entry, values) in [table, bias].enumerated() {
        set.update(entry: entry) { span in for i in span.indices { span[i] = values[i] } }
      }
      let gradients = GradientBuffer(layout: layout)
      // What an earlier step left must not be seen.
      gradients.storage.withMutableSpan(nil) { span in for i in span.indices { span[i] = .nan } }
      let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
      let input = tape.constant(
        x, in: RowSpace(segmentBounds: bounds), columns: width, needsGradient: true)
      let term = tape.decoderCrossEntropy(input, e, b, targets: targets)
      term.seed = 0.25
      tape.backward()
      return (
        term.segmentSums,
        [tape.gradient(of: input) ?? []]
          + [0, 1].map { gradients.read(entry: $0) { span in span.indices.map { span[$0] } } }
      )
    }
  }

  @Test(arguments: vocabularies, KernelTable.runnable)
  func sumsAndGradientsAgreeWithDoubles(vocabulary: Int, table: KernelTable) {
    let workspace = Workspace(kernels: table, threadCount: 2)
    defer { workspace.stop() }
    let problem = Problem(vocabulary: vocabulary)
    let (sums, gradients) = problem.run(in: workspace)
    var losses: [Double] = []
    var dx = [Double](repeating: 0, count: problem.x.count)
    var dTable = [Double](repeating: 0, count: problem.table.count)
    var dBias = [Double](repeating: 0, count: vocabulary)
    for row in 0..<23 {
      let x = (0..<Self.width).map { Double(problem.x[row * Self.width + $0]) }
      let scores = (0..<vocabulary).map { word in
        x.indices.reduce(Double(problem.bias[word])) {
          $0 + x[$1] * Double(problem.table[word * Self.width + $1])
        }
      }
      let normaliser = log(scores.reduce(0) { $0 + exp($1) })
      losses.append(normaliser - scores[Int(problem.targets[row])])
      for word in 0..<vocabulary {
        let gradient =
          0.25 * (exp(scores[word] - normaliser) - (word == Int(problem.targets[row]) ? 1 : 0))
        dBias[word] += gradient
        for column in x.indices {
          dx[row * Self.width + column] +=
            gradient * Double(problem.table[word * Self.width + column])
          dTable[word * Self.width + column] += gradient * x[column]
        }
      }
    }
    for segment in 0..<4 {
      let wanted = losses[Self.bounds[segment]..<Self.bounds[segment + 1]].reduce(0, +)
      // Each row's scores are sums of 13 numbers of size one: 1e-6, over at most 13 rows.
      #expect(abs(sums[segment] - wanted) <= 2e-5 * max(1, wanted), "segment \(segment)")
    }
    // Softmaxes to 1e-6, multiplied by numbers of at most one and summed over their columns, which add up to one.
    for (found, wanted) in zip(gradients, [dx, dTable, dBias]) {
      #expect(found.count == wanted.count)
      let difference = zip(found, wanted).reduce(0.0) { max($0, abs(Double($1.0) - $1.1)) }
      #expect(difference <= 5e-6, "\(vocabulary) words: \(difference)")
    }
  }

  @Test(arguments: KernelTable.runnable, [Precision.fp32, .bf16])
  func threadsLeaveTheBits(table: KernelTable, precision: Precision) {
    let problem = Problem(vocabulary: Self.vocabularies[2])
    var found: [[UInt32]] = []
    for threads in 1...4 {
      let workspace = Workspace(kernels: table, threadCount: threads, precision: precision)
      defer { workspace.stop() }
      if threads == 3 { workspace.misalign(by: 5) }
      let (sums, gradients) = problem.run(in: workspace)
      found.append(
        sums.flatMap {
          [UInt32(truncatingIfNeeded: $0.bitPattern), UInt32($0.bitPattern >> 32)]
        } + gradients.flatMap { $0.map(\.bitPattern) })
    }
    for other in found.dropFirst() { #expect(other == found[0]) }
  }

  @Test func noRowsGiveNothing() {
    let workspace = Workspace(kernels: .forTests, threadCount: 1)
    defer { workspace.stop() }
    var layout = ParameterLayout()
    let e = layout.add("table", 40, 4)
    let b = layout.add("bias", 40)
    let gradients = GradientBuffer(layout: layout)
    let tape = Tape(
      workspace: workspace, parameters: ParameterSet(layout: layout), gradients: gradients)
    let x = tape.constant(
      [], in: RowSpace(segmentBounds: [0, 0, 0]), columns: 4, needsGradient: true)
    let term = tape.decoderCrossEntropy(x, e, b, targets: [])
    #expect(term.segmentSums == [0, 0] && term.segmentWeights == [0, 0])
    term.seed = 1
    tape.backward()
    #expect(gradients.storage.withSpan { span in span.indices.allSatisfy { span[$0] == 0 } })
  }
}
