import Determinism
import Tensors
import TestSupport
import Testing

/// How the optimiser's state is shared out to ranks.
@Suite struct OptimiserShareTests {
  private static func layout(_ random: inout RandomStream) -> ParameterLayout {
    var layout = ParameterLayout()
    _ = layout.addTable("words", 101, 8)
    for entry in 0..<12 { _ = layout.add("w\(entry)", Int(random.next() % 100_000) + 1) }
    return layout
  }

  @Test(arguments: [1, 2, 3, 7, 16])
  func everyFloatHasOneOwnerAndSharesAreEven(ranks: Int) {
    var random = RandomStream(seed: 5, ["layout", .number(ranks)])
    let layout = Self.layout(&random)
    var owned = [Int](repeating: 0, count: ranks)
    var runs = [[Range<Int>]](repeating: [], count: ranks)
    // From the end, some entries at a time, as gradients become final.
    for entries in [9..<13, 8..<9, 3..<8, 1..<3] {
      for (rank, range) in layout.shares(ofEntries: entries, owned: &owned).enumerated()
      where !range.isEmpty {
        runs[rank].insert(range, at: 0)
      }
    }
    let dense = layout.denseRange
    var owners = [Int](repeating: 0, count: layout.count)
    for runs in runs {
      for index in runs.joined() { owners[index] += 1 }
    }
    #expect(dense.allSatisfy { owners[$0] == 1 })
    // Nobody is further from the mean than a block of 2^14.
    let mean = Double(dense.count) / Double(ranks)
    #expect(owned.allSatisfy { abs(Double($0) - mean) <= Double(1 << 14) })

    var moments = 0
    for (rank, runs) in runs.enumerated() {
      let share = OptimiserShare(rank: rank, ranks: ranks, runs: runs, layout: layout)
      let rows = (0..<101).filter { share.owns(row: Int32($0)) }
      #expect(rows.allSatisfy { $0 % ranks == rank })
      // Every owned float has a place of its own.
      var places = Set<Int>()
      for row in rows {
        let start = share.start(ofRow: Int32(row), table: 0, columns: 8)
        for place in start..<start + 8 { #expect(places.insert(place).inserted) }
      }
      for part in share.parts(of: dense) {
        for place in part.start..<part.start + part.floats.count {
          if !places.insert(place).inserted { Issue.record("place \(place) twice") }
        }
      }
      #expect(places.count == share.count && (places.max() ?? -1) < share.count)
      // Parts of a range are what the runs and the range have in common.
      let range = dense.lowerBound + 777..<dense.upperBound - 1234
      let parts = share.parts(of: range).map(\.floats)
      #expect(parts.joined().elementsEqual(runs.joined().filter { range.contains($0) }))
      moments += share.count
    }
    #expect(moments == layout.count)
  }

  /// Ranks that update their shares, and a rank that updates all, have the same weights.
  @Test func sharesTogetherUpdateAll() {
    var random = RandomStream(seed: 9, ["layout"])
    let layout = Self.layout(&random)
    let workspace = Workspace(kernels: .best, threadCount: 2)
    defer { workspace.stop() }
    let dense = layout.denseRange
    let middle = dense.lowerBound + 40_000
    let shares = [[dense.lowerBound..<middle], [middle..<dense.upperBound]].enumerated().map {
      OptimiserShare(rank: $0, ranks: 2, runs: $1, layout: layout)
    }
    func weights(_ share: OptimiserShare?) -> [Float] {
      var set = ParameterSet(layout: layout)
      var state = OptimiserState(.adamW(AdamW()), layout: layout, share: share)
      let gradients = GradientBuffer(layout: layout)
      for step in 0..<3 {
        gradients.reset()
        gradients.zeroUntouched()
        gradients.withDense(dense) { span in
          for index in span.indices { span[index] = Float((index * 31 + step * 7) % 101 - 50) / 64 }
        }
        let rows: [Int32] = [3, Int32(4 + step), 50]
        gradients.touch(rows, ofTable: 0)
        for row in rows {
          gradients.withRow(row, ofTable: 0) { span in
            for column in span.indices { span[column] = Float(Int(row) + column - step) / 16 }
          }
        }
        AdamW().update(
          &set, gradients, &state, gradientScale: 0.5,
          rates: layout.entries.map { _ in (1e-2, 0.1) }, in: workspace)
      }
      #expect(state.floats.rows == 2 * 8 * (share.map { $0.rank == 0 ? 3 : 2 } ?? 5))
      return layout.entries.indices.flatMap { entry in
        set.read(entry: entry) { span in span.indices.map { span[$0] } }
      }
    }
    let all = weights(nil)
    let parts = shares.map { weights($0) }
    for index in all.indices {
      let owner = index < dense.lowerBound ? index / 8 % 2 : index < middle ? 0 : 1
      if parts[owner][index] != all[index] { Issue.record("float \(index) of rank \(owner)") }
    }
  }
}
