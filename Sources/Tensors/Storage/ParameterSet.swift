internal import CKernels
import Determinism

/// The weights of a model: a value, in one flat buffer of fp32.
///
/// Copies share their memory until one is written to. Forward and backward passes take the set as an
/// argument, so that several live side by side.
public struct ParameterSet: Sendable {
  public let layout: ParameterLayout
  /// Raised by every change: what is derived from the weights is keyed by it.
  public private(set) var version = 0
  private(set) var storage: FloatBuffer

  /// All weights zero.
  public init(layout: ParameterLayout) {
    self.layout = layout
    storage = FloatBuffer(count: layout.count)
  }

  /// Calls `body` with the whole flat buffer, for writing.
  public mutating func update<Result, Failure: Error>(
    _ body: (inout MutableSpan<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    makeUnique()
    version += 1
    return try storage.withMutableSpan(nil, body)
  }

  /// Calls `body` with the weights of an entry, for writing.
  public mutating func update<Result, Failure: Error>(
    entry: Int, _ body: (inout MutableSpan<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    makeUnique()
    version += 1
    let entry = layout.entries[entry]
    return try storage.withMutableSpan(entry.offset..<entry.offset + entry.count, body)
  }

  /// Calls `body` with the weights of an entry, row-major.
  public func read<Result, Failure: Error>(
    entry: Int, _ body: (Span<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let entry = layout.entries[entry]
    return try storage.withSpan(entry.offset..<entry.offset + entry.count, body)
  }

  /// A hash of the bits of all weights: equal weights have equal hashes.
  public var hash: UInt64 {
    var hash = FNV1a()
    storage.withSpan { hash.add($0) }
    return hash.value
  }

  mutating func makeUnique() {
    if isKnownUniquelyReferenced(&storage) { return }
    let copy = FloatBuffer(count: storage.count)
    copy.copy(from: storage)
    storage = copy
  }

  mutating func markChanged() { version += 1 }

  func pointer(_ parameter: Parameter) -> UnsafePointer<Float> {
    unsafe UnsafePointer(storage.base + parameter.offset)
  }
}

/// The gradient of a ``ParameterSet``: one flat buffer of the same layout.
///
/// An entry that no operation of a pass used holds zero once ``zeroUntouched()`` was called.
@safe public final class GradientBuffer {
  public let layout: ParameterLayout
  public let storage: FloatBuffer
  /// Whether each entry is trained. The others have no gradient and cost no backward pass.
  public let trained: [Bool]
  private(set) var touched: [Bool]

  public init(layout: ParameterLayout, trained: [Bool]? = nil) {
    self.layout = layout
    self.trained = trained ?? layout.entries.map { _ in true }
    precondition(self.trained.count == layout.entries.count, "one flag for each entry")
    storage = FloatBuffer(count: layout.count)
    touched = layout.entries.map { _ in false }
  }

  /// Forgets the gradient, at no cost: the first operation to use an entry writes over it.
  public func reset() {
    for index in touched.indices { touched[index] = false }
  }

  /// Makes the gradient of each entry that no operation used zero.
  public func zeroUntouched() {
    for (index, entry) in layout.entries.enumerated() where !touched[index] {
      unsafe (storage.base + entry.offset).update(repeating: 0, count: entry.count)
      touched[index] = true
    }
  }

  /// Adds another gradient of the same layout. Both have all entries written.
  public func add(_ other: GradientBuffer, in workspace: Workspace) {
    precondition(other.layout == layout, "gradients of two layouts")
    let target = unsafe storage.base
    let source = unsafe other.storage.base
    let table = unsafe workspace.kernels.raw
    let count = storage.count
    let block = 1 << 16
    workspace.pool.run((count + block - 1) / block) { task, _ in
      let start = task * block
      unsafe table.pointee.add(target + start, source + start, min(block, count - start))
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
}
