package import CKernels

/// The weight decay that rows of a table owe that no step has used yet.
///
/// Dense AdamW multiplies every row by `1 − rate · decay` in every step. For a row that nothing uses this is put
/// off: the row owes the factors of all steps, and they are multiplied in, one by one, when the row is read.
struct OwedDecay: Sendable {
  /// In the order of the steps.
  var factors: [Float] = []
  /// The rows that owe nothing: the optimiser updates them in every step.
  var exempt: RowSet
}

extension ParameterSet {
  /// Pays what rows owe, so that all weights can be read. Cost: a pass over the tables that owe, a
  /// multiplication for each weight and step since the last time.
  public mutating func settle(in workspace: Workspace) {
    for table in owed.indices where shared?.other.owesDecay(ofTable: table) ?? false {
      let rows = 0..<Int32(layout.entries[table].shape[0])
      unsafe own(rows, ofTable: table, workspace.kernels.raw)
    }
    for table in owed.indices where !owed[table].factors.isEmpty {
      let rows = (0..<layout.entries[table].shape[0]).filter {
        !owed[table].exempt.contains(Int32($0))
      }
      payDecay(rows.map(Int32.init), ofTable: table, in: workspace)
      owed[table].factors = []
    }
  }

  /// Whether rows of a table owe decay, here or in the set whose weights this one shares.
  private func owesDecay(ofTable table: Int) -> Bool {
    !owed[table].factors.isEmpty || shared?.other.owesDecay(ofTable: table) ?? false
  }

  /// Multiplies what they owe into the stored weights of some rows.
  mutating func payDecay(_ rows: [Int32], ofTable table: Int, in workspace: Workspace) {
    let factors = owed[table].factors
    if factors.isEmpty || rows.isEmpty { return }
    unsafe own(rows, ofTable: table, workspace.kernels.raw)
    markChanged()
    let entry = layout.entries[table]
    let columns = entry.shape[1]
    let base = unsafe storage.base + entry.offset
    let kernels = unsafe workspace.kernels.raw
    let height = 64
    workspace.pool.run((rows.count + height - 1) / height) { task, _ in
      for row in rows[task * height..<min((task + 1) * height, rows.count)] {
        let weights = unsafe base + Int(row) * columns
        unsafe kernels.pointee.multiply_each(weights, weights, columns, factors, factors.count)
      }
    }
  }

  /// Copies rows of a table, as the next step is to read them, one after the other to `target`.
  package func copyRows(
    _ rows: some Sequence<Int32>, ofTable table: Int, to target: inout MutableSpan<Float>,
    in workspace: Workspace
  ) {
    let entry = layout.entries[table]
    let columns = entry.shape[1]
    let view = Parameter(
      offset: entry.offset, rows: entry.shape[0], columns: columns, entries: table..<table + 1)
    let kernels = unsafe workspace.kernels.raw
    unsafe target.withUnsafeMutableBufferPointer { target in
      guard let base = target.baseAddress else { return }
      for (index, row) in rows.enumerated() {
        precondition((index + 1) * columns <= target.count, "rows beyond the room")
        unsafe copyRow(row, of: view, to: base + index * columns, kernels)
      }
    }
  }

  /// Puts rows of a table that another rank gave, one after the other, in the place of those here. They owe nothing.
  package mutating func replaceRows(
    _ rows: some Collection<Int32>, ofTable table: Int, by values: Span<Float>
  ) {
    own(overwriting: rows, ofTable: table)
    markChanged()
    let entry = layout.entries[table]
    let columns = entry.shape[1]
    for (index, row) in rows.enumerated() {
      precondition(row >= 0 && Int(row) < entry.shape[0], "row \(row) of \(entry.shape[0])")
      let to = unsafe storage.base + entry.offset + Int(row) * columns
      for column in 0..<columns { unsafe to[column] = values[index * columns + column] }
      if !owed[table].factors.isEmpty { owed[table].exempt.insert(row) }
    }
  }

  /// Copies a row of a parameter to `target`, with what it owes multiplied in. For operations; several threads may call it.
  package func copyRow(
    _ row: Int32, of parameter: Parameter, to target: UnsafeMutablePointer<Float>,
    _ kernels: UnsafePointer<ck_table>
  ) {
    let table = parameter.entries.lowerBound
    let isTable = table < owed.count
    let owes = isTable && !owed[table].factors.isEmpty && !owed[table].exempt.contains(row)
    let factors = owes ? owed[table].factors : []
    let columns = parameter.columns
    if isTable, shared?.owns(row: row, ofTable: table) == false, let other = shared?.other {
      unsafe other.copyRow(row, of: parameter, to: target, kernels)
      if owes {
        unsafe kernels.pointee.multiply_each(target, target, columns, factors, factors.count)
      }
      return
    }
    let base = unsafe isTable ? storedAddress(ofEntry: table) : pointer(parameter)
    let from = unsafe base + Int(row) * columns
    if owes {
      unsafe kernels.pointee.multiply_each(target, from, columns, factors, factors.count)
    } else {
      unsafe target.update(from: from, count: columns)
    }
  }
}
