import CKernels
import Determinism
import TestSupport
import Testing

/// A way to multiply: a table's product of fp32 factors, or of factors rounded to bf16.
struct Product: Sendable, CustomTestStringConvertible {
  let table: Kernels
  let isRounded: Bool

  var testDescription: String { table.name + (isRounded ? " bf16" : " fp32") }

  /// All that run here. The reference has none of fp32 factors.
  static let all = Kernels.checked.flatMap { table in
    [false, true].map { Product(table: table, isRounded: $0) }
      .filter { unsafe $0.isRounded || table.raw.pointee.product_pack != nil }
  }

  /// A factor as it is multiplied.
  func rounded(_ factor: Float) -> Float {
    isRounded ? Float(bitPattern: UInt32(bf16(factor)) << 16) : factor
  }
}

/// `value` rounded to the nearest bf16, ties to even, by the definition.
private func bf16(_ value: Float) -> UInt16 {
  if value.isNaN { return UInt16(value.bitPattern >> 16 | 0x40) }
  let down = value.bitPattern >> 16
  let lost = value.bitPattern & 0xFFFF
  return UInt16(down + (lost > 0x8000 || lost == 0x8000 && down % 2 == 1 ? 1 : 0))
}

private func normals(_ count: Int, _ name: String) -> [Float] {
  var random = RandomStream(seed: 11, .text(name))
  return random.floats(count, in: -2...2)
}

/// `A·B` in double, and the sum of the terms' sizes, which bounds the error of any order.
private func exact(
  _ a: [Float], _ b: [Float], rows: Int, depth: Int, columns: Int
) -> (values: [Double], sizes: [Double]) {
  var values = [Double](repeating: 0, count: rows * columns)
  var sizes = values
  for row in 0..<rows {
    for k in 0..<depth {
      for column in 0..<columns {
        let term = Double(a[row * depth + k]) * Double(b[k * columns + column])
        values[row * columns + column] += term
        sizes[row * columns + column] += abs(term)
      }
    }
  }
  return (values, sizes)
}

/// `b` as a kernel may find it: rows of columns, or columns of rows, with `gap` NaN after each run.
private func stored(
  _ b: [Float], depth: Int, columns: Int, transposed: Bool, gap: Int
) -> (floats: Floats, stride: Int) {
  let (runs, length) = transposed ? (columns, depth) : (depth, columns)
  var values = [Float](repeating: .nan, count: runs * (length + gap))
  for k in 0..<depth {
    for n in 0..<columns {
      let (run, place) = transposed ? (n, k) : (k, n)
      values[run * (length + gap) + place] = b[k * columns + n]
    }
  }
  return (Floats(values, offset: 3), length + gap)
}

/// Columns `part` of `C = A·B`, rows `rowCut` at a time, C's rows `gap` apart.
private func multiply(
  _ product: Product, _ a: [Float], _ b: (floats: Floats, stride: Int), transposed: Bool,
  rows: Int, depth: Int, columns part: Range<Int>, rowCut: Int, gap: Int,
  onto start: [Float]? = nil
) -> [Float] {
  let kernels = unsafe product.table.raw
  let size =
    unsafe product.isRounded
    ? kernels.pointee.bf16_scratch(depth) : kernels.pointee.product_scratch(depth)
  let packed = Floats(count: size, offset: 0)
  let first = unsafe b.floats.start + part.lowerBound * (transposed ? b.stride : 1)
  let left = Floats(a, offset: 1)
  // Rows of A as words of two bf16, one word apart from the next row.
  let step = (depth + 31) / 32 * 32 + 2
  let words = Floats(count: rows * step / 2, offset: 1)
  let halves = unsafe UnsafeMutableRawPointer(words.start).assumingMemoryBound(to: UInt16.self)
  if product.isRounded {
    unsafe kernels.pointee.bf16_pack(
      packed.start, first, b.stride, transposed, depth, part.count)
    unsafe kernels.pointee.bf16_rows(halves, step, left.start, depth, rows, depth)
  } else {
    unsafe kernels.pointee.product_pack(
      packed.start, first, b.stride, transposed, depth, part.count)
  }
  let width = part.count + gap
  let c = Floats(count: rows * width, offset: 5)
  if let start {
    for row in 0..<rows {
      for n in 0..<part.count {
        unsafe c.start[row * width + n] = start[row * part.count + n]
      }
    }
  }
  for row in stride(from: 0, to: rows, by: rowCut) {
    let height = min(rowCut, rows - row)
    if product.isRounded {
      unsafe kernels.pointee.bf16_packed(
        c.start + row * width, width, halves + row * step, step, height, packed.start, depth,
        part.count, start != nil)
    } else {
      unsafe kernels.pointee.product_packed(
        c.start + row * width, width, left.start + row * depth, depth, height, packed.start,
        depth, part.count, start != nil)
    }
  }
  #expect([packed, left, words, c].allSatisfy { $0.paddingIsIntact })
  let all = c.values
  for row in 0..<rows {
    let between = all[row * width + part.count..<(row + 1) * width]
    #expect(between.count { $0.isNaN } == gap)
  }
  return (0..<rows).flatMap { Array(all[$0 * width..<$0 * width + part.count]) }
}

private let shapes: [(rows: Int, depth: Int, columns: Int)] =
  [1, 5, 6, 7, 48, 53].flatMap { rows in
    [1, 7, 8, 19, 64].flatMap { depth in
      [1, 8, 15, 16, 17, 33, 47, 96].map { (rows, depth, $0) }
    }
  }

