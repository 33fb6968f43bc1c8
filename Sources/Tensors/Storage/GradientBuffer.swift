internal import CKernels
import Determinism

/// The gradient of a ``ParameterSet``: one flat buffer of the same layout.
///
/// Of tables only the touched rows are written; the others hold zero. Another entry that no operation of a
/// pass used holds zero once ``zeroUntouched()`` was called.
@safe public final class GradientBuffer {
  public let layout: ParameterLayout
  public let storage: FloatBuffer
  /// Whether each entry is trained. The others have no gradient and cost no backward pass.
  public let trained: [Bool]
  /// The rows of each table that operations used since ``reset()``.
  public private(set) var touchedRows: [RowSet]
  private(set) var touched: [Bool]

  public init(layout: ParameterLayout, trained: [Bool]? = nil) {
    self.layout = layout
    self.trained = trained ?? layout.entries.map { _ in true }
    precondition(self.trained.count == layout.entries.count, "one flag for each entry")
    storage = FloatBuffer(count: layout.count, scattered: layout.denseRange.lowerBound)
    touched = layout.entries.map { _ in false }
    touchedRows = layout.tables.map { RowSet(tableRows: layout.entries[$0].shape[0]) }
  }

  /// Forgets the gradient. Cost: the touched rows of tables; of other entries the first operation to use
  /// one writes over it.
  public func reset() {
    for index in touched.indices { touched[index] = false }
    for table in layout.tables {
      let columns = layout.entries[table].shape[1]
      for row in touchedRows[table].rows {
        unsafe (storage.base + layout.entries[table].offset + Int(row) * columns)
          .update(repeating: 0, count: columns)
      }
      touchedRows[table].removeAll()
    }
  }

  /// Makes the gradient of each entry that no operation used zero.
  public func zeroUntouched() { zeroUntouched(layout.entries.indices) }

  /// Makes the gradient of those of some entries zero that no operation has written.
  func zeroUntouched(_ entries: some Sequence<Int>) {
    for index in entries where !touched[index] {
      let entry = layout.entries[index]
      if !entry.isTable {
        unsafe (storage.base + entry.offset).update(repeating: 0, count: entry.count)
      }
      touched[index] = true
    }
  }

  /// Adds another gradient of the same layout. Both have all entries written.
  public func add(_ other: GradientBuffer, in workspace: Workspace) {
    precondition(other.layout == layout, "gradients of two layouts")
    let target = unsafe storage.base
    let source = unsafe other.storage.base
    let kernels = unsafe workspace.kernels.raw
    let dense = layout.denseRange
    let block = 1 << 16
    workspace.pool.run((dense.count + block - 1) / block) { task, _ in
      let start = dense.lowerBound + task * block
      unsafe kernels.pointee.add(
        target + start, source + start, min(block, dense.upperBound - start))
    }
    for table in layout.tables {
      let columns = layout.entries[table].shape[1]
      for row in other.touchedRows[table].rows {
        touchedRows[table].insert(row)
        let start = layout.entries[table].offset + Int(row) * columns
        unsafe kernels.pointee.add(target + start, source + start, columns)
      }
    }
  }

