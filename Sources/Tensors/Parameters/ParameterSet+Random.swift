internal import CKernels
import Determinism

extension ParameterSet {
  /// Fills an entry, or some rows of it, with its first value, as the layout says.
  ///
  /// The numbers depend on the seed, the entry's name and the place in the entry alone.
  ///
  /// - Parameter rows: The rows to draw, of a width that 4 divides, where the first value is normal; nil for all.
  public mutating func fillFirst(
    entry index: Int, rows: [Int32]? = nil, seed: UInt64, in workspace: Workspace
  ) {
    let entry = layout.entries[index]
    switch entry.first {
    case .constant(let value):
      update(entry: index) { span in
        for element in span.indices { span[element] = value }
      }
    case .ones(let places):
      update(entry: index) { span in
        for element in span.indices { span[element] = places.contains(element) ? 1 : 0 }
      }
    case .normal(let deviation, let zeroRow):
      fillNormal(entry: index, rows: rows, deviation: deviation, seed: seed, in: workspace)
      guard let zeroRow else { return }
      let width = entry.shape[1]
      update(entry: index) { span in
        for column in 0..<width { span[zeroRow * width + column] = 0 }
      }
    case .uniform(let bound): fillUniform(entry: index, bound: bound, seed: seed)
    }
  }

  /// Fills an entry, or some rows of it, with draws from the normal distribution of mean 0 and the given deviation.
  ///
  /// The numbers depend on the seed, the entry's name and the place in the entry alone, and on the kernels in their
  /// last bits.
  ///
  /// - Parameter rows: The rows to fill, of a width that 4 divides; nil for all.
  public mutating func fillNormal(
    entry index: Int, rows: [Int32]? = nil, deviation: Float, seed: UInt64,
    in workspace: Workspace
  ) {
    let entry = layout.entries[index]
    let kernels = unsafe workspace.kernels.raw
    if let rows, entry.isTable {
      unsafe own(rows, ofTable: index, kernels)
    } else {
      own(entry: index, in: nil)
    }
    markChanged()
    let base = unsafe storage.base + entry.offset
    precondition(entry.count >> 32 == 0, "\(entry.count) numbers")
    var stream = RandomStream(seed: seed, ["weights", .text(entry.name)])
    let key = stream.next()
    let name = ck_dropout(
      key0: UInt32(truncatingIfNeeded: key), key1: UInt32(truncatingIfNeeded: key >> 32), op: 0,
      threshold: 0, scale: 1)
    func draw(_ start: Int, _ count: Int) {
      unsafe withUnsafePointer(to: name) { name in
        unsafe kernels.pointee.normals(
          base + start, count, UInt32(start / 4), name, ck_place(item: 0, token: 0), deviation)
      }
    }
    if let rows {
      let width = entry.shape[1]
      precondition(width % 4 == 0, "rows of \(width) numbers")
      workspace.pool.run(rows.count) { task, _ in draw(Int(rows[task]) * width, width) }
    } else {
      let block = 1 << 16
      workspace.pool.run((entry.count + block - 1) / block) { task, _ in
        draw(task * block, min(block, entry.count - task * block))
      }
    }
  }

  /// Fills an entry with draws even in `-bound ..< bound`, as the seed and the entry's name say.
  public mutating func fillUniform(entry index: Int, bound: Float, seed: UInt64) {
    let name = layout.entries[index].name
    var stream = RandomStream(seed: seed, ["weights", .text(name)])
    update(entry: index) { span in
      for element in span.indices { span[element] = bound * Float(2 * stream.unit() - 1) }
    }
  }
}
