import Checkpoints
public import Files
public import Tensors

/// The moments of an optimiser as `optimizer.safetensors`, by the names of the parameters they belong to.
///
/// Of a table only the rows in use have moments: `rows.NAME` names them, ascending. The file does not depend on the
/// rank count, nor on what each rank keeps: each rank writes a part of its own, and the first one puts them together.
public enum OptimiserFiles {
  // MARK: Writing

  /// Writes all moments of every parameter.
  ///
  /// Memory: pieces of 4 MiB, beside what the state holds.
  ///
  /// - Parameters:
  ///   - shares: What each rank keeps, by rank; that of the state is one of them.
  ///   - parts: The path of the ``writePart(of:to:)`` of each other rank, by rank. Nothing for a state that has all.
  public static func write(
    _ state: OptimiserState, shares: [OptimiserShare], parts: [Int: String], to path: String
  ) throws(FileError) {
    // Of ranks that all have everything one is enough.
    let shares = state.share.isAll ? [state.share] : shares
    var files: [Int: SafetensorsFile] = [:]
    for (rank, part) in parts { files[rank] = try SafetensorsFile(part) }
    let rows = state.rowsInUse.map { $0.rows.sorted() }
    var declarations: [SafetensorsWriter.Declaration] = []
    for (index, entry) in state.layout.entries.enumerated() {
      var shape = entry.shape
      if entry.isTable {
        shape[0] = rows[index].count
        declarations.append(.init("rows.\(entry.name)", [shape[0]], .i32))
      }
      for kind in state.momentNames {
        declarations.append(.init("\(kind).\(entry.name)", shape))
      }
    }
    try SafetensorsWriter.write(
      to: path, declarations, metadata: ["format": "pt", "optimizer": state.algorithm]
    ) { (writer) throws(FileError) in
      for (index, entry) in state.layout.entries.enumerated() {
        if entry.isTable {
          let inUse = rows[index]
          try writer.appendExactly("rows.\(entry.name)", inUse.span)
        }
        for (number, kind) in state.momentNames.enumerated() {
          let name = "\(kind).\(entry.name)"
          // How much of each rank's part has come.
          var done = [Int](repeating: 0, count: shares.count)
          for piece in pieces(of: entry, rows: entry.isTable ? rows[index].count : nil) {
            let size = entry.isTable ? piece.count * entry.shape[1] : piece.count
            var values = [Float](repeating: 0, count: size)
            for (rank, share) in shares.enumerated() {
              let runs = runs(of: index, piece, entry.isTable ? rows[index] : [], share, state)
              guard let file = files[rank] else {
                copy(runs, of: state.moments[number], to: &values)
                continue
              }
              let count = runs.reduce(0) { $0 + $1.count }
              let theirs = try read(name, of: file, from: done[rank], count)
              done[rank] += count
              var next = 0
              for run in runs {
                values.replaceSubrange(
                  run.value..<run.value + run.count, with: theirs[next..<next + run.count])
                next += run.count
              }
            }
            try writer.append(name, values.span)
          }
        }
      }
    }
  }

  /// Writes the moments that one rank keeps, for the first rank to read: of each parameter those of its runs, or of its
  /// rows in use, one after the other.
  public static func writePart(of state: OptimiserState, to path: String) throws(FileError) {
    let rows = state.rowsInUse.map { $0.rows.sorted() }
    let runs = state.layout.entries.indices.map { index in
      let entry = state.layout.entries[index]
      return pieces(of: entry, rows: entry.isTable ? rows[index].count : nil).map {
        self.runs(of: index, $0, entry.isTable ? rows[index] : [], state.share, state)
      }
    }
    var declarations: [SafetensorsWriter.Declaration] = []
    for (entry, runs) in zip(state.layout.entries, runs) {
      let count = runs.joined().reduce(0) { $0 + $1.count }
      for kind in state.momentNames {
        declarations.append(.init("\(kind).\(entry.name)", [count]))
      }
    }
    try SafetensorsWriter.write(to: path, declarations) { (writer) throws(FileError) in
      for (entry, pieces) in zip(state.layout.entries, runs) {
        for (number, kind) in state.momentNames.enumerated() {
          for runs in pieces {
            var values: [Float] = []
            for run in runs {
              state.moments[number].withSpan(run.moments..<run.moments + run.count) { span in
                for index in span.indices { values.append(span[index]) }
              }
            }
            if !values.isEmpty { try writer.append("\(kind).\(entry.name)", values.span) }
          }
        }
      }
    }
  }

  /// Ranges of an entry's floats, or of a table's rows in use, of 4 MiB each.
  private static func pieces(of entry: ParameterLayout.Entry, rows: Int?) -> [Range<Int>] {
    let height = rows == nil ? 1 << 20 : max(1, (1 << 20) / entry.shape[1])
    let count = rows ?? entry.count
    return stride(from: 0, to: count, by: height).map { $0..<min($0 + height, count) }
  }

