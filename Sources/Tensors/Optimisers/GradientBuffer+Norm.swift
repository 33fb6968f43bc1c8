internal import CKernels
import Determinism

extension GradientBuffer {
  /// The sums of squares of the gradient of all trained entries: of dense ones by blocks of fixed size, of tables by
  /// touched rows in ascending order. The squares of what another rank owns are 0.
  ///
  /// - Parameter share: What this rank owns; nil for all.
  public func squares(of share: OptimiserShare? = nil, in workspace: Workspace) -> [Double] {
    // A run of floats, or some of the touched rows of a table, and which sum is the first one of it.
    var tasks: [(start: Int, count: Int, rows: ArraySlice<Int32>, sum: Int)] = []
    var count = 0
    for (index, entry) in layout.entries.enumerated() where trained[index] {
      if entry.isTable {
        let rows = touchedRows[index].rows.sorted()
        let height = max(1, (1 << 14) / entry.shape[1])
        for first in stride(from: 0, to: rows.count, by: height) {
          let part = rows[first..<min(first + height, rows.count)]
          tasks.append((entry.offset, entry.shape[1], part, count))
          count += part.count
        }
      } else {
        for block in layout.blocks(ofEntry: index) {
          if share?.parts(of: block).isEmpty ?? false {
            count += 1
            continue
          }
          tasks.append((block.lowerBound, block.count, [], count))
          count += 1
        }
      }
    }
    var sums = [Double](repeating: 0, count: count)
    let kernels = unsafe workspace.kernels.raw
    let squared = tasks.reduce(0) { $0 + $1.count * max(1, $1.rows.count) }
    workspace.measured("gradient norm", bytes: Double(4 * squared)) {
      unsafe sums.withUnsafeMutableBufferPointer { sums in
        guard let to = sums.baseAddress else { return }
        workspace.pool.run(tasks.count) { task, _ in
          let (start, count, rows, first) = tasks[task]
          let from = unsafe storage.base + start
          if rows.isEmpty { unsafe to[first] = kernels.pointee.sum_of_squares(from, count) }
          for (index, row) in rows.enumerated() where share?.owns(row: row) ?? true {
            unsafe to[first + index] = kernels.pointee.sum_of_squares(
              from + Int(row) * count, count)
          }
        }
      }
    }
    return sums
  }

  /// The Euclidean norm of the whole gradient. See ``norm(ofSquares:)``.
  public func norm(in workspace: Workspace) -> Double {
    Self.norm(ofSquares: squares(in: workspace))
  }

  /// The Euclidean norm of the gradient, in `Double`, from its ``squares(of:in:)``, folded along a fixed tree. Not
  /// finite if any element is not.
  public static func norm(ofSquares squares: some RandomAccessCollection<Double>) -> Double {
    if squares.isEmpty { return 0 }
    return FoldTree.fold(
      squares.count, leaf: { squares[squares.index(squares.startIndex, offsetBy: $0)] }, combine: +
    ).squareRoot()
  }
}
