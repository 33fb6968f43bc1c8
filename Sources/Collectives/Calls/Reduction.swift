/// How elements of several ranks become one.
public enum Reduction: Sendable, Equatable {
  /// The sum in the order of the ranks. A sum of integers that overflows traps.
  case sum
  /// The sum along the tree over some shards.
  ///
  /// Rank r holds the sum of node r of `FoldTree.nodes(shards: shards, ranks: size)`. Given sums that were folded
  /// along the same tree, the result has the same bits for any number of ranks, of which there are at most as many
  /// as shards.
  case treeSum(shards: Int)
  /// The smallest; NaN if any is NaN.
  case min
  /// The largest; NaN if any is NaN.
  case max
}
