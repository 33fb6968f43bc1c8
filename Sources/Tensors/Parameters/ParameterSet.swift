internal import CKernels
import Determinism

/// The weights of a model: a value, in one flat buffer of fp32, beside which entries may lie elsewhere until they are written.
///
/// Copies share their memory until one is written to. Forward and backward passes take the set as an
/// argument, so that several live side by side.
public struct ParameterSet: Sendable {
  public let layout: ParameterLayout
  /// Raised by every change: what is derived from the weights is keyed by it.
  public private(set) var version = 0
  private(set) var storage: FloatBuffer
  /// The entries that lie elsewhere, and not in the storage.
  private var lent: [Int: LentFloats] = [:]
  /// The weights of another set that this one reads; nil where it has all of them itself.
  var shared: SharedWeights?
  /// What rows of each table still owe; the storage holds them without it.
  var owed: [OwedDecay]

  /// All weights zero.
  public init(layout: ParameterLayout) {
    self.init(layout: layout, storage: FloatBuffer(count: layout.count), shared: nil)
  }

  init(layout: ParameterLayout, storage: FloatBuffer, shared: SharedWeights?) {
    self.layout = layout
    self.storage = storage
    self.shared = shared
    owed = layout.tables.map { OwedDecay(exempt: RowSet(tableRows: layout.entries[$0].shape[0])) }
  }

