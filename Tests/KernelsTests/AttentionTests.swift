import CKernels
import Determinism
import TestSupport
import Testing

/// One head's problem: rows of q, k, v side by side with NaN after them, and the gradient from above.
private struct Problem: Sendable, CustomTestStringConvertible {
  var length: Int, width: Int
  var gap = 0  // floats of NaN between rows
  var drops = false
  var head: UInt32 = 3
  var offset = 1
  var testDescription: String { "\(length) × \(width), gap \(gap), dropout \(drops)" }

  var stride: Int { 3 * width + gap }
  var outStride: Int { width + gap }
  var scale: Float { 1 / Float(width).squareRoot() }
  var keep: Float { drops ? 1 / 0.8 : 1 }

  var dropout: ck_dropout {
    ck_dropout(key0: 5, key1: 6, op: 7, threshold: drops ? UInt32(0.2 * 0x1p32) : 0, scale: keep)
  }
  var places: [ck_place] { (0..<length).map { ck_place(item: 41, token: UInt32($0 + 2)) } }

  var qkv: [Float] { rows(3 * width, seed: 1) }
  var dout: [Float] { rows(width, seed: 2) }
  private func rows(_ columns: Int, seed: UInt64) -> [Float] {
    var random = RandomStream(seed: seed, "attention")
    return (0..<length).flatMap { _ in
      random.floats(columns, in: -1...1) + Array(repeating: .nan, count: gap)
    }
  }

  /// The element at `column` of the row of `token`, for each in turn, of an array with `stride`.
  func dense(_ values: [Float], stride: Int, from first: Int = 0) -> [Float] {
    (0..<length).flatMap { Array(values[$0 * stride + first..<$0 * stride + first + width]) }
  }
}

private struct Forward {
  var out: [Float], probs: [Float]
}

/// Calls `body` with the C description of `problem` and scratch that is full of NaN.
private func describe(
  _ table: Kernels, _ problem: Problem, qkv: Floats, probs: Floats? = nil, stats: Floats? = nil,
  body: (UnsafePointer<ck_attention>) -> Void
) {
  let scratchCount = unsafe table.raw.pointee.attention_scratch(problem.length, problem.width)
  let scratch = Floats(count: scratchCount, offset: 0)
  unsafe problem.places.withUnsafeBufferPointer { places in
    var attention = unsafe ck_attention(
      length: problem.length, width: problem.width, stride: problem.stride,
      out_stride: problem.outStride, q: qkv.start, k: qkv.start + problem.width,
      v: qkv.start + 2 * problem.width, scale: problem.scale, probs: probs?.start,
      stats: stats?.start, dropout: problem.dropout, places: places.baseAddress, head: problem.head,
      scratch: scratch.start)
    unsafe body(&attention)
  }
  #expect(scratch.paddingIsIntact, "scratch is too small")
}

private func forward(_ table: Kernels, _ problem: Problem, qkv values: [Float]? = nil) -> Forward {
  let given = values ?? problem.qkv
  let qkv = Floats(given, offset: problem.offset)
  let probs = Floats(count: problem.length * problem.length, offset: problem.offset + 2)
  let out = Floats(count: problem.length * problem.outStride, offset: problem.offset + 4)
  let before = out.bits
  unsafe describe(table, problem, qkv: qkv, probs: probs) {
    unsafe table.raw.pointee.attention_forward($0, out.start)
  }
  #expect(qkv.bits == given.bits && probs.paddingIsIntact && out.paddingIsIntact)
  let after = out.bits
  let inGaps = before.indices.filter { $0 % problem.outStride >= problem.width }
  #expect(inGaps.allSatisfy { before[$0] == after[$0] }, "wrote between rows")
  return Forward(out: problem.dense(out.values, stride: problem.outStride), probs: probs.values)
}

/// dq, dk and dv, dense, from `probs`.
private func backward(_ table: Kernels, _ problem: Problem, probs given: [Float]) -> [[Float]] {
  let qkv = Floats(problem.qkv, offset: problem.offset)
  let probs = Floats(given, offset: problem.offset + 2)
  let dout = Floats(problem.dout, offset: problem.offset + 3)
  let gradient = Floats(count: problem.length * problem.stride, offset: problem.offset)
  let before = gradient.bits
  unsafe describe(table, problem, qkv: qkv, probs: probs) {
    unsafe table.raw.pointee.attention_backward(
      $0, dout.start, gradient.start, gradient.start + problem.width,
      gradient.start + 2 * problem.width)
  }
  #expect(gradient.paddingIsIntact && probs.bits == given.bits && dout.paddingIsIntact)
  let after = gradient.bits
  let inGaps = before.indices.filter { $0 % problem.stride >= 3 * problem.width }
  #expect(inGaps.allSatisfy { before[$0] == after[$0] }, "wrote between rows")
  return (0..<3).map {
    problem.dense(gradient.values, stride: problem.stride, from: $0 * problem.width)
  }
}

