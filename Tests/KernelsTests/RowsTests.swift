import CKernels
import Determinism
import TestSupport
import Testing

/// Rows and columns around the widths of vectors and blocks.
private let shapes: [(rows: Int, columns: Int)] =
  Kernels.lengths.map { (3, $0) } + [(0, 33), (1, 384), (26, 40), (7, 128)]

private func normals(_ count: Int, seed: UInt64, scale: Float = 1, mean: Float = 0) -> [Float] {
  var random = RandomStream(seed: seed, "rows")
  return (0..<count).map { _ in mean + scale * Float(random.normal()) }
}

/// `values` [rows × columns] with `gap` NaN between rows.
private func spread(_ values: [Float], columns: Int, gap: Int) -> [Float] {
  guard columns > 0 else { return [] }
  return stride(from: 0, to: values.count, by: columns).flatMap {
    Array(values[$0..<$0 + columns]) + Array(repeating: Float.nan, count: gap)
  }
}

@Test(arguments: Kernels.checked)
func biasesAndColumnSumsHaveTheReferencesBits(table: Kernels) {
  for (rows, columns) in shapes {
    let x = normals(rows * columns, seed: 1)
    let dy = normals(rows * columns, seed: 2)
    let bias = normals(columns, seed: 3)
    for gap in [0, 5] {
      func results(_ table: Kernels) -> [[UInt32]] {
        let y = Floats(spread(x, columns: columns, gap: gap), offset: 3)
        let from = Floats(spread(dy, columns: columns, gap: gap), offset: 2)
        let biases = Floats(bias, offset: 5)
        let step = columns + gap
        unsafe table.raw.pointee.add_bias(y.start, biases.start, rows, columns, step)
        let sums = Floats(count: columns)
        unsafe table.raw.pointee.column_sums(sums.start, y.start, rows, columns, step)
        let dgamma = Floats(count: columns, offset: 3)
        let dbeta = Floats(count: columns)
        unsafe table.raw.pointee.layernorm_parameters(
          dgamma.start, dbeta.start, from.start, y.start, rows, columns, step)
        #expect([y, sums, dgamma, dbeta].allSatisfy { $0.paddingIsIntact })
        return [y.bits, sums.bits, dgamma.bits, dbeta.bits]
      }
      #expect(results(table) == results(reference), "\(rows) × \(columns), gap \(gap)")
    }
  }
}

@Test(arguments: Kernels.checked)
func aColumnsSumDoesNotDependOnItsPlace(table: Kernels) {
  let (rows, columns) = (9, 150)
  let x = Floats(normals(rows * columns, seed: 4))
  let whole = Floats(count: columns)
  unsafe table.raw.pointee.column_sums(whole.start, x.start, rows, columns, columns)
  for first in 0..<70 {
    for count in [1, 8, 17, 40, 80] {
      let part = Floats(count: count, offset: first % 4)
      unsafe table.raw.pointee.column_sums(part.start, x.start + first, rows, count, columns)
      #expect(part.bits == Array(whole.bits[first..<first + count]) && part.paddingIsIntact)
    }
  }
}

@Test(arguments: Kernels.checked)
func biasGeluIsAddBiasThenGelu(table: Kernels) {
  for (rows, columns) in shapes {
    let z = Floats(normals(rows * columns, seed: 5), offset: 2)
    let separate = Floats(z.values)
    let bias = Floats(normals(columns, seed: 6), offset: 3)
    let y = Floats(count: z.count, offset: 5)
    let expected = Floats(count: z.count)
    unsafe table.raw.pointee.bias_gelu(z.start, y.start, bias.start, rows, columns)
    unsafe table.raw.pointee.add_bias(separate.start, bias.start, rows, columns, columns)
    unsafe table.raw.pointee.gelu_forward(expected.start, separate.start, z.count)
    #expect(z.bits == separate.bits && y.bits == expected.bits)
    #expect(z.paddingIsIntact && y.paddingIsIntact)
  }
}

/// What LayerNorm makes of rows: x̂, y, 1/σ.
private func layerNorm(
  _ table: Kernels, _ x: [Float], gamma: [Float], beta: [Float], eps: Float, rows: Int,
  offset: Int = 1
) -> (xhat: [Float], y: [Float], rstd: [Float]) {
  let z = Floats(x, offset: offset)
  let y = Floats(count: x.count, offset: offset + 1)
  let rstd = Floats(count: rows)
  let gammas = Floats(gamma, offset: offset + 2)
  let betas = Floats(beta, offset: offset + 3)
  unsafe table.raw.pointee.layernorm_forward(
    z.start, y.start, rstd.start, gammas.start, betas.start, eps, rows, gamma.count)
  #expect([z, y, rstd, gammas, betas].allSatisfy { $0.paddingIsIntact })
  return (z.values, y.values, rstd.values)
}

