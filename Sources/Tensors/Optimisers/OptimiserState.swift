/// The moments of an optimiser and the number of updates that made them, for a ``ParameterSet`` of the same layout: all of
/// them, or a rank's share. A value: copies share their memory until the next update.
///
/// Memory is taken for the moments of trained entries and of rows in use alone.
public struct OptimiserState: Sendable {
  /// The name of the algorithm whose state this is: see ``Optimiser/Algorithm/name``.
  public let algorithm: String
  /// The name of each of ``moments`` in files.
  public let momentNames: [String]
  public let layout: ParameterLayout
  /// Whose moments these are.
  public let share: OptimiserShare
  /// The updates made so far.
  public var step = 0
  /// The rows of each table that have moments, here or on the rank that owns them: those that a step has used. Other
  /// rows have none, and cost no memory.
  public var rowsInUse: [RowSet]
  /// Each of ``OptimiserShare/count`` floats, in the order of ``momentNames``. Those of dense entries that were not trained
  /// since a ``reset()`` hold what they held before it.
  public private(set) var moments: [FloatBuffer]
  /// Whether the moments of each dense entry count; where they do not, they are zero to the next update.
  private var areCurrent: [Bool]

  /// The state before the first update. It takes no memory.
  ///
  /// - Parameter share: Nil for all.
  public init(
    _ algorithm: Optimiser.Algorithm, layout: ParameterLayout, share: OptimiserShare? = nil
  ) {
    self.algorithm = algorithm.name
    momentNames = algorithm.momentNames
    self.layout = layout
    let share = share ?? OptimiserShare(allOf: layout)
    self.share = share
    rowsInUse = layout.tables.map { RowSet(tableRows: layout.entries[$0].shape[0]) }
    moments = momentNames.map { _ in
      FloatBuffer(count: share.count, scattered: share.tableCount)
    }
    areCurrent = layout.entries.map { _ in true }
  }

  /// The floats of all moments of dense parameters, and of rows in use, that are kept here.
  public var floats: (dense: Int, rows: Int) {
    let rows = layout.tables.reduce(0) { sum, table in
      sum + layout.entries[table].shape[1] * rowsInUse[table].rows.count { share.owns(row: $0) }
    }
    return (moments.count * (share.count - share.tableCount), moments.count * rows)
  }

  /// Makes the state new, for the next inner loop. No memory is cleared here: the next update that uses an entry or a row
  /// clears its moments first.
  ///
  /// Cost: a flag for each entry, and for each row that was in use.
  public mutating func reset() {
    step = 0
    for entry in areCurrent.indices { areCurrent[entry] = false }
    for table in rowsInUse.indices { rowsInUse[table].removeAll() }
  }

  /// Prepares an update: weights and moments get memory that no copy reads, touched rows come into use, and the decay that
  /// they owe is paid.
  mutating func begin(
    _ parameters: inout ParameterSet, _ gradients: GradientBuffer,
    _ rates: [(learningRate: Double, weightDecay: Double)], in workspace: Workspace
  ) {
    precondition(
      parameters.layout == gradients.layout && parameters.layout == layout, "layouts differ")
    precondition(rates.count == layout.entries.count, "\(rates.count) rates")
    parameters.own(entries: gradients.trained, in: workspace.pool)
    parameters.markChanged()
    makeUnique(trained: gradients.trained, in: workspace.pool)
    step += 1
    for index in layout.entries.indices where gradients.trained[index] && !areCurrent[index] {
      areCurrent[index] = true
      if layout.entries[index].isTable { continue }
      for part in runs(ofEntry: index) { clear(part, in: workspace.pool) }
    }
    for table in layout.tables where gradients.trained[table] {
      let columns = layout.entries[table].shape[1]
      var new: [Int32] = []
      for row in gradients.touchedRows[table].rows where rowsInUse[table].insert(row) {
        new.append(row)
        if !share.owns(row: row) { continue }
        let start = share.start(ofRow: row, table: table, columns: columns)
        clear(start..<start + columns, in: nil)
      }
      // A row that another state had in use owes nothing either.
      parameters.payDecay(
        new.filter { !parameters.owed[table].exempt.contains($0) }, ofTable: table, in: workspace)
    }
  }