/// Output and gradients where the softmax is made again in the backward pass.
private func withoutProbabilities(_ table: Kernels, _ problem: Problem) -> [[Float]] {
  let qkv = Floats(problem.qkv, offset: problem.offset)
  let dout = Floats(problem.dout, offset: problem.offset + 3)
  let stats = Floats(count: 2 * problem.length, offset: problem.offset + 5)
  let out = Floats(count: problem.length * problem.outStride, offset: problem.offset + 4)
  let gradient = Floats(count: problem.length * problem.stride, offset: problem.offset)
  unsafe describe(table, problem, qkv: qkv, stats: stats) {
    unsafe table.raw.pointee.attention_forward($0, out.start)
  }
  unsafe describe(table, problem, qkv: qkv, stats: stats) {
    unsafe table.raw.pointee.attention_backward(
      $0, dout.start, gradient.start, gradient.start + problem.width,
      gradient.start + 2 * problem.width)
  }
  #expect(stats.paddingIsIntact && out.paddingIsIntact && gradient.paddingIsIntact)
  return [problem.dense(out.values, stride: problem.outStride)]
    + (0..<3).map {
      problem.dense(gradient.values, stride: problem.stride, from: $0 * problem.width)
    }
}

@Test(arguments: Kernels.checked, problems)
private func theSoftmaxMadeAgainHasTheSameBits(table: Kernels, problem: Problem) {
  let kept = forward(table, problem)
  let gradients = backward(table, problem, probs: kept.probs)
  let again = withoutProbabilities(table, problem)
  #expect(again.map(\.bits) == [kept.out.bits] + gradients.map(\.bits))
}

private let problems: [Problem] = [
  (1, 4, 0), (2, 8, 3), (5, 12, 1), (7, 32, 0), (8, 20, 5), (9, 64, 0), (16, 16, 1), (17, 36, 2),
  (25, 32, 0), (33, 64, 7), (48, 32, 0), (49, 28, 1), (65, 64, 0), (100, 32, 9), (130, 256, 0),
].flatMap { length, width, gap in
  [false, true].map { Problem(length: length, width: width, gap: gap, drops: $0) }
}

@Test(arguments: Kernels.checked, problems)
private func attentionAgreesWithReference(table: Kernels, problem: Problem) {
  let result = forward(table, problem)
  let expected = forward(reference, problem)
  let (n, d) = (Float(problem.length), Float(problem.width))
  // A score is a sum of `width` products of numbers up to 1, times 1/√width: its roundings add up to at most
  // (width + 2)·√width of 2⁻²⁴. A weight is off by that twice over (its own score, and the largest or the
  // others), by the exponential (4), by a sum of `length` (at most that many, and a few) and by 3 more.
  let weight = (2 * (d + 2) * d.squareRoot() + n + 12) * rounding
  result.probs.expectNear(expected.probs, "probability") { weight * expected.probs[$0] + 0x1p-148 }
  // An output is a mean of numbers up to 1 (times `keep`) under weights that add up to 1.
  result.out.expectNear(expected.out, "out") { _ in (weight + (n + 4) * rounding) * problem.keep }

  let gradients = backward(table, problem, probs: expected.probs)
  let expectedGradients = backward(reference, problem, probs: expected.probs)
  // |dP| ≤ width · keep, a sum of `width` terms; Σ P dP has `length` terms; so a score's gradient, at most
  // P · scale · 2 width · keep, is off by P · scale · width · keep · (2 (width + 2) + length + 6) of 2⁻²⁴,
  // and sums of `length` of them, on both sides, by as much as `length` for each of them again.
  let largest = problem.scale * d * problem.keep
  let each = largest * (2 * (d + 2) + n + 6 + 4 * n) * rounding
  let columnSums = (0..<problem.length).map { column in
    (0..<problem.length).reduce(Float(0)) { $0 + expected.probs[$1 * problem.length + column] }
  }
  gradients[0].expectNear(expectedGradients[0], "dq") { _ in each }
  gradients[1].expectNear(expectedGradients[1], "dk") { each * columnSums[$0 / problem.width] }
  gradients[2].expectNear(expectedGradients[2], "dv") {
    2 * (n + 2) * rounding * problem.keep * columnSums[$0 / problem.width]
  }
}

