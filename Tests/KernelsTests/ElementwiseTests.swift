import CKernels
import Determinism
import Glibc
import TestSupport
import Testing

/// The entries that make an array of one or of two others.
private enum Entry {
  case gelu, tanh, geluBackward, tanhBackward

  static let unary = [gelu, tanh]
  static let binary = [geluBackward, tanhBackward]
}

extension Kernels {
  private func call(_ entry: Entry, _ output: Floats, _ x: Floats, _ y: Floats? = nil) {
    let (to, from, count) = unsafe (output.start, x.start, x.count)
    switch entry {
    case .gelu: unsafe raw.pointee.gelu_forward(to, from, count)
    case .tanh: unsafe raw.pointee.tanh_forward(to, from, count)
    case .geluBackward: unsafe raw.pointee.gelu_backward(to, from, y?.start, count)
    case .tanhBackward: unsafe raw.pointee.tanh_backward(to, from, y?.start, count)
    }
  }

  /// `entry` on copies of `x` and `y`, out of place and in place on `x`, which must agree; nothing around
  /// them is touched.
  fileprivate func run(_ entry: Entry, _ x: [Float], _ y: [Float]? = nil, offset: Int = 1)
    -> [Float]
  {
    let first = Floats(x, offset: offset)
    let second = y.map { Floats($0, offset: offset + 4) }
    let output = Floats(count: x.count, offset: offset + 2)
    call(entry, output, first, second)
    #expect(output.paddingIsIntact && first.bits == x.bits)
    call(entry, first, first, second)
    #expect(first.bits == output.bits && first.paddingIsIntact)
    #expect(second?.bits == y?.bits && second?.paddingIsIntact != false)
    return output.values
  }
}

/// Values of every size, both signs, with zeros, infinities where `extreme`, and many near 0.
private func samples(_ count: Int, seed: UInt64 = 1) -> [Float] {
  var random = RandomStream(seed: seed, "samples", 0)
  let corners: [Float] = [0, -0.0, 1, -1, 0.625, -0.625, 13.2, -13.2, 30, -30, 1e-30, -1e-30, 500]
  return (0..<count).map { index in
    if index % 5 == 4 { return corners[index / 5 % corners.count] }
    return Float(random.normal()) * [0.1, 1, 3, 8][index % 4]
  }
}

/// Φ(z) and φ(z).
private func normal(_ z: Float) -> (below: Double, density: Double) {
  let z = Double(z)
  return (0.5 * erfc(-z * 0.5.squareRoot()), exp(-0.5 * z * z) / (2 * Double.pi).squareRoot())
}

/// The inputs of Φ(−a) = exp(−a²/2)·P(t)/(a + 3) that are rounded, in units of 2⁻²⁴: a + 3 and its
/// reciprocal (each 1, and m = P(t)/(a + 3) moves by at most 2.4 times as much), t (0.8), P (1.3 of fit, 2 of
/// evaluation), its product with the reciprocal (1), the exponential (4 for 2 ulp), and the two products that
/// follow (2). Together less than 16. Two steps of the smallest float are for subnormal results.
private let normalError = 16 * rounding
private let subnormal: Float = 0x1p-148

@Test(arguments: Kernels.checked, Kernels.lengths)
func geluAgreesWithReference(table: Kernels, length: Int) {
  let z = samples(length)
  let dy = samples(length, seed: 2)
  let y = table.run(.gelu, z)
  let expected = reference.run(.gelu, z)
  y.expectNear(expected, "gelu") { normalError * abs(expected[$0]) + subnormal }

  let dz = table.run(.geluBackward, dy, z)
  let slope = reference.run(.geluBackward, dy, z)
  dz.expectNear(slope, "gelu gradient") { index in
    // Below 0 the slope is Φ(z) − |z|φ(z), which may cancel; above, 1 minus that of −z.
    let (below, density) = normal(-abs(z[index]))
    let terms = below + Double(abs(z[index])) * density
    let size = Float(z[index] < 0 ? terms : 1 + terms)
    return normalError * abs(dy[index]) * size + subnormal * max(1, abs(dy[index]))
  }
}

@Test(arguments: Kernels.checked)
func geluIsAccurateOverItsWholeRange(table: Kernels) {
  let z = (0..<60_000).map { Float($0 - 30_000) * 0x1p-11 }
  let y = table.run(.gelu, z)
  let expected = z.map { Float(Double($0) * normal($0).below) }
  y.expectNear(expected, "gelu") { normalError * abs(expected[$0]) + subnormal }
}

@Test(arguments: Kernels.checked, Kernels.lengths)
func tanhAgreesWithReference(table: Kernels, length: Int) {
  let x = samples(length)
  let dy = samples(length, seed: 3)
  let y = table.run(.tanh, x)
  let expected = reference.run(.tanh, x)
  // Below 0.625: the last step rounds (1), and the correction, at most 0.12 of the value, is off by the
  // roundings of its five steps. Above: 2 / (e + 1) is at most 0.45 for a value of at least 0.55, and is off by
  // 4 (exp to 2 ulp), 1 and 1; the difference rounds (1). Less than 6 either way; the reference rounds too (1).
  y.expectNear(expected, "tanh") { 7 * rounding * abs(expected[$0]) }

  // dy·(1 − y²): two roundings here, one in the reference.
  let dx = table.run(.tanhBackward, dy, expected)
  let slope = reference.run(.tanhBackward, dy, expected)
  dx.expectNear(slope, "tanh gradient") { 3 * rounding * abs(slope[$0]) }
}

