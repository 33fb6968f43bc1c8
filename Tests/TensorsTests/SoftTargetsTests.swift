import Determinism
import Foundation
import Tensors
import TestSupport
import Testing

/// Losses over float targets: against values worked out elsewhere, and against finite differences in `Double`.
@Suite struct SoftTargetsTests {
  enum Loss: CaseIterable { case crossEntropy, squaredError }

  private struct Result {
    var term: LossTerm
    var gradient: [Float]
  }

  private func run(
    _ loss: Loss, _ x: [Float], columns: Int, targets: [Float], weights: [Float]?, bounds: [Int],
    seed: Float = 1, twice: Bool = false
  ) -> Result {
    let workspace = Workspace(kernels: .forTests, threadCount: 2)
    defer { workspace.stop() }
    let layout = ParameterLayout()
    let tape = Tape(
      workspace: workspace, parameters: ParameterSet(layout: layout),
      gradients: GradientBuffer(layout: layout))
    let input = tape.constant(
      x, in: RowSpace(segmentBounds: bounds), columns: columns, needsGradient: true)
    var term: LossTerm?
    for _ in 0..<(twice ? 2 : 1) {
      let one =
        switch loss {
        case .crossEntropy: tape.softCrossEntropy(input, targets: targets, weights: weights)
        case .squaredError: tape.squaredError(input, targets: targets, weights: weights)
        }
      one.seed = seed
      term = one
    }
    tape.backward()
    return Result(
      term: term ?? LossTerm(name: "", segmentSums: [], segmentWeights: []),
      gradient: tape.gradient(of: input) ?? [])
  }

  /// `python3 Tests/Golden/losses.py` prints these values.
  @Test(arguments: Loss.allCases) func valuesAreThoseOfTheFormulas(loss: Loss) {
    let result = run(
      loss, [1.5, -0.5, 0.25, 0, 2, -1, 3, 3, -4, -0.75, 0.5, 1], columns: 3,
      targets: [0.5, 0.25, 0.25, 0, 0, 0, 0.125, 0.75, 0, 0, 0, 1], weights: [1, 1, 0.5, 2],
      bounds: [0, 2, 4])
    let (sums, counts, gradient): ([Double], [Double], [Float]) =
      switch loss {
      case .crossEntropy:
        (
          [1.1644518638028016, 1.457020270286999], [1, 2.5],
          [
            0.20331397602177403, -0.15481680385082497, -0.04849717217094901, 0, 0, 0,
            0.15615030836352012, -0.15634969163647988, 0.0001993832729596278,
            0.19521821506465786, 0.6813785221191998, -0.8765967371838577,
          ]
        )
      case .squaredError:
        (
          [6.5625, 16.2890625], [6, 7.5], [2, -1.5, 0, 0, 4, -2, 2.875, 2.25, -4, -3, 2, 0]
        )
      }
    for (found, wanted) in zip(result.term.segmentSums, sums) {
      #expect(abs(found - wanted) <= 1e-14 * wanted)
    }
    #expect(result.term.segmentWeights == counts)
    #expect(result.gradient.count == gradient.count)
    // Worked out in doubles and rounded once; the difference of softmax and target loses some of these.
    for (found, wanted) in zip(result.gradient, gradient) {
      #expect(abs(found - wanted) <= 2 * wanted.ulp + 1e-12)
    }
  }

  @Test(arguments: Loss.allCases, [false, true])
  func gradientsAgreeWithDifferences(loss: Loss, isWeighted: Bool) {
    var random = RandomStream(seed: 8, ["soft targets"])
    let (rows, columns, seed) = (9, 5, 0.75)
    let x = random.floats(rows * columns, in: -2...2)
    var targets = random.floats(rows * columns, in: 0...1)
    for column in 0..<columns { targets[3 * columns + column] = 0 }
    let weights = isWeighted ? random.floats(rows, in: 0...2) : nil
    func scalar(_ x: [Double]) -> Double {
      (0..<rows).reduce(0.0) { sum, row in
        let z = x[row * columns..<(row + 1) * columns]
        let y = targets[row * columns..<(row + 1) * columns].map(Double.init)
        let normaliser = log(z.reduce(0) { $0 + exp($1) })
        let terms = zip(z, y).map { z, y in
          loss == .crossEntropy ? y * (normaliser - z) : (z - y) * (z - y)
        }
        return sum + (weights.map { Double($0[row]) } ?? 1) * terms.reduce(0, +)
      }
    }
    let result = run(
      loss, x, columns: columns, targets: targets, weights: weights, bounds: [0, 4, 4, 9],
      seed: Float(seed))
    let doubles = x.map(Double.init)
    let total = result.term.segmentSums.reduce(0, +)
    #expect(abs(total - scalar(doubles)) <= 1e-12 * total)
    #expect(result.term.segmentSums[1] == 0 && result.term.segmentWeights[1] == 0)
    for index in x.indices {
      var moved = doubles
      moved[index] += 1e-5
      let above = scalar(moved)
      moved[index] -= 2e-5
      let difference = seed * (above - scalar(moved)) / 2e-5
      // The quotient is good to about 1e-9, the gradient to half an ulp.
      #expect(abs(Double(result.gradient[index]) - difference) <= 1e-6 * max(1, abs(difference)))
    }
    // A second term adds to the gradient of the first.
    let twice = run(
      loss, x, columns: columns, targets: targets, weights: weights, bounds: [0, 4, 4, 9],
      seed: Float(seed), twice: true)
    #expect(twice.gradient == result.gradient.map { 2 * $0 })
  }

  /// A distribution that is 1 at a label is the label.
  @Test func softTargetsOfOneLabelAreLabels() {
    let x: [Float] = [0.5, -1, 2, 0, 1, 3]
    let workspace = Workspace(kernels: .forTests, threadCount: 1)
    defer { workspace.stop() }
    let tape = Tape(workspace: workspace, parameters: ParameterSet(layout: ParameterLayout()))
    let logits = tape.constant(x, in: RowSpace(segmentBounds: [0, 2]), columns: 3)
    let soft = tape.softCrossEntropy(logits, targets: [0, 0, 1, 0, 1, 0])
    #expect(soft.segmentSums == tape.crossEntropy(logits, targets: [2, 1]).segmentSums)
    #expect(soft.segmentWeights == [2])
  }
}
