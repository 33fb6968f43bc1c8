import CKernels
import Determinism
import TestSupport
import Testing

/// The tables that have a product of their own.
private let multiplying = Kernels.checked.filter { unsafe $0.raw.pointee.product_pack != nil }

private func normals(_ count: Int, _ name: String) -> [Float] {
  var random = RandomStream(seed: 11, .text(name))
  return random.floats(count, in: -2...2)
}

/// `A·B` in double, and the sum of the terms' sizes, which bounds the error of any order.
private func product(
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
  _ table: Kernels, _ a: [Float], _ b: (floats: Floats, stride: Int), transposed: Bool, rows: Int,
  depth: Int, columns part: Range<Int>, rowCut: Int, gap: Int, onto start: [Float]? = nil
) -> [Float] {
  let packed = unsafe Floats(count: table.raw.pointee.product_scratch(depth), offset: 0)
  let first = unsafe b.floats.start + part.lowerBound * (transposed ? b.stride : 1)
  unsafe table.raw.pointee.product_pack(
    packed.start, first, b.stride, transposed, depth, part.count)
  let left = Floats(a, offset: 1)
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
    unsafe table.raw.pointee.product_packed(
      c.start + row * width, width, left.start + row * depth, depth, min(rowCut, rows - row),
      packed.start, depth, part.count, start != nil)
  }
  #expect(packed.paddingIsIntact && left.paddingIsIntact && c.paddingIsIntact)
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

@Test(arguments: multiplying, [false, true])
func productsAreSumsInTheOrderOfDepth(table: Kernels, transposed: Bool) {
  for (rows, depth, columns) in shapes {
    let a = normals(rows * depth, "a")
    let b = normals(depth * columns, "b")
    let place = stored(b, depth: depth, columns: columns, transposed: transposed, gap: 2)
    let result = multiply(
      table, a, place, transposed: transposed, rows: rows, depth: depth, columns: 0..<columns,
      rowCut: 48, gap: 3)
    let (values, sizes) = product(a, b, rows: rows, depth: depth, columns: columns)
    result.expectNear(values.map { Float($0) }, "\(rows) × \(depth) × \(columns)") {
      Float(sizes[$0]) * rounding * Float(depth + 1)
    }
    // One rounding a term: an element is a chain of fused multiply-adds.
    let chain = (0..<depth).reduce(Float(0)) { sum, k in
      sum.addingProduct(a[k], b[k * columns])
    }
    #expect(result[0] == chain, "\(rows) × \(depth) × \(columns)")
  }
}

@Test(arguments: multiplying, [false, true])
func productsBitsDoNotDependOnTheCut(table: Kernels, transposed: Bool) {
  let (rows, depth, columns) = (31, 37, 150)
  let a = normals(rows * depth, "a")
  let b = normals(depth * columns, "b")
  let place = stored(b, depth: depth, columns: columns, transposed: transposed, gap: 0)
  func part(_ columns: Range<Int>, rowCut: Int) -> [Float] {
    multiply(
      table, a, place, transposed: transposed, rows: rows, depth: depth, columns: columns,
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

@Test(arguments: multiplying, [false, true])
func productsAddToWhatIsThere(table: Kernels, transposed: Bool) {
  for (rows, depth, columns) in [(1, 1, 1), (13, 21, 39), (48, 64, 96)] {
    let a = normals(rows * depth, "a")
    let b = normals(depth * columns, "b")
    let c = normals(rows * columns, "c")
    let place = stored(b, depth: depth, columns: columns, transposed: transposed, gap: 1)
    let result = multiply(
      table, a, place, transposed: transposed, rows: rows, depth: depth, columns: 0..<columns,
      rowCut: 7, gap: 0, onto: c)
    let (values, sizes) = product(a, b, rows: rows, depth: depth, columns: columns)
    result.expectNear(zip(c, values).map { Float(Double($0) + $1) }, "\(rows) rows") {
      (Float(sizes[$0]) + abs(c[$0])) * rounding * Float(depth + 2)
    }
  }
}