  /// Calls `body` with the whole flat buffer, for writing. Entries that lie elsewhere are copied into it first.
  public mutating func update<Result, Failure: Error>(
    _ body: (inout MutableSpan<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    preconditionSettled()
    makeUnique()
    version += 1
    return try storage.withMutableSpan(nil, body)
  }

  /// Calls `body` with the weights of an entry, for writing. Where the set shares its buffer with a copy, all of the buffer
  /// is copied first.
  public mutating func update<Result, Failure: Error>(
    entry: Int, _ body: (inout MutableSpan<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    own(entry: entry, in: nil)
    version += 1
    let entry = layout.entries[entry]
    return try storage.withMutableSpan(entry.offset..<entry.offset + entry.count, body)
  }

  /// Calls `body` with the weights of an entry, row-major.
  public func read<Result, Failure: Error>(
    entry: Int, _ body: (Span<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    preconditionSettled()
    let (count, isTable) = (layout.entries[entry].count, layout.entries[entry].isTable)
    if isTable, let shared, !shared.ownEntries[entry], !shared.ownRows[entry].rows.isEmpty {
      // Some rows lie here and some there.
      let floats = gathered(table: entry)
      return try body(floats.span)
    }
    return try body(unsafe Span(_unsafeStart: address(ofEntry: entry), count: count))
  }

  /// Some dense weights, for an exchange between ranks that fills them in while others are read. The set counts as
  /// changed already.
  package func withDense<Failure: Error>(
    _ range: Range<Int>, _ body: (inout MutableSpan<Float>) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(
      lent.isEmpty && shared == nil, "weights that lie elsewhere: make the set unique first")
    precondition(
      range.lowerBound >= layout.denseRange.lowerBound
        && range.upperBound <= layout.denseRange.upperBound, "\(range) of \(layout.denseRange)")
    try storage.withMutableSpan(range, body)
  }

  /// Lets the first table, at the start of the buffer, be the floats of a file from a byte on.
  ///
  /// Nothing is read until it is used, and rows that are written are copied then. The file must not be shortened
  /// meanwhile: touching a page that is gone ends the process.
  ///
  /// - Returns: False, with nothing done, if the entry is no such table or the file cannot be mapped so.
  public mutating func map(entry: Int, file descriptor: Int32, offset: Int) -> Bool {
    precondition(shared == nil, "a set that shares the weights of another one")
    guard entry == 0, layout.entries[0].isTable,
      let buffer = FloatBuffer(
        count: layout.count, mapped: layout.entries[0].count, file: descriptor, offset: offset)
    else { return false }
    let rest = layout.entries[0].count..<layout.count
    if version > 0 {
      unsafe (buffer.base + rest.lowerBound).update(
        from: storage.base + rest.lowerBound, count: rest.count)
    }
    storage = buffer
    lent[entry] = nil
    version += 1
    return true
  }

  /// Lets an entry be floats that lie elsewhere: nothing is copied until it is written.
  ///
  /// - Parameters:
  ///   - bytes: Of as many floats as the entry has.
  ///   - owner: What keeps them there while it lives. Who changes them meanwhile changes the set.
  /// - Returns: False, with nothing done, if the entry is part of a view over several or the bytes are not aligned.
  @unsafe public mutating func lend(
    entry: Int, _ bytes: UnsafeRawBufferPointer, of owner: any AnyObject & Sendable
  ) -> Bool {
    precondition(shared == nil, "a set that shares the weights of another one")
    preconditionSettled()
    let count = layout.entries[entry].count
    precondition(
      bytes.count == count * MemoryLayout<Float>.stride, "\(bytes.count) bytes for \(count) floats")
    guard let base = bytes.baseAddress, !layout.entries[entry].isJoined,
      Int(bitPattern: base) % MemoryLayout<Float>.alignment == 0
    else { return false }
    lent[entry] = unsafe LentFloats(
      address: base.bindMemory(to: Float.self, capacity: count), owner: owner)
    version += 1
    return true
  }

  /// A hash of the bits of all weights: equal weights have equal hashes.
  public var hash: UInt64 {
    preconditionSettled()
    var hash = FNV1a()
    for entry in layout.entries.indices { read(entry: entry) { hash.add($0) } }
    return hash.value
  }

  /// Gives the set memory of its own where a copy shares it or it lies elsewhere.
  package mutating func makeUnique() { makeUnique(in: nil) }

  mutating func makeUnique(in pool: ThreadPool?) {
    takeStorage(in: pool)
    for entry in lent.keys { takeIn(entry) }
    if shared == nil { return }
    for entry in layout.entries.indices { takeShared(entry, in: pool) }
    shared = nil
  }

  /// Gives the set some entries of its own, to be written: where it shares the weights of another set these alone, and no
  /// rows of tables; else all of them.
  mutating func own(entries: [Bool], in pool: ThreadPool?) {
    if shared == nil { return makeUnique(in: pool) }
    takeStorage(in: pool)
    for entry in layout.entries.indices where entries[entry] && !layout.entries[entry].isTable {
      takeShared(entry, in: pool)
    }
  }

  /// Gives the set an entry of its own, to be written.
  mutating func own(entry: Int, in pool: ThreadPool?) {
    takeStorage(in: pool)
    takeIn(entry)
    takeShared(entry, in: pool)
  }

  mutating func takeStorage(in pool: ThreadPool?) {
    if isKnownUniquelyReferenced(&storage) { return }
    storage = shared.map { ownCopied($0) } ?? storage.copied(in: pool)
  }

  /// Copies an entry that lies elsewhere into the storage, which no other set shares.
  private mutating func takeIn(_ entry: Int) {
    guard let floats = lent.removeValue(forKey: entry) else { return }
    let entry = layout.entries[entry]
    withExtendedLifetime(floats.owner) {
      unsafe (storage.base + entry.offset).update(from: floats.address, count: entry.count)
    }
  }

  /// What takes the memory for a copy of dense weights beforehand, on any thread.
  package var copyPreparation: @Sendable () -> Void { storage.preparation([layout.denseRange]) }

  mutating func markChanged() { version += 1 }

  func preconditionSettled() {
    precondition(owed.allSatisfy(\.factors.isEmpty), "rows that owe their decay: settle them first")
    if let shared, layout.tables.contains(where: { !shared.ownEntries[$0] }) {
      shared.other.preconditionSettled()
    }
  }

  /// The rows of a table, some of which lie in another set.
  private func gathered(table: Int) -> [Float] {
    let (rows, columns) = (layout.entries[table].shape[0], layout.entries[table].shape[1])
    var floats: [Float] = []
    floats.reserveCapacity(rows * columns)
    for row in 0..<Int32(rows) {
      let row = unsafe UnsafeBufferPointer(
        start: address(ofRow: row, ofTable: table), count: columns)
      unsafe floats.append(contentsOf: row)
    }
    return floats
  }

  func pointer(_ parameter: Parameter) -> UnsafePointer<Float> {
    let first = parameter.entries.lowerBound
    return unsafe address(ofEntry: first) + (parameter.offset - layout.entries[first].offset)
  }

  /// Where the floats of an entry lie. Not of a table that another set shares whose rows lie here and there.
  func address(ofEntry entry: Int) -> UnsafePointer<Float> {
    if let shared, !shared.ownEntries[entry] {
      precondition(
        !layout.entries[entry].isTable || shared.ownRows[entry].rows.isEmpty,
        "a table of which rows are shared is read by rows")
      return unsafe shared.other.address(ofEntry: entry)
    }
    return unsafe storedAddress(ofEntry: entry)
  }

  /// Where the floats of an entry lie that is this set's own.
  func storedAddress(ofEntry entry: Int) -> UnsafePointer<Float> {
    if let floats = lent[entry] { return unsafe floats.address }
    return unsafe UnsafePointer(storage.base + layout.entries[entry].offset)
  }
}

/// Floats that somebody else keeps.
@safe private struct LentFloats: @unchecked Sendable {
  let address: UnsafePointer<Float>
  let owner: any AnyObject & Sendable
}
