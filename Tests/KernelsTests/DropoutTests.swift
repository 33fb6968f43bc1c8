import CKernels
import Determinism
import Foundation
import TestSupport
import Testing

private let rate: Float = 0.3
private let drop = ck_dropout(
  key0: 0xDEAD_BEEF, key1: 77, op: 12, threshold: UInt32(0.3 * 0x1p32), scale: 1 / (1 - rate))
private let noDrop = ck_dropout(key0: 1, key1: 2, op: 3, threshold: 0, scale: 1)

private func places(_ rows: Int) -> [ck_place] {
  (0..<rows).map { ck_place(item: UInt32(900 + $0 / 3), token: UInt32($0 % 3)) }
}

private func values(_ count: Int, seed: UInt64) -> [Float] {
  var random = RandomStream(seed: seed, "dropout")
  return random.floats(count, in: -2...2)
}

/// The word that decides about an element, from the generator that the rest of the program uses.
private func word(_ dropout: ck_dropout, _ place: ck_place, _ element: Int) -> UInt32 {
  let counter = SIMD4(UInt32(element / 4), place.token, dropout.op, place.item)
  return Philox.block(counter: counter, key: SIMD2(dropout.key0, dropout.key1))[element % 4]
}

private func dropped(_ table: Kernels, _ x: [Float], rows: Int, _ dropout: ck_dropout) -> [Float] {
  let input = Floats(x, offset: 3)
  let output = Floats(count: x.count, offset: 6)
  let at = places(rows)
  let columns = rows == 0 ? 0 : x.count / rows
  var dropout = dropout
  unsafe table.raw.pointee.dropout(output.start, input.start, rows, columns, &dropout, at)
  #expect(output.paddingIsIntact && input.bits == x.bits)
  unsafe table.raw.pointee.dropout(input.start, input.start, rows, columns, &dropout, at)
  #expect(input.bits == output.bits && input.paddingIsIntact)
  return output.values
}

@Test(arguments: Kernels.checked, Kernels.lengths)
func masksAreThoseOfPhilox(table: Kernels, columns: Int) {
  let rows = 5
  let x = values(rows * columns, seed: 1)
  let expected = x.indices.map { index in
    word(drop, places(rows)[index / columns], index % columns) < drop.threshold
      ? 0 : x[index] * drop.scale
  }
  #expect(dropped(table, x, rows: rows, drop).bits == expected.bits)
  #expect(dropped(table, x, rows: rows, noDrop).bits == x.bits)
}

/// Box and Muller in double, from the generator that the rest of the program uses.
@Test(arguments: Kernels.checked, Kernels.lengths)
func normalsAreThoseOfBoxAndMuller(table: Kernels, count: Int) {
  let place = ck_place(item: 3, token: 4)
  let counter = 1000
  let expected = (0..<count).map { index in
    let words = (0..<2).map { word(drop, place, 4 * counter + index / 2 * 2 + $0) >> 8 }
    let radius = (-2 * log(Double(words[0] + 1) * 0x1p-24)).squareRoot()
    let angle = 2 * Double.pi * Double(words[1]) * 0x1p-24
    return Float(0.02 * radius * (index % 2 == 0 ? cos(angle) : sin(angle)))
  }
  let result = Floats(count: count, offset: 5)
  unsafe withUnsafePointer(to: drop) { drop in
    unsafe table.raw.pointee.normals(result.start, count, UInt32(counter), drop, place, 0.02)
  }
  #expect(result.paddingIsIntact)
  result.values.expectNear(expected, "normals") { _ in 0.02 * 5.8 * 4 * rounding }
}

@Test(arguments: Kernels.checked)
func normalsHaveTheirMoments(table: Kernels) {
  let count = 1 << 20
  let result = Floats(count: count)
  unsafe withUnsafePointer(to: drop) { drop in
    unsafe table.raw.pointee.normals(
      result.start, count, 0, drop, ck_place(item: 0, token: 0), 1)
  }
  let values = result.values.map(Double.init)
  func moment(_ power: Int) -> Double {
    values.reduce(0) { $0 + pow($1, Double(power)) } / Double(count)
  }
  // Deviations of the means of 2^20 draws: 0.001, 0.0014, 0.0038, 0.0096; six of them are never seen.
  #expect(abs(moment(1)) < 0.006 && abs(moment(2) - 1) < 0.0085)
  #expect(abs(moment(3)) < 0.023 && abs(moment(4) - 3) < 0.058)
  // Neighbours share two words, but nothing else.
  let together = stride(from: 0, to: count, by: 2).reduce(0) { $0 + values[$1] * values[$1 + 1] }
  #expect(abs(together) / Double(count / 2) < 6 * 0.0014)
}

@Test(arguments: Kernels.checked)
func theLargestThresholdDropsNearlyAll(table: Kernels) {
  var all = drop
  all.threshold = .max
  #expect(dropped(table, values(4000, seed: 2), rows: 4, all).allSatisfy { $0 == 0 })
}

@Test(arguments: Kernels.checked)
func theShareOfDroppedElementsIsTheRate(table: Kernels) {
  let count = 100_000
  let y = dropped(table, [Float](repeating: 1, count: count), rows: 10, drop)
  let share = Float(y.count { $0 == 0 }) / Float(count)
  // Five deviations of a binomial share.
  #expect(abs(share - rate) < 5 * (rate * (1 - rate) / Float(count)).squareRoot())
}

@Test(arguments: Kernels.checked, Kernels.lengths)
func biasDropoutAddHasTheReferencesBits(table: Kernels, columns: Int) {
  let rows = 4
  let h = values(rows * columns, seed: 3)
  let residual = values(rows * columns, seed: 4)
  let bias = values(columns, seed: 5)
  for dropout in [drop, noDrop] {
    func result(_ table: Kernels) -> [UInt32] {
      let y = Floats(h, offset: 5)
      let added = Floats(residual, offset: 2)
      let biases = Floats(bias)
      var dropout = dropout
      let at = dropout.threshold == 0 ? nil : places(rows)  // not needed when nothing is dropped
      unsafe table.raw.pointee.bias_dropout_add(
        y.start, biases.start, added.start, rows, columns, &dropout, at)
      #expect(y.paddingIsIntact && added.bits == residual.bits && biases.bits == bias.bits)
      return y.bits
    }
    #expect(result(table) == result(reference))
  }
}
