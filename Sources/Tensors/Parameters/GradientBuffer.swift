internal import CKernels

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
  /// Whether an operation has ever written each entry; memory of the others is zero and has not been taken.
  private var written: [Bool]

  public init(layout: ParameterLayout, trained: [Bool]? = nil) {
    self.layout = layout
    self.trained = trained ?? layout.entries.map { _ in true }
    precondition(self.trained.count == layout.entries.count, "one flag for each entry")
    storage = FloatBuffer(count: layout.count, scattered: layout.denseRange.lowerBound)
    touched = layout.entries.map { _ in false }
    written = touched
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

  /// Whether no row of a table in use holds NaN or infinity.
  public func rowsAreFinite(in workspace: Workspace) -> Bool {
    layout.tables.enumerated().allSatisfy { number, table in
      let columns = layout.entries[table].shape[1]
      return touchedRows[number].rows.allSatisfy { row in
        let base = unsafe storage.base + layout.entries[table].offset + Int(row) * columns
        return workspace.kernels.areFinite(unsafe Span(_unsafeStart: base, count: columns))
      }
    }
  }

  /// Makes the gradient of each entry that no operation used zero.
  public func zeroUntouched() { zeroUntouched(layout.entries.indices) }

  /// Makes the gradient of those of some entries zero that no operation has written.
  func zeroUntouched(_ entries: some Sequence<Int>) {
    for index in entries where !touched[index] {
      let entry = layout.entries[index]
      // Ranks exchange trained entries alone.
      if !entry.isTable && (trained[index] || written[index]) {
        unsafe (storage.base + entry.offset).update(repeating: 0, count: entry.count)
      }
      touched[index] = true
    }
  }

  /// Adds a dense entry of another gradient of the same layout. Both have it written. Nothing to do for a table.
  public func add(_ other: GradientBuffer, entry index: Int, in workspace: Workspace) {
    precondition(other.layout == layout, "gradients of two layouts")
    let entry = layout.entries[index]
    if entry.isTable || !(trained[index] || other.written[index]) { return }
    written[index] = true
    let target = unsafe storage.base + entry.offset
    let source = unsafe other.storage.base + entry.offset
    let kernels = unsafe workspace.kernels.raw
    let block = 1 << 16
    workspace.pool.run((entry.count + block - 1) / block) { task, _ in
      let start = task * block
      unsafe kernels.pointee.add(target + start, source + start, min(block, entry.count - start))
    }
  }

  /// Adds the touched rows of another gradient of the same layout.
  public func addRows(_ other: GradientBuffer, in workspace: Workspace) {
    let target = unsafe storage.base
    let source = unsafe other.storage.base
    let kernels = unsafe workspace.kernels.raw
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

  /// Whether any entry that a parameter covers is trained.
  package func isTrained(_ parameter: Parameter) -> Bool {
    parameter.entries.contains { trained[$0] }
  }

  /// Where the gradient of a parameter is to be written, and whether it is to be added to what an
  /// earlier operation wrote; else all of it must be written. In the backward part of an operation, by one thread, of a
  /// parameter that is trained and was recorded as written.
  package func claim(_ parameter: Parameter) -> (pointer: UnsafeMutablePointer<Float>, adds: Bool) {
    precondition(
      parameter.entries.allSatisfy { !layout.entries[$0].isTable }, "a table is used by rows")
    let adds = parameter.entries.contains { touched[$0] }
    if adds {
      for index in parameter.entries where !touched[index] {
        let entry = layout.entries[index]
        unsafe (storage.base + entry.offset).update(repeating: 0, count: entry.count)
      }
    }
    for index in parameter.entries {
      touched[index] = true
      written[index] = true
    }
    return unsafe (storage.base + parameter.offset, adds)
  }

  /// Where a parameter's gradient lies, of which some rows are to be added to: `rows` hold zero or what earlier operations
  /// wrote. The rows of a table count as touched. In the backward part of an operation, as ``claim(_:)``.
  package func claim(_ parameter: Parameter, rows: some Sequence<Int32>) -> UnsafeMutablePointer<
    Float
  > {
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

  /// Counts rows of a table as used, whether or not an operation here used them.
  public func touch(_ rows: some Sequence<Int32>, ofTable table: Int) {
    for row in rows { touchedRows[table].insert(row) }
  }

  /// Copies rows of a table, one after the other, to `target`. A row that nothing here used is zero.
  public func copyRows(
    _ rows: some Sequence<Int32>, ofTable table: Int, to target: inout MutableSpan<Float>
  ) {
    let columns = layout.entries[table].shape[1]
    var place = 0
    for row in rows {
      withRow(row, ofTable: table) { span in
        for column in 0..<columns { target[place + column] = span[column] }
      }
      place += columns
    }
  }

  /// Puts values, one row after the other, in the place of rows of a table. They must be touched.
  public func replaceRows(
    _ rows: some Sequence<Int32>, ofTable table: Int, by values: Span<Float>
  ) {
    let columns = layout.entries[table].shape[1]
    var place = 0
    for row in rows {
      withRow(row, ofTable: table) { span in
        for column in 0..<columns { span[column] = values[place + column] }
      }
      place += columns
    }
  }

  /// Calls `body` with a row of a table, for writing. It must be touched.
  public func withRow(
    _ row: Int32, ofTable table: Int, _ body: (inout MutableSpan<Float>) -> Void
  ) {
    let entry = layout.entries[table]
    precondition(row >= 0 && Int(row) < entry.shape[0], "row \(row) of \(entry.shape[0])")
    let start = entry.offset + Int(row) * entry.shape[1]
    storage.withMutableSpan(start..<start + entry.shape[1], body)
  }

  /// Calls `body` with a whole table, for a reduction in place. Rows that are not touched must stay zero.
  public func withTable<Failure: Error>(
    _ table: Int, _ body: (inout MutableSpan<Float>) throws(Failure) -> Void
  ) throws(Failure) {
    let entry = layout.entries[table]
    try storage.withMutableSpan(entry.offset..<entry.offset + entry.count, body)
  }
}
