import Collectives
import Determinism
import Testing

@Suite struct FoldOrderTests {
  /// The order written with brackets, for example `((0 1) 2)`.
  private func brackets(_ order: FoldOrder) -> String {
    var stack: [String] = []
    for step in order.steps {
      switch step {
      case .push(let rank): stack.append("\(rank)")
      case .combine:
        let right = stack.removeLast()
        let left = stack.removeLast()
        stack.append("(\(left) \(right))")
      }
    }
    return stack.joined(separator: " | ")
  }

  @Test func orderByRankIsFromTheLeft() {
    #expect(brackets(.byRank(1)) == "0")
    #expect(brackets(.byRank(4)) == "(((0 1) 2) 3)")
  }

  @Test func orderByTreeIsTheTree() {
    #expect(brackets(.byTree(shards: 8, ranks: 1)) == "0")
    #expect(brackets(.byTree(shards: 8, ranks: 2)) == "(0 1)")
    #expect(brackets(.byTree(shards: 8, ranks: 3)) == "((0 1) 2)")
    #expect(brackets(.byTree(shards: 8, ranks: 8)) == "(((0 1) (2 3)) ((4 5) (6 7)))")
  }

  @Test func everyTreeUsesEachRankOnce() {
    for shards in 1...40 {
      for ranks in 1...shards {
        let order = FoldOrder.byTree(shards: shards, ranks: ranks)
        let pushed = order.steps.compactMap { step -> Int? in
          if case .push(let rank) = step { rank } else { nil }
        }
        #expect(pushed == Array(0..<ranks), "\(shards) shards, \(ranks) ranks")
        #expect(order.steps.count == 2 * ranks - 1)
      }
    }
  }
}
