import Determinism

/// The shards that a rank works on at once, or two halves one after the other whose gradients are added.
///
/// Halves follow ``FoldTree``, so that a gradient has the same bits however often it is cut.
public indirect enum PassTree: Sendable, Equatable {
  case pass(Range<Int>)
  case both(PassTree, PassTree)

  /// Cuts a node of shards until each pass costs at most `budget`, or is one shard.
  public init(node: Range<Int>, tokens: [Int], budget: Int?) {
    let total = tokens[node].reduce(0, +)
    guard let budget, total > budget, node.count > 1 else {
      self = .pass(node)
      return
    }
    let middle = node.lowerBound + FoldTree.leftCount(of: node.count)
    self = .both(
      PassTree(node: node.lowerBound..<middle, tokens: tokens, budget: budget),
      PassTree(node: middle..<node.upperBound, tokens: tokens, budget: budget))
  }

  public var passes: [Range<Int>] {
    switch self {
    case .pass(let range): [range]
    case .both(let left, let right): left.passes + right.passes
    }
  }
}
