public import Checkpoints
public import Tensors

/// The moments of AdamW as `optimizer.safetensors`, by the names of the parameters they belong to.
///
/// Of a table only the rows in use have moments: `rows.NAME` names them, ascending. The file does not depend on the
/// rank count, nor on what each rank keeps.
public enum OptimiserFiles {
  private static let kinds: [(name: String, kind: MomentCollection.Kind)] = [
    ("exp_avg", .first), ("exp_avg_sq", .second),
  ]

  /// Writes both moments of every parameter, on the first rank.
  public static func write(
    _ moments: MomentCollection, to path: String
  ) throws(CheckpointError) {
    let layout = moments.state.layout
    var declarations: [SafetensorsWriter.Declaration] = []
    for (index, entry) in layout.entries.enumerated() {
      var shape = entry.shape
      if entry.isTable {
        shape[0] = moments.rows[index].count
        declarations.append(.init("rows.\(entry.name)", [shape[0]], .i32))
      }
      for (kind, _) in kinds { declarations.append(.init("\(kind).\(entry.name)", shape)) }
    }
    try SafetensorsWriter.write(to: path, declarations) { (writer) throws(CheckpointError) in
      do {
        for (index, entry) in layout.entries.enumerated() {
          if entry.isTable {
            let rows = moments.rows[index]
            try writer.appendExactly("rows.\(entry.name)", rows.span)
          }
          for (name, kind) in kinds {
            try moments.forEachPart(of: index, kind: kind) { (span) throws(CheckpointError) in
              try writer.append("\(name).\(entry.name)", span)
            }
          }
        }
      } catch let error as CheckpointError {
        throw error
      } catch {
        throw CheckpointError(.io, path, "the moments of another rank did not come: \(error)")
      }
    }
  }

  /// Reads what ``write(_:to:)`` wrote for the same layout: of it what a share keeps.
  ///
  /// - Throws: ``CheckpointError`` where a tensor is missing or of another shape, or names rows that the
  ///   table does not have.
  public static func read(
    layout: ParameterLayout, share: OptimiserShare? = nil, updates: Int, from path: String
  ) throws(CheckpointError) -> AdamWState {
    let file = try SafetensorsFile(path)
    var state = AdamWState(layout: layout, share: share)
    state.step = updates
    for (index, entry) in layout.entries.enumerated() {
      var shape = entry.shape
      if entry.isTable {
        state.rowsInUse[index] = try rows(of: entry, file)
        shape[0] = state.rowsInUse[index].rows.count
      }
      for (name, kind) in kinds {
        var values = [Float](repeating: 0, count: shape.reduce(1, *))
        var span = values.mutableSpan
        try file.read("\(name).\(entry.name)", shape: shape, into: &span)
        let moments = kind == .first ? state.firstMoments : state.secondMoments
        for (from, to) in places(of: index, state) {
          moments.withMutableSpan(to..<to + from.count) { span in
            for offset in span.indices { span[offset] = values[from.lowerBound + offset] }
          }
        }
      }
    }
    return state
  }

  /// Which values of an entry the state keeps, and where: some runs, or rows.
  private static func places(
    of index: Int, _ state: AdamWState
  ) -> [(values: Range<Int>, moments: Int)] {
    let entry = state.layout.entries[index]
    guard entry.isTable else {
      return state.share.parts(of: entry.offset..<entry.offset + entry.count).map {
        ($0.floats.lowerBound - entry.offset..<$0.floats.upperBound - entry.offset, $0.start)
      }
    }
    let columns = entry.shape[1]
    return state.rowsInUse[index].rows.enumerated().filter { state.share.owns(row: $1) }.map {
      (
        $0 * columns..<($0 + 1) * columns,
        state.share.start(ofRow: $1, table: index, columns: columns)
      )
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