@Test(arguments: Product.all, [false, true])
func productsAreSumsInTheOrderOfDepth(by product: Product, transposed: Bool) {
  for (rows, depth, columns) in shapes {
    let a = normals(rows * depth, "a")
    let b = normals(depth * columns, "b")
    let place = stored(b, depth: depth, columns: columns, transposed: transposed, gap: 2)
    let result = multiply(
      product, a, place, transposed: transposed, rows: rows, depth: depth, columns: 0..<columns,
      rowCut: 48, gap: 3)
    let (values, sizes) = exact(
      a.map(product.rounded), b.map(product.rounded), rows: rows, depth: depth, columns: columns)
    result.expectNear(values.map { Float($0) }, "\(rows) × \(depth) × \(columns)") {
      Float(sizes[$0]) * rounding * Float(depth + 1)
    }
    if product.isRounded { continue }
    // One rounding a term: an element is a chain of fused multiply-adds.
    let chain = (0..<depth).reduce(Float(0)) { sum, k in
      sum.addingProduct(a[k], b[k * columns])
    }
    #expect(result[0] == chain, "\(rows) × \(depth) × \(columns)")
  }
}

@Test(arguments: Product.all, [false, true])
func productsBitsDoNotDependOnTheCut(by product: Product, transposed: Bool) {
  let (rows, depth, columns) = (31, 37, 150)
  let a = normals(rows * depth, "a")
  let b = normals(depth * columns, "b")
  let place = stored(b, depth: depth, columns: columns, transposed: transposed, gap: 0)
  func part(_ columns: Range<Int>, rowCut: Int) -> [Float] {
    multiply(
      product, a, place, transposed: transposed, rows: rows, depth: depth, columns: columns,
      rowCut: rowCut, gap: 1)
  }
  let left = part(0..<96, rowCut: rows)
  let right = part(96..<columns, rowCut: rows)
  func whole(_ row: Int, _ column: Int) -> Float {
    column < 96 ? left[row * 96 + column] : right[row * (columns - 96) + column - 96]
  }
  for range in [0..<1, 3..<20, 40..<136, 90..<107, 149..<150] {
    for rowCut in [1, 2, 5, 6, 13] {
      let expected = (0..<rows).flatMap { row in range.map { whole(row, $0) } }
      #expect(part(range, rowCut: rowCut).bits == expected.bits, "\(range), \(rowCut) rows")
    }
  }
}

@Test(arguments: Product.all, [false, true])
func productsAddToWhatIsThere(by product: Product, transposed: Bool) {
  for (rows, depth, columns) in [(1, 1, 1), (13, 21, 39), (48, 64, 96)] {
    let a = normals(rows * depth, "a")
    let b = normals(depth * columns, "b")
    let c = normals(rows * columns, "c")
    let place = stored(b, depth: depth, columns: columns, transposed: transposed, gap: 1)
    let result = multiply(
      product, a, place, transposed: transposed, rows: rows, depth: depth, columns: 0..<columns,
      rowCut: 7, gap: 0, onto: c)
    let (values, sizes) = exact(
      a.map(product.rounded), b.map(product.rounded), rows: rows, depth: depth, columns: columns)
    result.expectNear(zip(c, values).map { Float(Double($0) + $1) }, "\(rows) rows") {
      (Float(sizes[$0]) + abs(c[$0])) * rounding * Float(depth + 2)
    }
  }
}

@Test(arguments: Kernels.checked)
func roundingToBF16IsToTheNearest(table: Kernels) {
  let special: [UInt32] = [
    0, 0x8000_0000, 0x3F80_8000, 0x3F81_8000, 0x3F80_8001, 0x3F80_7FFF, 0x7F7F_FFFF, 0x7F80_0000,
    0xFF80_0000, 0x7FC0_0000, 0x7F80_0001, 0xFFFF_FFFF, 1, 0x0000_8000, 0x0001_8000, 0x7FFF_FFFF,
  ]
  var random = RandomStream(seed: 12, "bf16")
  let bits = special + (0..<2000).map { _ in UInt32(truncatingIfNeeded: random.next()) }
  let values = bits.map { Float(bitPattern: $0) }
  for (rows, columns) in [(1, values.count), (21, 96), (32, 50), (17, 8), (3, 3), (48, 40)] {
    for transposed in [false, true] {
      let (runs, length) = transposed ? (columns, rows) : (rows, columns)
      let padded = (length + 31) / 32 * 32
      let x = Floats(Array(values.prefix(rows * columns)), offset: 3)
      let result = Floats(count: runs * (padded + 2) / 2, offset: 1)
      let halves = unsafe UnsafeMutableRawPointer(result.start)
        .assumingMemoryBound(to: UInt16.self)
      let convert = unsafe transposed ? table.raw.pointee.bf16_columns : table.raw.pointee.bf16_rows
      unsafe convert?(halves, padded + 2, x.start, columns, rows, columns)
      #expect(result.paddingIsIntact)
      for run in 0..<runs {
        let row = (0..<padded).map { unsafe halves[run * (padded + 2) + $0] }
        let expected = (0..<padded).map { place in
          place >= length
            ? 0 : bf16(values[transposed ? place * columns + run : run * columns + place])
        }
        #expect(row == expected, "\(rows) × \(columns), run \(run)")
      }
    }
  }
}
