import Determinism

/// A group in two levels: the ranks of one machine, and the ranks that have the same place on all machines.
///
/// A reduction by parts within each machine, then of each part across machines, sends over the network what one rank
/// a machine would send, however many there are.
public struct Levels: Sendable {
  /// The ranks of this rank's machine.
  public let machine: any Communicator
  /// The ranks of this rank's place on every machine.
  public let across: any Communicator
  /// The place on its machine, and the machine, of each rank of the whole group.
  public let places: [(place: Int, machine: Int)]

  /// The reductions on a machine and across machines that together add along the tree over `shards`, as
  /// ``Reduction/treeSum(shards:)`` over the whole group does: the same bits.
  ///
  /// - Returns: nil where the ranks of a machine are no node of that tree.
  public func sums(alongTreeOver shards: Int) -> (machine: Reduction, across: Reduction)? {
    let (ranks, machines) = (machine.size, across.size)
    let nodes = FoldTree.nodes(shards: shards, ranks: places.count)
    let machineNodes = FoldTree.nodes(shards: shards, ranks: machines)
    for (number, node) in machineNodes.enumerated() {
      guard node.count >= ranks else { return nil }
      for (place, part) in FoldTree.nodes(shards: node.count, ranks: ranks).enumerated() {
        let rank = number * ranks + place
        guard places[rank] == (place, number),
          nodes[rank].lowerBound == node.lowerBound + part.lowerBound,
          nodes[rank].count == part.count
        else { return nil }
      }
    }
    return (.treeSum(shards: machineNodes[across.rank].count), .treeSum(shards: shards))
  }
}

extension Communicator {
  /// The two levels of this group. Every rank calls it.
  ///
  /// - Returns: nil where there is one machine, or one rank on each, or not the same number on all.
  public func levels() throws(CollectiveError) -> Levels? {
    let machine = try splitByMachine()
    var leader = [Int64(rank)]
    try machine.broadcast(&leader, from: 0)
    let all = try allGather([leader[0], Int64(machine.rank)])
    let leaders = all.indices.filter { all[$0][1] == 0 }.map(Int64.init)
    let places = all.map { (place: Int($0[1]), machine: leaders.firstIndex(of: $0[0]) ?? 0) }
    // The same on every rank, since all see the same places.
    let perMachine = size / max(1, leaders.count)
    guard leaders.count > 1, perMachine > 1,
      leaders.indices.allSatisfy({ number in places.count { $0.machine == number } == perMachine })
    else { return nil }
    return Levels(
      machine: machine, across: try split(color: machine.rank, key: rank), places: places)
  }
}
