import Collectives
import Determinism
import Foundation
import Tensors
import Testing
import Training

/// Dense gradients of several ranks, added bucket by bucket as they become final.
@Suite struct GradientExchangeTests {
  private static let frozen = 3

  private static func layout(extra: Int = 0) -> ParameterLayout {
    var layout = ParameterLayout()
    _ = layout.addTable("words", 10, 8)
    for entry in 1..<9 { _ = layout.add("w\(entry)", 31 * entry + extra) }
    return layout
  }

  private static func trained(_ layout: ParameterLayout) -> [Bool] {
    layout.entries.indices.map { $0 != frozen }
  }

  /// A float that no rounding of a sum leaves as it is.
  private static func value(_ rank: Int, _ step: Int, _ entry: Int, _ index: Int) -> Float {
    let number = (rank * 7919 + step * 104_729 + entry * 613 + index * 31) % 4001
    return Float(number - 2000) / 977
  }

  private static func bf16(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
  }

  /// Three steps of some ranks; the gradients of every rank, entry by entry, after each.
  private func run(
    ranks: Int, type: Precision, bucketBytes: Int, shards: Int? = nil,
    ranksPerMachine: Int? = nil, isSharded: Bool = false
  ) throws -> [[[[Float]]]] {
    try ThreadGroup.run(ranks: ranks, ranksPerMachine: ranksPerMachine) { communicator in
      let layout = Self.layout()
      let gradients = GradientBuffer(layout: layout, trained: Self.trained(layout))
      let exchange = GradientExchange(
        communicator, levels: try communicator.levels(), layout: layout,
        trained: gradients.trained, kernels: .best, treeShards: shards ?? ranks, type: type,
        bucketBytes: bucketBytes, isSharded: isSharded)
      defer { exchange.stop() }
      var results: [[[Float]]] = []
      for step in 0..<3 {
        exchange.begin(gradients)
        // Every rank is done with its entries in another order.
        var order = RandomStream(seed: UInt64(step), ["order", .number(communicator.rank)])
        var entries = Array(layout.entries.indices)
        order.shuffle(&entries)
        for entry in entries {
          let place = layout.entries[entry]
          if !place.isTable {
            gradients.withDense(place.offset..<place.offset + place.count) { span in
              for i in span.indices {
                span[i] = Self.value(communicator.rank, step, entry, i)
              }
            }
          }
          exchange.isFinal(entry)
        }
        try exchange.finish()
        results.append(
          layout.entries.indices.dropFirst().map { entry in
            gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
          })
      }
      return results
    }
  }

  @Test(arguments: [2, 3, 4, 6], [1, 300, 1 << 20])
  func sumsAreThoseOfTheRanksAlongTheTree(ranks: Int, bucketBytes: Int) throws {
    for type in [Precision.fp32, .bf16] {
      let results = try run(ranks: ranks, type: type, bucketBytes: bucketBytes)
      for (rank, steps) in results.enumerated() {
        for (step, entries) in steps.enumerated() {
          for (place, values) in entries.enumerated() {
            let entry = place + 1
            let wanted = values.indices.map { index in
              if entry == Self.frozen { return Self.value(rank, step, entry, index) }
              let parts = (0..<ranks).map { Self.value($0, step, entry, index) }
              if type == .fp32 { return FoldTree.fold(ranks, leaf: { parts[$0] }, combine: +) }
              return FoldTree.fold(
                ranks, leaf: { Self.bf16(parts[$0]) }, combine: { Self.bf16($0 + $1) })
            }
            #expect(values == wanted, "rank \(rank), step \(step), entry \(entry), \(type)")
          }
        }
      }
    }
  }

  @Test func sumsAlongTheTreeAreTheSameInAnyBuckets() throws {
    let one = try run(ranks: 3, type: .fp32, bucketBytes: 1, shards: 8)
    #expect(try run(ranks: 3, type: .fp32, bucketBytes: 1 << 20, shards: 8) == one)
    #expect(one[0] != (try run(ranks: 2, type: .fp32, bucketBytes: 1, shards: 8))[0])
  }

  /// Where the ranks are, one machine or several, changes no bit, and a rank's share neither.
  @Test(arguments: [(4, 2), (6, 3), (8, 2), (8, 4), (6, 2), (5, 2)], [Precision.fp32, .bf16])
  func machinesAndSharesLeaveTheBits(ranks: (all: Int, perMachine: Int), type: Precision) throws {
    for shards in [nil, 16] {
      let flat = try run(ranks: ranks.all, type: type, bucketBytes: 3000, shards: shards)
      let levels = try run(
        ranks: ranks.all, type: type, bucketBytes: 3000, shards: shards,
        ranksPerMachine: ranks.perMachine)
      #expect(levels == flat)
    }
  }

  /// Which ranks reduce on their machine first: those that are a node of the tree.
  @Test func machinesThatAreNodesOfTheTreeReduceFirst() throws {
    func sums(_ ranks: Int, perMachine: Int, shards: Int) throws -> [Reduction?] {
      try ThreadGroup.run(ranks: ranks, ranksPerMachine: perMachine) { communicator in
        try communicator.levels()?.sums(alongTreeOver: shards)?.machine
      }
    }
    #expect(
      try sums(4, perMachine: 2, shards: 4)
        == [Reduction?](repeating: .treeSum(shards: 2), count: 4))
    #expect(
      try sums(4, perMachine: 2, shards: 8)
        == [Reduction?](repeating: .treeSum(shards: 4), count: 4))
    #expect(
      try sums(6, perMachine: 3, shards: 6)
        == [Reduction?](repeating: .treeSum(shards: 3), count: 6))
    // Two of six are no node of their tree, but one over eight shards; one machine, or one rank on each, has no levels; nor uneven ones.
    #expect(try sums(6, perMachine: 2, shards: 8)[0] == .treeSum(shards: 2))
    for (ranks, perMachine) in [(6, 2), (4, 4), (4, 1), (5, 2)] {
      #expect(try sums(ranks, perMachine: perMachine, shards: ranks).allSatisfy { $0 == nil })
    }
  }

  /// Ranks whose buckets differ are told so, and nobody waits for good.
  @Test func otherBucketsAreADisagreement() throws {
    let codes = try ThreadGroup.run(
      ranks: 2, settings: CollectiveSettings(timeoutSeconds: 20)
    ) { communicator in
      let layout = Self.layout(extra: communicator.rank)
      let gradients = GradientBuffer(layout: layout)
      let exchange = GradientExchange(
        try communicator.split(color: 0, key: communicator.rank), layout: layout,
        trained: gradients.trained, kernels: .best, treeShards: 2, type: .fp32, bucketBytes: 1)
      defer { exchange.stop() }
      exchange.begin(gradients)
      for entry in layout.entries.indices { exchange.isFinal(entry) }
      do throws(CollectiveError) {
        try exchange.finish()
        return "no error"
      } catch {
        return "\(error.code)"
      }
    }
    #expect(codes == ["disagreement", "disagreement"])
  }
}