  /// Calls `body` with the gradient of an entry.
  public func read<Result, Failure: Error>(
    entry: Int, _ body: (Span<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let entry = layout.entries[entry]
    return try storage.withSpan(entry.offset..<entry.offset + entry.count, body)
  }

  func isTrained(_ parameter: Parameter) -> Bool {
    parameter.entries.contains { trained[$0] }
  }

  /// Where the gradient of a parameter is to be written, and whether it is to be added to what an
  /// earlier operation wrote.
  func claim(_ parameter: Parameter) -> (pointer: UnsafeMutablePointer<Float>, adds: Bool) {
    precondition(
      parameter.entries.allSatisfy { !layout.entries[$0].isTable }, "a table is used by rows")
    let adds = parameter.entries.contains { touched[$0] }
    if adds {
      for index in parameter.entries where !touched[index] {
        let entry = layout.entries[index]
        unsafe (storage.base + entry.offset).update(repeating: 0, count: entry.count)
      }
    }
    for index in parameter.entries { touched[index] = true }
    return unsafe (storage.base + parameter.offset, adds)
  }

  /// Where rows of a parameter lie, to be added to: `rows` hold zero or what earlier operations wrote.
  func claim(_ parameter: Parameter, rows: some Sequence<Int32>) -> UnsafeMutablePointer<Float> {
    let index = parameter.entries.lowerBound
    if layout.entries[index].isTable {
      for row in rows { touchedRows[index].insert(row) }
    } else if unsafe !claim(parameter).adds {
      unsafe (storage.base + parameter.offset).update(repeating: 0, count: parameter.count)
    }
    return unsafe storage.base + parameter.offset
  }
}

// MARK: Exchange

extension GradientBuffer {
  /// Some floats of the dense part, for a reduction in place. Several threads may work on parts of their own.
  public func withDense<Result, Failure: Error>(
    _ range: Range<Int>, _ body: (inout MutableSpan<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(
      range.lowerBound >= layout.denseRange.lowerBound
        && range.upperBound <= layout.denseRange.upperBound, "\(range) of \(layout.denseRange)")
    return try storage.withMutableSpan(range, body)
  }

  /// Touches `rows` of a table, and packs them one after the other for a reduction.
  ///
  /// - Returns: Shape `[rows, columns]`; a row that nothing here used is zero.
  public func pack(_ rows: [Int32], ofTable table: Int) -> [Float] {
    let entry = layout.entries[table]
    let columns = entry.shape[1]
    for row in rows { touchedRows[table].insert(row) }
    return unsafe [Float](unsafeUninitializedCapacity: rows.count * columns) { buffer, count in
      for (index, row) in rows.enumerated() {
        let from = unsafe storage.base + entry.offset + Int(row) * columns
        unsafe buffer.baseAddress.map { unsafe $0 + index * columns }?
          .initialize(from: from, count: columns)
      }
      count = rows.count * columns
    }
  }

  /// Puts back what ``pack(_:ofTable:)`` gave.
  public func unpack(_ values: [Float], _ rows: [Int32], ofTable table: Int) {
    let entry = layout.entries[table]
    let columns = entry.shape[1]
    precondition(values.count == rows.count * columns, "\(values.count) floats")
    for (index, row) in rows.enumerated() {
      let to = unsafe storage.base + entry.offset + Int(row) * columns
      for column in 0..<columns { unsafe to[column] = values[index * columns + column] }
    }
  }
}

extension GradientBuffer {
  /// The Euclidean norm of the gradient of all trained entries, in `Double`: blocks of fixed size, folded
  /// along a fixed tree, and of tables the touched rows in ascending order. Not finite if any element is
  /// not.
  public func norm(in workspace: Workspace) -> Double {
    let block = 1 << 14
    // A run of floats, or some of the touched rows of a table.
    var blocks: [(start: Int, count: Int, rows: ArraySlice<Int32>)] = []
    for (index, entry) in layout.entries.enumerated() where trained[index] {
      if entry.isTable {
        let rows = touchedRows[index].rows.sorted()
        let height = max(1, block / entry.shape[1])
        for first in stride(from: 0, to: rows.count, by: height) {
          blocks.append(
            (entry.offset, entry.shape[1], rows[first..<min(first + height, rows.count)]))
        }
      } else {
        for start in stride(from: 0, to: entry.count, by: block) {
          blocks.append((entry.offset + start, min(block, entry.count - start), []))
        }
      }
    }
    if blocks.isEmpty { return 0 }
    var sums = [Double](repeating: 0, count: blocks.count)
    let kernels = unsafe workspace.kernels.raw
    let squared = blocks.reduce(0) { $0 + $1.count * max(1, $1.rows.count) }
    workspace.measured("gradient norm", bytes: Double(4 * squared)) {
      unsafe sums.withUnsafeMutableBufferPointer { sums in
        let to = sums.baseAddress
        workspace.pool.run(blocks.count) { task, _ in
          let (start, count, rows) = blocks[task]
          let from = unsafe storage.base + start
          let sum =
            rows.isEmpty
            ? unsafe kernels.pointee.sum_of_squares(from, count)
            : rows.reduce(0) {
              unsafe $0 + kernels.pointee.sum_of_squares(from + Int($1) * count, count)
            }
          unsafe to?[task] = sum
        }
      }
    }
    return FoldTree.fold(sums.count, leaf: { sums[$0] }, combine: +).squareRoot()
  }
}
