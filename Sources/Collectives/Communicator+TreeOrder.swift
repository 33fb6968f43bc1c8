import Determinism

extension Communicator {
  /// Replaces values by their sum over ranks, added in the order of the tree over shards.
  ///
  /// Rank r holds the partial sum of node r of `FoldTree.nodes(shards:ranks:)`; the result has the same bits
  /// for every number of ranks. The buffer is cut into a range a rank; each rank gets all parts of its
  /// range, adds them in the tree's order, and the ranges are gathered again.
  public func allReduceSumInTreeOrder<Element: CollectiveElement>(
    _ values: inout MutableSpan<Element>, shards: Int
  ) throws(CollectiveError) {
    if size == 1 { return }
    let count = values.count
    let ranges = (0..<size).map { $0 * count / size..<($0 + 1) * count / size }
    let own = ranges[rank]
    var parts = [Element](repeating: .zero, count: own.count * size)
    var span = parts.mutableSpan
    try exchange(
      values.span, sending: ranges, into: &span,
      receiving: [Int](repeating: own.count, count: size))
    let nodes = FoldTree.nodes(shards: shards, ranks: size)
    var sums = [Element](repeating: .zero, count: own.count)
    for index in 0..<own.count {
      sums[index] = fold(0..<shards, nodes) { parts[$0 * own.count + index] }
    }
    var gathered = try allGather(sums.span)
    for (range, part) in zip(ranges, gathered) {
      for (place, value) in zip(range, part) { values[place] = value }
    }
    gathered = []
  }

  /// The sum below a node: of a rank if it owns the node, else of the node's two parts.
  private func fold<Element: CollectiveElement>(
    _ node: Range<Int>, _ nodes: [Range<Int>], _ part: (Int) -> Element
  ) -> Element {
    if let owner = nodes.firstIndex(of: node) { return part(owner) }
    let middle = node.lowerBound + FoldTree.leftCount(of: node.count)
    return fold(node.lowerBound..<middle, nodes, part)
      + fold(middle..<node.upperBound, nodes, part)
  }
}
