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
    guard Self.areNodes(ofTreeOver: shards, machines: machines, ranks: ranks),
      places.indices.allSatisfy({ places[$0] == ($0 % ranks, $0 / ranks) })
    else { return nil }
    let node = FoldTree.nodes(shards: shards, ranks: machines)[across.rank]
    return (.treeSum(shards: node.count), .treeSum(shards: shards))
  }

  /// Whether machines of neighbouring ranks, equally many on each, are nodes of the tree over `shards`.
  public static func areNodes(ofTreeOver shards: Int, machines: Int, ranks: Int) -> Bool {
    let nodes = FoldTree.nodes(shards: shards, ranks: machines * ranks)
    return FoldTree.nodes(shards: shards, ranks: machines).enumerated().allSatisfy { number, node in
      node.count >= ranks
        && FoldTree.nodes(shards: node.count, ranks: ranks).enumerated().allSatisfy { place, part in
          let rank = nodes[number * ranks + place]
          return rank.lowerBound == node.lowerBound + part.lowerBound && rank.count == part.count
        }
    }
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