  /// Floats that lie together among a piece's values and among a share's moments.
  private struct Stretch {
    var value: Int
    var moments: Int
    var count: Int
  }

  /// What a share has of a piece of an entry.
  private static func runs(
    of index: Int, _ piece: Range<Int>, _ rows: [Int32], _ share: OptimiserShare,
    _ state: OptimiserState
  ) -> [Stretch] {
    let entry = state.layout.entries[index]
    guard entry.isTable else {
      let start = entry.offset + piece.lowerBound
      return share.parts(of: start..<start + piece.count).map {
        Stretch(value: $0.floats.lowerBound - start, moments: $0.start, count: $0.floats.count)
      }
    }
    let columns = entry.shape[1]
    return piece.filter { share.owns(row: rows[$0]) }.map {
      Stretch(
        value: ($0 - piece.lowerBound) * columns,
        moments: share.start(ofRow: rows[$0], table: index, columns: columns), count: columns)
    }
  }

  private static func copy(_ runs: [Stretch], of moments: FloatBuffer, to values: inout [Float]) {
    for run in runs {
      moments.withSpan(run.moments..<run.moments + run.count) { span in
        for index in span.indices { values[run.value + index] = span[index] }
      }
    }
  }

  private static func read(
    _ name: String, of file: SafetensorsFile, from start: Int, _ count: Int
  ) throws(FileError) -> [Float] {
    guard count > 0 else { return [] }
    guard let tensor = file[name], tensor.elementType == .f32, start + count <= tensor.count else {
      throw FileError(
        .data, file.path, field: name,
        "holds \(file[name]?.count ?? 0) moments, where \(start + count) are needed")
    }
    var values = [Float](repeating: 0, count: count)
    var span = values.mutableSpan
    try file.read(name, part: start..<start + count, into: &span)
    return values
  }

  // MARK: Reading

  /// Reads what ``write(_:shares:parts:to:)`` wrote for the same layout: of it what a share keeps.
  ///
  /// - Parameter updates: The updates that made the moments.
  /// - Throws: ``FileError`` where a tensor is missing or of another shape, or names rows that the
  ///   table does not have.
  public static func read(
    _ optimiser: Optimiser, layout: ParameterLayout, share: OptimiserShare? = nil, updates: Int,
    from path: String
  ) throws(FileError) -> OptimiserState {
    let file = try SafetensorsFile(path)
    // Files of earlier versions name none, and are AdamW's.
    let written = file.metadata["optimizer"] ?? Optimiser.Algorithm.adamW(AdamW()).name
    guard written == optimiser.algorithm.name else {
      throw FileError(
        .data, path, field: "optimizer",
        "holds the moments of \(written), and the config asks for \(optimiser.algorithm.name)")
    }
    var state = OptimiserState(optimiser.algorithm, layout: layout, share: share)
    state.step = updates
    for (index, entry) in layout.entries.enumerated() {
      var shape = entry.shape
      var rows: [Int32] = []
      if entry.isTable {
        rows = try self.rows(of: entry, file)
        state.rowsInUse[index] = try set(of: rows, entry, file)
        shape[0] = rows.count
      }
      let all = 0..<(entry.isTable ? rows.count : entry.count)
      let runs = runs(of: index, all, rows, state.share, state)
      for (number, kind) in state.momentNames.enumerated() {
        var values = [Float](repeating: 0, count: shape.reduce(1, *))
        var span = values.mutableSpan
        try file.read("\(kind).\(entry.name)", shape: shape, into: &span)
        for run in runs {
          state.moments[number].withMutableSpan(run.moments..<run.moments + run.count) { span in
            for offset in span.indices { span[offset] = values[run.value + offset] }
          }
        }
      }
    }
    return state
  }

  private static func rows(
    of entry: ParameterLayout.Entry, _ file: SafetensorsFile
  ) throws(FileError) -> [Int32] {
    let name = "rows.\(entry.name)"
    var rows = [Int32](repeating: 0, count: file[name]?.count ?? 0)
    var span = rows.mutableSpan
    try file.readExactly(name, into: &span)
    return rows
  }

  private static func set(
    of rows: [Int32], _ entry: ParameterLayout.Entry, _ file: SafetensorsFile
  ) throws(FileError) -> RowSet {
    var set = RowSet(tableRows: entry.shape[0])
    for row in rows {
      guard row >= 0, Int(row) < entry.shape[0], set.insert(row) else {
        throw FileError(
          .data, file.path, field: "rows.\(entry.name)",
          "names row \(row) twice, or a row that is not there")
      }
    }
    return set
  }
}
