import Determinism
import Testing

@Test func philoxGivesThePublishedValues() {
  // Random123's known answers (kat_vectors, philox4x32 with 10 rounds).
  #expect(
    Philox.block(counter: .zero, key: .zero)
      == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
  #expect(
    Philox.block(counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max))
      == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
}

@Test(arguments: 1...17) func nodesCoverTheShardsInOrder(shards: Int) {
  for ranks in 1...shards {
    let nodes = FoldTree.nodes(shards: shards, ranks: ranks)
    #expect(nodes.count == ranks)
    #expect(nodes.flatMap(Array.init) == Array(0..<shards))
  }
}

@Test(arguments: 1...17) func aNodeFoldsAsItDoesInsideTheWholeTree(shards: Int) {
  func text(_ range: Range<Int>) -> String {
    FoldTree.fold(range.count, leaf: { "\(range.lowerBound + $0)" }, combine: { "(\($0)+\($1))" })
  }
  let whole = text(0..<shards)
  for ranks in 1...shards {
    for node in FoldTree.nodes(shards: shards, ranks: ranks) { #expect(whole.contains(text(node))) }
  }
}