  private func clear(_ range: Range<Int>, in pool: ThreadPool?) {
    for buffer in moments {
      FloatBuffer.inBlocks(range.count, in: pool) { part in
        unsafe (buffer.base + range.lowerBound + part.lowerBound)
          .update(repeating: 0, count: part.count)
      }
    }
  }

  /// Gives the state moments of its own where a copy has them too. Cost: those of trained parameters and of rows in use
  /// are read and written once.
  private mutating func makeUnique(trained: [Bool], in pool: ThreadPool) {
    for index in moments.indices where !isKnownUniquelyReferenced(&moments[index]) {
      moments[index] = copied(moments[index], trained, in: pool)
    }
  }

  private func copied(
    _ moments: FloatBuffer, _ trained: [Bool], in pool: ThreadPool
  ) -> FloatBuffer {
    let copy = moments.successor()
    for (index, entry) in layout.entries.enumerated() {
      if entry.isTable {
        let columns = entry.shape[1]
        for row in rowsInUse[index].rows where share.owns(row: row) {
          let start = share.start(ofRow: row, table: index, columns: columns)
          copy.copy(start..<start + columns, of: moments)
        }
        continue
      }
      if !areCurrent[index] { continue }
      for part in runs(ofEntry: index) {
        // Those of frozen parameters are zero, or what an earlier stage left.
        if trained[index] {
          copy.copy(part, of: moments, in: pool)
        } else {
          copy.copyDifferences(part, of: moments)
        }
      }
    }
    return copy
  }

  /// Where the moments of a dense entry are.
  private func runs(ofEntry index: Int) -> [Range<Int>] {
    let entry = layout.entries[index]
    return share.parts(of: entry.offset..<entry.offset + entry.count).map {
      $0.start..<$0.start + $0.floats.count
    }
  }

  /// A function that takes the memory for a copy of dense moments beforehand, on any thread.
  ///
  /// - Parameter trained: Whether each entry of the layout is.
  package func copyPreparation(trained: [Bool]) -> @Sendable () -> Void {
    let runs = layout.entries.indices.filter { trained[$0] && !layout.entries[$0].isTable }
      .flatMap { self.runs(ofEntry: $0) }
    let preparations = moments.map { $0.preparation(runs) }
    return { for prepare in preparations { prepare() } }
  }
}

/// The parts of a share's weights that one task each updates: runs of floats, or some rows of a table.
struct UpdateTasks {
  private typealias Part = (
    entry: Int, start: Int, count: Int, moments: Int, rows: ArraySlice<Int32>
  )
  private var parts: [Part] = []
  private let share: OptimiserShare
  /// The rows of each table that are updated here.
  private(set) var rows: [[Int32]] = []

  /// - Parameter rows: The rows of a table that are to be updated, here or on the rank that owns them.
  init(of state: OptimiserState, trained: [Bool], rows: (_ table: Int) -> [Int32]) {
    share = state.share
    let layout = state.layout
    let block = 1 << 16
    for (index, entry) in layout.entries.enumerated() {
      if entry.isTable { self.rows.append([]) }
      if !trained[index] { continue }
      if entry.isTable {
        let own = rows(index).filter { share.owns(row: $0) }
        self.rows[index] = own
        let height = max(1, block / entry.shape[1])
        for first in stride(from: 0, to: own.count, by: height) {
          parts.append(
            (index, entry.offset, entry.shape[1], 0, own[first..<min(first + height, own.count)]))
        }
      } else {
        for part in share.parts(of: entry.offset..<entry.offset + entry.count) {
          for first in stride(from: 0, to: part.floats.count, by: block) {
            parts.append(
              (
                index, part.floats.lowerBound + first, min(block, part.floats.count - first),
                part.start + first, []
              ))
          }
        }
      }
    }
  }

  /// The weights that are updated.
  var floats: Int { parts.reduce(0) { $0 + $1.count * max(1, $1.rows.count) } }

  /// Calls `body` with runs of weights of one entry, each once: where they begin in the flat buffer, and where their
  /// moments do in those of the share.
  func run(
    in pool: ThreadPool, _ body: (_ entry: Int, _ start: Int, _ count: Int, _ moments: Int) -> Void
  ) {
    pool.run(parts.count) { task, _ in
      let (entry, start, count, moments, rows) = parts[task]
      if rows.isEmpty { return body(entry, start, count, moments) }
      for row in rows {
        body(
          entry, start + Int(row) * count, count,
          share.start(ofRow: row, table: entry, columns: count))
      }
    }
  }
}
