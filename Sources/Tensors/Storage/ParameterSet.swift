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
  /// What rows of each table still owe; the storage holds them without it.
  var owed: [OwedDecay]

  /// All weights zero.
  public init(layout: ParameterLayout) {
    self.layout = layout
    storage = FloatBuffer(count: layout.count)
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
    takeStorage(in: nil)
    takeIn(entry)
    version += 1
    let entry = layout.entries[entry]
    return try storage.withMutableSpan(entry.offset..<entry.offset + entry.count, body)
  }

  /// Calls `body` with the weights of an entry, row-major.
  public func read<Result, Failure: Error>(
    entry: Int, _ body: (Span<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    preconditionSettled()
    let count = layout.entries[entry].count
    return try body(unsafe Span(_unsafeStart: address(ofEntry: entry), count: count))
  }

  /// Some dense weights, for an exchange between ranks that fills them in while others are read. The set counts as
  /// changed already.
  package func withDense<Failure: Error>(
    _ range: Range<Int>, _ body: (inout MutableSpan<Float>) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(lent.isEmpty, "weights that lie elsewhere: make the set unique first")
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
  }

  private mutating func takeStorage(in pool: ThreadPool?) {
    if !isKnownUniquelyReferenced(&storage) { storage = storage.copied(in: pool) }
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

  private func preconditionSettled() {
    precondition(owed.allSatisfy(\.factors.isEmpty), "rows that owe their decay: settle them first")
  }

  func pointer(_ parameter: Parameter) -> UnsafePointer<Float> {
    let first = parameter.entries.lowerBound
    return unsafe address(ofEntry: first) + (parameter.offset - layout.entries[first].offset)
  }

  func address(ofEntry entry: Int) -> UnsafePointer<Float> {
    if let floats = lent[entry] { return unsafe floats.address }
    return unsafe UnsafePointer(storage.base + layout.entries[entry].offset)
  }
}

/// Floats that somebody else keeps.
@safe private struct LentFloats: @unchecked Sendable {
  let address: UnsafePointer<Float>
  let owner: any AnyObject & Sendable
}
