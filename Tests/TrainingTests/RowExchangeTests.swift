import Collectives
import Determinism
import Tensors
import TestSupport
import Testing
import Training

/// Rows of tables of several ranks: which way is the cheapest, and that all ways give the same.
@Suite struct RowExchangeTests {
  /// The ascending rows that each rank uses, each row with a probability of its own.
  private static func rows(ranks: Int, of count: Int, share: Double, seed: UInt64) -> [[Int32]] {
    (0..<ranks).map { rank in
      var random = RandomStream(seed: seed, ["rows", .number(rank)])
      return (0..<Int32(count)).filter { _ in
        Double(random.next() >> 11) * 0x1p-53 < share
      }
    }
  }

  @Test func theCheapestWayIsNeverDearerThanDense() {
    for ranks in [2, 3, 8, 64] {
      for (index, share) in [0, 0.001, 0.1, 0.5, 0.97, 1].enumerated() {
        let plan = RowPlan(
          Self.rows(ranks: ranks, of: 2000, share: share, seed: UInt64(index)), tableRows: 2000)
        let least = RowPlan.Way.allCases.map { plan.traffic($0) }.min()
        #expect(plan.traffic(plan.cheapest) == least)
        #expect(plan.traffic(plan.cheapest) <= plan.traffic(.dense))
      }
    }
    // Few rows in common of two ranks go straight to the other; those of many by their owners; all of them as they lie.
    func cheapest(_ ranks: Int, _ share: Double) -> RowPlan.Way {
      RowPlan(Self.rows(ranks: ranks, of: 2000, share: share, seed: 7), tableRows: 2000).cheapest
    }
    #expect(cheapest(2, 0.01) == .toAll)
    #expect(cheapest(16, 0.4) == .toOwners)
    #expect(cheapest(2, 1) == .dense)
  }

  @Test func aPlanKnowsTheUnionAndItsOwners() {
    let plan = RowPlan([[1, 4, 9], [], [0, 4, 5, 9, 11]], tableRows: 12)
    #expect(plan.union == [0, 1, 4, 5, 9, 11])
    #expect(plan.counts == [[1, 2, 0], [0, 0, 0], [2, 1, 2]])
    #expect(plan.unionCounts == [2, 2, 2])
    // Rank 2 gives five rows to each of two; gets three.
    #expect(plan.traffic(.toAll) == 10)
  }

  private static let columns = 5
  private static let tableRows = 40

  private static func layout() -> ParameterLayout {
    var layout = ParameterLayout()
    _ = layout.addTable("words", tableRows, columns)
    _ = layout.add("rest", 7)
    return layout
  }

  private static func value(_ rank: Int, _ row: Int32, _ column: Int) -> Float {
    Float((rank * 7919 + Int(row) * 613 + column * 31) % 4001 - 2000) / 977
  }

  /// The whole table's gradient on each rank after a sum, some rows used by each.
  private func sums(
    ranks: Int, share: Double, reduction: Reduction, way: RowPlan.Way?, sharded: Bool = false
  ) throws -> [[Float]] {
    let rows = Self.rows(ranks: ranks, of: Self.tableRows, share: share, seed: 3)
    return try ThreadGroup.run(ranks: ranks) { communicator in
      let layout = Self.layout()
      let workspace = Workspace(kernels: .best, threadCount: 1)
      defer { workspace.stop() }
      let gradients = GradientBuffer(layout: layout)
      let exchange = RowExchange(
        communicator, workspace: workspace, layout: layout, trained: [true, true],
        reduction: reduction, isSharded: sharded, way: way)
      let own = rows[communicator.rank]
      gradients.touch(own, ofTable: 0)
      for row in own {
        gradients.withRow(row, ofTable: 0) { span in
          for column in span.indices { span[column] = Self.value(communicator.rank, row, column) }
        }
      }
      try exchange.begin([own])
      try exchange.sum(gradients)
      return gradients.read(entry: 0) { span in span.indices.map { span[$0] } }
    }
  }

  @Test(arguments: [0, 0.3, 1], [2, 3, 4])
  func allWaysGiveTheSameBits(share: Double, ranks: Int) throws {
    for reduction in [Reduction.sum, .treeSum(shards: 5)] {
      let wanted = try sums(ranks: ranks, share: share, reduction: reduction, way: .dense)
      for way in [RowPlan.Way.toAll, .toOwners, nil] {
        #expect(try sums(ranks: ranks, share: share, reduction: reduction, way: way) == wanted)
      }
      // An owner has the sums of its rows.
      let sharded = try sums(
        ranks: ranks, share: share, reduction: reduction, way: nil, sharded: true)
      for row in 0..<Self.tableRows {
        let range = row * Self.columns..<(row + 1) * Self.columns
        #expect(sharded[row % ranks][range] == wanted[0][range])
      }
      // The first row by hand: rank by rank.
      if reduction == .sum, share == 1 {
        let parts = (0..<ranks).map { Self.value($0, 0, 0) }
        #expect(wanted[0][0] == parts.dropFirst().reduce(parts[0], +))
      }
    }
  }
}
