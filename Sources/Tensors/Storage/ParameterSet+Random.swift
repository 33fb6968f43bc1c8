import Determinism

extension ParameterSet {
  /// Fills an entry with draws from the normal distribution of mean 0 and the given deviation.
  ///
  /// The numbers depend on the seed, the entry's name and the place in the entry alone.
  public mutating func fillNormal(
    entry: Int, deviation: Float, seed: UInt64, in workspace: Workspace
  ) {
    fill(entry: entry, seed: seed, in: workspace) { deviation * Float($0.normal()) }
  }

  /// Fills an entry with draws even in `-bound ..< bound`.
  public mutating func fillUniform(
    entry: Int, bound: Float, seed: UInt64, in workspace: Workspace
  ) {
    fill(entry: entry, seed: seed, in: workspace) { bound * Float(2 * $0.unit() - 1) }
  }

  private mutating func fill(
    entry index: Int, seed: UInt64, in workspace: Workspace,
    _ draw: (inout RandomStream) -> Float
  ) {
    makeUnique()
    markChanged()
    let entry = layout.entries[index]
    let base = unsafe storage.base + entry.offset
    let block = 1 << 14
    workspace.pool.run((entry.count + block - 1) / block) { task, _ in
      var stream = RandomStream(
        seed: seed, ["weights", .text(entry.name), .number(task)])
      for element in task * block..<min((task + 1) * block, entry.count) {
        unsafe base[element] = draw(&stream)
      }
    }
  }
}