@Test(arguments: Kernels.checked, [Float(0), 100])
func layerNormAgreesWithReference(table: Kernels, mean: Float) {
  for (rows, columns) in shapes where columns > 0 {
    let x = normals(rows * columns, seed: 7, mean: mean)
    let gamma = normals(columns, seed: 8)
    let beta = normals(columns, seed: 9)
    let (xhat, y, rstd) = layerNorm(table, x, gamma: gamma, beta: beta, eps: 1e-5, rows: rows)
    let expected = layerNorm(reference, x, gamma: gamma, beta: beta, eps: 1e-5, rows: rows)
    // x − mean is rounded twice, and what the first rounding is relative to may be larger than the result by
    // half an ulp of the mean: 2⁻²⁴ of it. Σ of squares in at least 8 parts: columns/8 additions and a few, of
    // squares off by 5; the root halves that. Then 1/σ and the product are rounded. The reference: once.
    let relative = (Float(columns) / 16 + 14) * rounding
    let scale = expected.rstd.max() ?? 0
    let absolute = 2 * rounding * rounding * abs(mean) * scale
    xhat.expectNear(expected.xhat, "xhat") { relative * abs(expected.xhat[$0]) + absolute }
    rstd.expectNear(expected.rstd, "rstd") { relative * expected.rstd[$0] }
    y.expectNear(expected.y, "y") { index in
      let product = abs(gamma[index % columns] * expected.xhat[index])
      return (relative + 3 * rounding) * product + 2 * rounding * abs(expected.y[index])
        + abs(gamma[index % columns]) * absolute
    }
    let dy = normals(rows * columns, seed: 10)
    func gradient(_ table: Kernels) -> [Float] {
      let dz = Floats(dy, offset: 3)
      let from = Floats(dy, offset: 2)
      let xhats = Floats(expected.xhat, offset: 5)
      let rstds = Floats(expected.rstd)
      let gammas = Floats(gamma)
      let apart = Floats(count: dy.count)
      unsafe table.raw.pointee.layernorm_backward(
        apart.start, from.start, xhats.start, rstds.start, gammas.start, rows, columns)
      unsafe table.raw.pointee.layernorm_backward(
        dz.start, dz.start, xhats.start, rstds.start, gammas.start, rows, columns)
      #expect(dz.bits == apart.bits && dz.paddingIsIntact && apart.paddingIsIntact)
      return dz.values
    }
    let (dz, expectedDz) = (gradient(table), gradient(reference))
    dz.expectNear(expectedDz, "dz") { index in
      // (g − mean g − x̂ · mean(g x̂)) / σ with g = dy γ: the means have columns/8 additions and a few, each
      // term is off by their errors and its own roundings.
      let row = index / columns
      let g = (0..<columns).map { abs(dy[row * columns + $0] * gamma[$0]) }
      let gx = (0..<columns).map { g[$0] * abs(expected.xhat[row * columns + $0]) }
      let meanG = g.reduce(0, +) / Float(columns)
      let meanGX = gx.reduce(0, +) / Float(columns)
      let terms = g[index % columns] + meanG + abs(expected.xhat[index]) * meanGX
      return (Float(columns) / 8 + 14) * rounding * terms * expected.rstd[row]
    }
  }
}

@Test(arguments: Kernels.checked)
func aRowOfEqualValuesNormalisesToZero(table: Kernels) {
  for columns in Kernels.lengths where columns > 0 {
    for value in [Float(0.1), -777.7, 1e20] {
      let x = [Float](repeating: value, count: columns)
      let beta = normals(columns, seed: 11)
      let result = layerNorm(table, x, gamma: beta, beta: beta, eps: 1e-12, rows: 1)
      #expect(result.xhat.allSatisfy { $0 == 0 } && result.y == beta)
    }
  }
}

@Test(arguments: Kernels.checked)
func aRowDoesNotDependOnTheOthersOrItsAlignment(table: Kernels) {
  for columns in [1, 7, 31, 33, 65, 384] {
    let gamma = normals(columns, seed: 12)
    let beta = normals(columns, seed: 13)
    let x = normals(5 * columns, seed: 14)
    let whole = layerNorm(table, x, gamma: gamma, beta: beta, eps: 1e-5, rows: 5, offset: 0)
    for row in 0..<5 {
      let range = row * columns..<(row + 1) * columns
      let part = layerNorm(
        table, Array(x[range]), gamma: gamma, beta: beta, eps: 1e-5, rows: 1, offset: row + 1)
      #expect(part.y.bits == Array(whole.y.bits[range]))
      #expect(part.xhat.bits == Array(whole.xhat.bits[range]))
    }
  }
}
