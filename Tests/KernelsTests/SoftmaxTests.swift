import CKernels
import Determinism
import Glibc
import TestSupport
import Testing

private func scores(_ count: Int) -> [Float] {
  var random = RandomStream(seed: 41, "softmax", .number(count))
  return (0..<count).map { _ in Float(4 * random.normal()) }
}

extension Kernels {
  /// The largest and the sum over `x` cut into parts of `width`.
  fileprivate func normaliser(_ x: [Float], width: Int) -> (largest: Float, sum: Double) {
    var largest = -Float.infinity
    var sum = 0.0
    for first in stride(from: 0, to: x.count, by: width) {
      let part = Floats(Array(x[first..<min(first + width, x.count)]), offset: first % 7)
      unsafe raw.pointee.softmax_part(part.start, part.count, &largest, &sum)
    }
    return (largest, sum)
  }
}

@Test(arguments: Kernels.checked)
func aSoftmaxSeenInPartsHasItsSum(table: Kernels) {
  for count in Kernels.lengths where count > 0 {
    let x = scores(count)
    let most = x.max() ?? 0
    let wanted = x.reduce(0.0) { $0 + exp(Double($1) - Double(most)) }
    for width in [1, 7, 16, 100, 1000] {
      let (largest, sum) = table.normaliser(x, width: width)
      #expect(largest == most)
      // exp within 2 ulp, partial sums in floats: at most count/32 + 8 roundings of positive numbers.
      let error = Double(rounding) * Double(8 + count / 32 + 8)
      #expect(abs(sum / wanted - 1) <= error, "\(count) in parts of \(width): \(sum) for \(wanted)")
    }
  }
}

@Test(arguments: Kernels.checked)
func aScaledSoftmaxIsThatOfDoubles(table: Kernels) {
  for count in Kernels.lengths {
    let x = scores(count)
    let most = x.max() ?? 0
    let found = Floats(x, offset: 3)
    unsafe table.raw.pointee.softmax_scaled(found.start, count, most, 0.375)
    #expect(found.paddingIsIntact)
    for (value, score) in zip(found.values, x) {
      let wanted = 0.375 * exp(Double(score) - Double(most))
      // The difference is rounded once: relative to the result as large as itself; exp within 2 ulp; one product.
      let error = Double(rounding) * (Double(abs(score - most)) + 6) * wanted + 0x1p-148
      #expect(abs(Double(value) - wanted) <= error, "\(count): \(value) for \(wanted)")
    }
  }
}

@Test(arguments: Kernels.checked)
func whatIsNotANumberIsSeenInASoftmax(table: Kernels) {
  for place in [0, 5, 16, 40] {
    var x = scores(41)
    x[place] = .nan
    #expect(table.normaliser(x, width: 41).sum.isNaN)
  }
}