@Test(arguments: Kernels.checked, Kernels.lengths)
func sumsAndScalesHaveTheReferencesBits(table: Kernels, length: Int) {
  let x = samples(length)
  let start = samples(length, seed: 4)
  func result(_ table: Kernels) -> [UInt32] {
    let y = Floats(start, offset: 3)
    let addend = Floats(x, offset: 6)
    unsafe table.raw.pointee.add(y.start, addend.start, length)
    unsafe table.raw.pointee.scale(y.start, 0.3, length)
    #expect(y.paddingIsIntact && addend.bits == x.bits)
    return y.bits
  }
  #expect(result(table) == result(reference))
}

@Test(arguments: Kernels.checked)
func everyHalfIsConvertedExactly(table: Kernels) {
  let halves = (0...65535).map { UInt16($0) }
  for length in [halves.count, 1000, 17, 7, 0] {
    for start in [0, 3, 0x0400 - 5, 0x7C00 - 3, 0xFC00 - 9] where start + length <= halves.count {
      let part = Array(halves[start..<start + length])
      let y = Floats(count: length)
      unsafe table.raw.pointee.from_f16(y.start, part, length)
      #expect(y.paddingIsIntact)
      for (value, half) in zip(y.values, part) {
        let expected = Float16(bitPattern: half)
        #expect(expected.isNaN ? value.isNaN : value.bitPattern == Float(expected).bitPattern)
      }
      unsafe table.raw.pointee.from_bf16(y.start, part, length)
      #expect(y.bits == part.map { UInt32($0) << 16 } && y.paddingIsIntact)
    }
  }
}

@Test(arguments: Kernels.checked, Kernels.lengths)
func oneBadValueIsFoundWhereverItIs(table: Kernels, length: Int) {
  let x = Floats(samples(length))
  #expect(unsafe table.raw.pointee.all_finite(x.start, length))
  for bad in [Float.infinity, -.infinity, .nan] {
    for index in 0..<length {
      let good = unsafe x.start[index]
      unsafe x.start[index] = bad
      #expect(unsafe !table.raw.pointee.all_finite(x.start, length), "\(bad) at \(index)")
      unsafe x.start[index] = good
    }
  }
}

@Test(arguments: Kernels.checked, Kernels.lengths)
func sumOfSquaresAgreesWithReference(table: Kernels, length: Int) {
  let x = samples(length)
  let sums = (0..<4).map { offset in
    let floats = Floats(x, offset: offset)
    return unsafe table.raw.pointee.sum_of_squares(floats.start, length)
  }
  #expect(Set(sums.map(\.bitPattern)).count == 1, "alignment changes the sum")
  let expected = unsafe reference.raw.pointee.sum_of_squares(x, length)
  // Squares are exact; each of fewer than `length` additions rounds, in both.
  #expect(abs(sums[0] - expected) <= 2 * Double(length) * 0x1p-53 * expected)
}

@Test(arguments: Kernels.checked, Kernels.lengths)
func adamwHasTheReferencesBits(table: Kernels, length: Int) {
  let gradients = [samples(length, seed: 5), samples(length, seed: 6)]
  func result(_ table: Kernels) -> [[UInt32]] {
    let p = Floats(samples(length), offset: 3)
    let m = Floats(Array(repeating: 0, count: length), offset: 2)
    let v = Floats(Array(repeating: 0, count: length), offset: 5)
    for step in 1...2 {
      let g = Floats(gradients[step - 1], offset: 7)
      var with = ck_adamw(
        grad_scale: 0.7, lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.01,
        bias1: 1 - pow(0.9, Double(step)), bias2: 1 - pow(0.999, Double(step)))
      unsafe table.raw.pointee.adamw(p.start, g.start, m.start, v.start, length, &with)
      #expect(g.bits == gradients[step - 1].bits)
    }
    #expect(p.paddingIsIntact && m.paddingIsIntact && v.paddingIsIntact)
    return [p.bits, m.bits, v.bits]
  }
  #expect(result(table) == result(reference))
}

@Test(arguments: Kernels.checked)
func placeAndAlignmentDoNotChangeBits(table: Kernels) {
  let x = samples(200)
  let dy = samples(200, seed: 7)
  for entry in Entry.unary {
    let whole = table.run(entry, x, offset: 0).bits
    for start in 0..<40 {
      for length in [1, 5, 8, 13, 31, 64, 160] {
        let part = table.run(entry, Array(x[start..<start + length]), offset: start % 7).bits
        #expect(part == Array(whole[start..<start + length]))
      }
    }
  }
  for entry in Entry.binary {
    let whole = table.run(entry, dy, x, offset: 0).bits
    for start in 0..<40 {
      let range = start..<start + 1 + start * 4
      let part = table.run(entry, Array(dy[range]), Array(x[range]), offset: start % 5).bits
      #expect(part == Array(whole[range]))
    }
  }
}

@Test(arguments: Kernels.checked)
func nanGoesThrough(table: Kernels) {
  for index in 0..<40 {
    var x = samples(40)
    x[index] = .nan
    for entry in Entry.unary {
      let y = table.run(entry, x)
      #expect(y.indices.filter { y[$0].isNaN } == [index])
    }
    let dz = table.run(.geluBackward, samples(40, seed: 8), x)
    #expect(dz.indices.filter { dz[$0].isNaN } == [index])
  }
  let infinite = table.run(.gelu, [.infinity, -.infinity])
  #expect(infinite[0] == .infinity && infinite[1].isNaN)
  #expect(table.run(.tanh, [.infinity, -.infinity]) == [1, -1])
}
