internal import CKernels

/// The weights that a set reads in another set until it has them of its own.
struct SharedWeights: Sendable {
  /// Keeps the other set.
  private final class Holder: Sendable {
    let set: ParameterSet
    init(_ set: ParameterSet) { self.set = set }
  }

  /// Nil once the set has let go of the other one.
  private var holder: Holder?
  /// The entries that the set has of its own; of tables, those with all rows.
  private(set) var ownEntries: [Bool]
  /// The rows that the set has of its own of each table.
  private(set) var ownRows: [RowSet]

  init(_ other: ParameterSet) {
    holder = Holder(other)
    ownEntries = other.layout.entries.map { _ in false }
    ownRows = other.layout.tables.map { RowSet(tableRows: other.layout.entries[$0].shape[0]) }
  }

  /// The set that holds what this one has not of its own.
  var other: ParameterSet {
    guard let holder else {
      preconditionFailure("weights that were shared: reset the set before it is read")
    }
    return holder.set
  }

  func owns(row: Int32, ofTable table: Int) -> Bool {
    ownEntries[table] || ownRows[table].contains(row)
  }

  /// The row is the set's own from now on. False if it was.
  mutating func take(row: Int32, ofTable table: Int) -> Bool {
    if ownEntries[table] || !ownRows[table].insert(row) { return false }
    if ownRows[table].rows.count == other.layout.entries[table].shape[0] {
      ownEntries[table] = true
    }
    return true
  }

  /// The entry is the set's own from now on.
  mutating func take(entry: Int) { ownEntries[entry] = true }

  /// Nothing is the set's own any more.
  mutating func reset(_ other: ParameterSet) {
    holder = Holder(other)
    for entry in ownEntries.indices { ownEntries[entry] = false }
    for table in ownRows.indices { ownRows[table].removeAll() }
  }

  mutating func letGo() { holder = nil }
}

extension ParameterSet {
  /// A set that reads its weights in another set's memory until they are written here. An inner loop begins so at the
  /// weights of the outer one.
  ///
  /// A write gives memory to the part that is written: to a dense entry, together with the entries that views cover with it,
  /// or to a row of a table. A row that is read in the other set has the decay multiplied in that it owes there.
  ///
  /// This set holds the other one as a copy does: the next update of the other set copies all of it, unless ``endSharing()``
  /// or a ``reset(sharing:)`` to a third set came before.
  ///
  /// Cost: a flag for each entry and a bit for each row of a table.
  public init(sharing other: ParameterSet) {
    self.init(
      layout: other.layout,
      storage: FloatBuffer(
        count: other.layout.count, scattered: other.layout.denseRange.lowerBound),
      shared: SharedWeights(other))
  }

  /// Makes the weights those of another set again, as ``init(sharing:)`` does. Memory that this set has taken is kept for
  /// later writes, and not cleared.
  ///
  /// Cost: a flag for each entry, and for each row that was written.
  public mutating func reset(sharing other: ParameterSet) {
    precondition(other.layout == layout, "weights of another layout")
    if shared == nil {
      self = ParameterSet(sharing: other)
      return
    }
    shared?.reset(other)
    for table in owed.indices {
      owed[table].factors.removeAll(keepingCapacity: true)
      owed[table].exempt.removeAll()
    }
    markChanged()
  }

  /// Lets go of the other set, so that it can be updated in place. Weights that are not this set's own can not be read until
  /// the next ``reset(sharing:)``. A set that shares nothing stays as it is.
  public mutating func endSharing() { shared?.letGo() }

  /// The entries that the set has in memory of its own, and of each table the rows. For tests.
  package var ownWeights: (entries: [Int], rows: [Int]) {
    guard let shared else {
      return (Array(layout.entries.indices), layout.tables.map { layout.entries[$0].shape[0] })
    }
    return (
      layout.entries.indices.filter { shared.ownEntries[$0] }, shared.ownRows.map(\.rows.count)
    )
  }

  /// The floats of a row of a table as they are stored, without the decay that it owes.
  func address(ofRow row: Int32, ofTable table: Int) -> UnsafePointer<Float> {
    if let shared, !shared.owns(row: row, ofTable: table) {
      return unsafe shared.other.address(ofRow: row, ofTable: table)
    }
    return unsafe storedAddress(ofEntry: table) + Int(row) * layout.entries[table].shape[1]
  }

  /// Gives the set some rows of a table of its own, to be written.
  mutating func own(
    _ rows: some Sequence<Int32>, ofTable table: Int, _ kernels: UnsafePointer<ck_table>
  ) {
    guard let other = shared?.other else { return own(entry: table, in: nil) }
    takeStorage(in: nil)
    let entry = layout.entries[table]
    let columns = entry.shape[1]
    let view = Parameter(
      offset: entry.offset, rows: entry.shape[0], columns: columns, entries: table..<table + 1)
    for row in rows where shared?.take(row: row, ofTable: table) ?? false {
      let to = unsafe storage.base + entry.offset + Int(row) * columns
      unsafe other.copyRow(row, of: view, to: to, kernels)
    }
  }

  /// Makes rows of a table the set's own whose floats will all be written.
  mutating func own(overwriting rows: some Sequence<Int32>, ofTable table: Int) {
    if shared == nil { return own(entry: table, in: nil) }
    takeStorage(in: nil)
    for row in rows { _ = shared?.take(row: row, ofTable: table) }
  }

  /// Copies what the set has of its own to memory that nobody else uses.
  func ownCopied(_ shared: SharedWeights) -> FloatBuffer {
    let copy = storage.successor()
    for (index, entry) in layout.entries.enumerated() {
      if shared.ownEntries[index] {
        copy.copy(entry.offset..<entry.offset + entry.count, of: storage)
      } else if entry.isTable {
        for row in shared.ownRows[index].rows {
          let start = entry.offset + Int(row) * entry.shape[1]
          copy.copy(start..<start + entry.shape[1], of: storage)
        }
      }
    }
    return copy
  }

  /// Copies an entry, and those that views cover together with it, from the other set into the storage, which no other set
  /// uses.
  mutating func takeShared(_ entry: Int, in pool: ThreadPool?) {
    guard let shared, !shared.ownEntries[entry] else { return }
    let other = shared.other
    for index in layout.entries[entry].neighbours where !shared.ownEntries[index] {
      let entry = layout.entries[index]
      let to = unsafe storage.base + entry.offset
      if entry.isTable {
        other.preconditionSettled()
        for row in 0..<Int32(entry.shape[0]) where !shared.owns(row: row, ofTable: index) {
          unsafe (to + Int(row) * entry.shape[1]).update(
            from: other.address(ofRow: row, ofTable: index), count: entry.shape[1])
        }
      } else {
        let from = unsafe other.address(ofEntry: index)
        FloatBuffer.inBlocks(entry.count, in: pool) { part in
          unsafe (to + part.lowerBound).update(from: from + part.lowerBound, count: part.count)
        }
      }
      self.shared?.take(entry: index)
    }
  }
}
