/// The one shape in which partial sums over shards are added, whatever the number of ranks.
///
/// A node is a range of shards. A range of more than one shard is split after its first
/// `(count + 1) / 2` shards; its sum is the sum of the left part plus the sum of the right part, in
/// that order. The split depends on the count alone, so the tree below a node is the tree of as many
/// shards starting at 0: a rank that owns a node folds its own segments without knowing the others.
public enum FoldTree {
  /// The number of shards in the left part of a node of `count` shards. `count` is at least 2.
  public static func leftCount(of count: Int) -> Int {
    precondition(count >= 2, "a node of \(count) shards has no parts")
    return (count + 1) / 2
  }

  /// Cuts the tree of `shards` shards into `ranks` nodes, in order of their shards.
  ///
  /// The largest node (the first among equals) is split until there are as many nodes as ranks, so
  /// that each rank owns one node and needs one gradient buffer. Shares are equal when both counts
  /// are powers of two.
  ///
  /// - Precondition: `1 ≤ ranks ≤ shards`.
  public static func nodes(shards: Int, ranks: Int) -> [Range<Int>] {
    precondition(ranks >= 1 && ranks <= shards, "\(ranks) ranks over \(shards) shards")
    var nodes = [0..<shards]
    while nodes.count < ranks {
      var largest = 0
      for index in nodes.indices where nodes[index].count > nodes[largest].count { largest = index }
      let node = nodes[largest]
      let middle = node.lowerBound + leftCount(of: node.count)
      nodes.replaceSubrange(
        largest...largest, with: [node.lowerBound..<middle, middle..<node.upperBound])
    }
    return nodes
  }

  /// Folds `count` leaves along the tree: `combine(fold(left), fold(right))`.
  public static func fold<Value, Failure: Error>(
    _ count: Int, leaf: (Int) throws(Failure) -> Value,
    combine: (Value, Value) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    try fold(0..<count, leaf: leaf, combine: combine)
  }

  private static func fold<Value, Failure: Error>(
    _ range: Range<Int>, leaf: (Int) throws(Failure) -> Value,
    combine: (Value, Value) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    precondition(!range.isEmpty, "the fold of no leaves has no value")
    if range.count == 1 { return try leaf(range.lowerBound) }
    let middle = range.lowerBound + leftCount(of: range.count)
    return try combine(
      fold(range.lowerBound..<middle, leaf: leaf, combine: combine),
      fold(middle..<range.upperBound, leaf: leaf, combine: combine))
  }
}