@Test(arguments: Kernels.checked, [(1000, 32), (1024, 64)])
private func longSequencesAgreeWithReference(table: Kernels, size: (length: Int, width: Int)) {
  attentionAgreesWithReference(
    table: table, problem: Problem(length: size.length, width: size.width, drops: true))
}

@Test(arguments: Kernels.checked)
func attentionMasksAreThoseOfPhilox(table: Kernels) {
  // With values of 1 in a single row j, column 0 of row i is the dropped weight (i, j).
  var problem = Problem(length: 37, width: 4, drops: true)
  problem.head = 11
  for j in [0, 1, 6, 31, 32, 36] {
    var qkv = problem.qkv
    for token in 0..<problem.length {
      qkv[token * problem.stride + 2 * problem.width] = token == j ? 1 : 0
    }
    let result = forward(table, problem, qkv: qkv)
    for (i, place) in problem.places.enumerated() {
      let element = Int(problem.head) * 65536 + j
      let counter = SIMD4(UInt32(element / 4), place.token, problem.dropout.op, place.item)
      let word = Philox.block(
        counter: counter, key: SIMD2(problem.dropout.key0, problem.dropout.key1))[element % 4]
      let weight = result.probs[i * problem.length + j]
      let expected = word < problem.dropout.threshold ? 0 : weight * problem.keep
      #expect(result.out[i * problem.width] == expected)
    }
  }
}

@Test(arguments: Kernels.checked, [false, true])
func gradientsAreFiniteDifferencesOfTheReference(table: Kernels, drops: Bool) {
  let problem = Problem(length: 5, width: 8, drops: drops)
  let dout = problem.dout.map(Double.init)
  let qkv = problem.qkv
  func loss(_ index: Int, _ step: Float) -> Double {
    var moved = qkv
    moved[index] += step
    return zip(forward(reference, problem, qkv: moved).out, dout).reduce(0) {
      $0 + Double($1.0) * $1.1
    }
  }
  let gradients = backward(table, problem, probs: forward(reference, problem).probs)
  // Four points at distance h = 2⁻⁴ are off by h⁴/30 of the fifth derivative, less than 5e-7 times a number of
  // order 1. The outputs, rounded to floats, and weights before them, are off by 2⁻²⁴ of less than 1.25 each: 40 of
  // them times dout < 1 times 1.5/h are off by less than 8e-5 at the worst.
  let h: Float = 0x1p-4
  for index in qkv.indices {
    let near = loss(index, h) - loss(index, -h)
    let far = loss(index, 2 * h) - loss(index, -2 * h)
    let expected = (8 * near - far) / (12 * Double(h))
    let column = index % problem.stride
    let part = gradients[column / problem.width]
    let value = part[index / problem.stride * problem.width + column % problem.width]
    #expect(abs(Double(value) - expected) < 1e-4, "element \(index)")
  }
}

@Test(arguments: Kernels.checked)
func attentionDoesNotDependOnAlignmentOrStrides(table: Kernels) {
  for (length, width) in [(5, 12), (25, 32), (60, 20)] {
    let plain = Problem(length: length, width: width, drops: true, offset: 0)
    let first = forward(table, plain)
    let gradients = backward(table, plain, probs: first.probs)
    for offset in 1..<8 {
      let moved = Problem(
        length: length, width: width, gap: offset, drops: true, offset: offset)
      let result = forward(table, moved)
      #expect(result.out.bits == first.out.bits && result.probs.bits == first.probs.bits)
      let other = backward(table, moved, probs: first.probs)
      #expect(other.map(\.bits) == gradients.map(\.bits))
    }
  }
}

@Test(arguments: Kernels.checked)
func largeScoresDoNotOverflow(table: Kernels) {
  let problem = Problem(length: 20, width: 8)
  let result = forward(table, problem, qkv: problem.qkv.map { $0 * 1e4 })
  for row in 0..<20 {
    let weights = result.probs[row * 20..<(row + 1) * 20]
    #expect(abs(weights.reduce(0, +) - 1) < 40 * rounding)
  }
}

@Test(arguments: Kernels.checked)
func anEmptySequenceIsNothing(table: Kernels) {
  let problem = Problem(length: 0, width: 32)
  #expect(forward(table, problem).out.isEmpty)
  #expect(backward(table, problem, probs: []).allSatisfy { $0.isEmpty })
}
