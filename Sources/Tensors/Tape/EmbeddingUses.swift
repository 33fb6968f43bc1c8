internal import CKernels

/// The uses of a table's rows in an embedding, segment by segment, and the gradient that arrived at each.
@safe struct EmbeddingUses {
  /// Of the embedded tokens.
  let space: RowSpace
  private let columns: Int
  private let gradient: UnsafeMutablePointer<Float>
  private let rows: [Int32]
  /// The tokens of each segment by the row that they use, then by place.
  private let order: [[Int]]

  init(
    _ rows: [Int32], columns: Int, gradient: UnsafeMutablePointer<Float>, space: RowSpace
  ) {
    self.rows = rows
    self.columns = columns
    unsafe self.gradient = unsafe gradient
    self.space = space
    order = zip(space.segmentBounds, space.segmentBounds.dropFirst()).map { lower, upper in
      (lower..<upper).sorted { (rows[$0], $0) < (rows[$1], $1) }
    }
  }

  /// Adds what the tokens of a segment give to some rows of the table, each row's sum formed first.
  ///
  /// - Parameters:
  ///   - sum: The table's rows `part`, dense.
  ///   - scratch: Of the table's width.
  func add(
    segment: Int, _ part: Range<Int>, to sum: UnsafeMutablePointer<Float>, stride: Int,
    scratch: UnsafeMutablePointer<Float>, _ kernels: UnsafePointer<ck_table>
  ) {
    let order = order[segment]
    var low = 0
    var high = order.count
    while low < high {
      let middle = (low + high) / 2
      if Int(rows[order[middle]]) < part.lowerBound { low = middle + 1 } else { high = middle }
    }
    while low < order.count, Int(rows[order[low]]) < part.upperBound {
      let row = rows[order[low]]
      unsafe scratch.update(from: gradient + order[low] * columns, count: columns)
      low += 1
      while low < order.count, rows[order[low]] == row {
        unsafe kernels.pointee.add(scratch, gradient + order[low] * columns, columns)
        low += 1
      }
      unsafe kernels.pointee.add(sum + (Int(row) - part.lowerBound) * stride, scratch, columns)
    }
  }
}
