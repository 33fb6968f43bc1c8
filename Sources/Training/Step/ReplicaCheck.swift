package import Collectives
package import Tensors

/// Compares the weights of all ranks.
package enum ReplicaCheck {
  /// Every rank calls it when all its weights are what the others' are to be.
  ///
  /// Moves one number a rank, and as many as the layout has entries where ranks differ.
  ///
  /// - Parameters:
  ///   - rowsInUse: Of each table, the rows that may have changed, equal on every rank.
  ///   - place: What to call the moment: `after step 5 of stage 'train'`.
  /// - Throws: ``RunError`` of code `diverged` on every rank, which names the ranks that differ from what most have,
  ///   and the first parameter in which they do.
  package static func run(
    _ parameters: ParameterSet, rowsInUse: [RowSet], over communicator: any Communicator,
    in workspace: Workspace, place: @autoclosure () -> String
  ) throws {
    if communicator.size == 1 { return }
    let own = parameters.entryHashes(rowsInUse: rowsInUse, in: workspace)
    var combined = BitsHash()
    for hash in own { combined.add(hash) }
    let hashes = try communicator.allGather([Int64(bitPattern: combined.value)]).map { $0[0] }
    guard hashes.contains(where: { $0 != hashes[0] }) else { return }
    // All ranks know it now, and all come.
    let entries = try communicator.allGather(own.map { Int64(bitPattern: $0) })
    var counts: [Int64: Int] = [:]
    for hash in hashes { counts[hash, default: 0] += 1 }
    let most = counts.values.max() ?? 0
    // Of equally common ones that of the lowest rank.
    let usual = hashes.first { counts[$0] == most } ?? hashes[0]
    let others = hashes.indices.filter { hashes[$0] != usual }
    let reference = entries[hashes.firstIndex(of: usual) ?? 0]
    let first = parameters.layout.entries.indices.first { entry in
      others.contains { entries[$0][entry] != reference[entry] }
    }
    let name = first.map { parameters.layout.entries[$0].name } ?? "none"
    let names = others.map(String.init).joined(separator: ", ")
    let whose =
      most == 1 ? "those of rank \(hashes.firstIndex(of: usual) ?? 0)" : "those of \(most)"
    throw RunError(
      .diverged,
      "\(place()) the weights of rank\(others.count == 1 ? "" : "s") \(names) differ from \(whose)"
        + "\(most == 1 ? "" : " ranks"), first in \(name); go on from the last checkpoint with --resume "
        + "auto, and look at the memory and processor of that machine if it happens again")
  }
}
