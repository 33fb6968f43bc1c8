/// The part of the optimiser's state that one rank keeps, and whose weights it updates: of the dense parameters some
/// runs, of each table every row whose id, divided by the number of ranks, leaves the rank (ZeRO, stage 1;
/// Rajbhandari et al., 2020).
///
/// Its moments lie together: of each table one after the other, then of the runs.
public struct OptimiserShare: Sendable, Equatable {
  public let rank: Int
  public let ranks: Int
  /// Runs of dense floats in the flat buffer, ascending and apart.
  public let runs: [Range<Int>]
  /// The moments of all that is owned.
  public let count: Int
  /// Where the moments of each table begin, and of each run.
  private let tableStarts: [Int]
  private let runStarts: [Int]

  /// All of it, as one rank alone has it.
  public init(allOf layout: ParameterLayout) {
    let dense = layout.denseRange
    self.init(rank: 0, ranks: 1, runs: dense.isEmpty ? [] : [dense], layout: layout)
  }

  public init(rank: Int, ranks: Int, runs: [Range<Int>], layout: ParameterLayout) {
    precondition(rank >= 0 && rank < ranks, "rank \(rank) of \(ranks)")
    precondition(
      zip(runs, runs.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound },
      "runs that are not in order")
    self.rank = rank
    self.ranks = ranks
    self.runs = runs
    var count = 0
    tableStarts = layout.tables.map { table in
      let shape = layout.entries[table].shape
      defer { count += (shape[0] + ranks - 1 - rank) / ranks * shape[1] }
      return count
    }
    runStarts = runs.map { run in
      defer { count += run.count }
      return count
    }
    self.count = count
  }

  /// The moments of tables, at the start.
  var tableCount: Int { runStarts.first ?? count }

  public var isAll: Bool { ranks == 1 }

  public func owns(row: Int32) -> Bool { isAll || Int(row) % ranks == rank }

  /// Where the moments of an owned row begin.
  public func start(ofRow row: Int32, table: Int, columns: Int) -> Int {
    tableStarts[table] + Int(row) / ranks * columns
  }

  /// The owned parts of a range of dense floats, and where their moments begin.
  public func parts(of range: Range<Int>) -> [(floats: Range<Int>, start: Int)] {
    var first = 0
    var end = runs.count
    while first < end {
      let middle = (first + end) / 2
      if runs[middle].upperBound <= range.lowerBound { first = middle + 1 } else { end = middle }
    }
    var parts: [(Range<Int>, Int)] = []
    while first < runs.count, runs[first].lowerBound < range.upperBound {
      let floats = runs[first].clamped(to: range)
      parts.append((floats, runStarts[first] + floats.lowerBound - runs[first].lowerBound))
      first += 1
    }
    return parts
  }
}

extension ParameterLayout {
  /// A dense entry cut into the blocks that are never divided: over ranks, or in the sum of the norm.
  func blocks(ofEntry entry: Int) -> [Range<Int>] {
    let floats = entries[entry].offset..<entries[entry].offset + entries[entry].count
    return stride(from: floats.lowerBound, to: floats.upperBound, by: 1 << 14).map {
      $0..<min($0 + 1 << 14, floats.upperBound)
    }
  }

  /// Cuts neighbouring dense entries into one range for each rank, of about equal lengths.
  ///
  /// - Parameter owned: The floats that each rank has so far: the cuts make up for what earlier ones left uneven.
  public func shares(ofEntries entries: Range<Int>, owned: inout [Int]) -> [Range<Int>] {
    let blocks = entries.flatMap { self.blocks(ofEntry: $0) }
    var next = 0
    let total = owned.reduce(0, +) + blocks.reduce(0) { $0 + $1.count }
    return owned.indices.map { rank in
      let start = next < blocks.count ? blocks[next].lowerBound : blocks.last?.upperBound ?? 0
      var end = start
      // A block goes to the rank whose share it leaves nearer to the mean of all ranks up to it.
      let aim = total * (rank + 1) / owned.count
      var sum = owned[...rank].reduce(0, +)
      while next < blocks.count,
        rank == owned.count - 1 || abs(sum + blocks[next].count - aim) <= abs(sum - aim)
      {
        sum += blocks[next].count
        owned[rank] += blocks[next].count
        end = blocks[next].upperBound
        next += 1
      }
      return start..<end
    }
  }
}
