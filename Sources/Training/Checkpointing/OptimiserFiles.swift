public import Checkpoints
public import Tensors

/// The moments of AdamW as `optimizer.safetensors`, by the names of the parameters they belong to.
///
/// Of a table only the rows in use have moments: `rows.NAME` names them, in the order of their first use.
public enum OptimiserFiles {
  private static let kinds = ["exp_avg", "exp_avg_sq"]

  /// Writes both moments of every parameter. The file does not depend on the rank count.
  public static func write(
    _ state: AdamWState, to path: String
  ) throws(CheckpointError) {
    var declarations: [SafetensorsWriter.Declaration] = []
    for (index, entry) in state.layout.entries.enumerated() {
      var shape = entry.shape
      if entry.isTable {
        shape[0] = state.rowsInUse[index].rows.count
        declarations.append(.init("rows.\(entry.name)", [shape[0]], .i32))
      }
      for kind in kinds { declarations.append(.init("\(kind).\(entry.name)", shape)) }
    }
    try SafetensorsWriter.write(to: path, declarations) { (writer) throws(CheckpointError) in
      for (index, entry) in state.layout.entries.enumerated() {
        if entry.isTable {
          let rows = state.rowsInUse[index].rows
          try writer.appendExactly("rows.\(entry.name)", rows.span)
        }
        for (kind, moments) in zip(kinds, [state.firstMoments, state.secondMoments]) {
          for range in ranges(of: index, state) {
            try moments.withSpan(range) { (span) throws(CheckpointError) in
              try writer.append("\(kind).\(entry.name)", span)
            }
          }
        }
      }
    }
  }

  /// Reads what ``write(_:to:)`` wrote for the same layout.
  ///
  /// - Throws: ``CheckpointError`` where a tensor is missing or of another shape, or names rows that the
  ///   table does not have.
  public static func read(
    layout: ParameterLayout, updates: Int, from path: String
  ) throws(CheckpointError) -> AdamWState {
    let file = try SafetensorsFile(path)
    var state = AdamWState(layout: layout)
    state.step = updates
    for (index, entry) in layout.entries.enumerated() {
      var shape = entry.shape
      if entry.isTable {
        state.rowsInUse[index] = try rows(of: entry, file)
        shape[0] = state.rowsInUse[index].rows.count
      }
      for (kind, moments) in zip(kinds, [state.firstMoments, state.secondMoments]) {
        let name = "\(kind).\(entry.name)"
        if !entry.isTable {
          try moments.withMutableSpan(ranges(of: index, state)[0]) {
            (span) throws(CheckpointError) in
            try file.read(name, shape: shape, into: &span)
          }
          continue
        }
        var packed = [Float](repeating: 0, count: shape[0] * shape[1])
        var span = packed.mutableSpan
        try file.read(name, shape: shape, into: &span)
        for (row, range) in ranges(of: index, state).enumerated() {
          moments.withMutableSpan(range) { span in
            for column in 0..<shape[1] { span[column] = packed[row * shape[1] + column] }
          }
        }
      }
    }
    return state
  }

  /// Where the moments of an entry lie: one run, or one a row in use.
  private static func ranges(of index: Int, _ state: AdamWState) -> [Range<Int>] {
    let entry = state.layout.entries[index]
    guard entry.isTable else { return [entry.offset..<entry.offset + entry.count] }
    return state.rowsInUse[index].rows.map { row in
      let start = entry.offset + Int(row) * entry.shape[1]
      return start..<start + entry.shape[1]
    }
  }

  private static func rows(
    of entry: ParameterLayout.Entry, _ file: SafetensorsFile
  ) throws(CheckpointError) -> RowSet {
    let name = "rows.\(entry.name)"
    var rows = [Int32](repeating: 0, count: file[name]?.count ?? 0)
    var span = rows.mutableSpan
    try file.readExactly(name, into: &span)
    var set = RowSet(tableRows: entry.shape[0])
    for row in rows {
      guard row >= 0, Int(row) < entry.shape[0], set.insert(row) else {
        throw CheckpointError(
          .data, file.path, field: name, "names row \(row) twice, or a row that is not there")
      }
    }
    return set
  }
}
