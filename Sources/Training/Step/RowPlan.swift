/// Which rows of a table each rank uses in a step, known to all ranks.
///
/// Row i is owned by rank i modulo the number of ranks.
package struct RowPlan: Sendable, Equatable {
  /// How the gradients of rows become their sums on every rank.
  package enum Way: Sendable, Equatable, CaseIterable {
    /// Each rank gives its rows to all others, and all add them up.
    case toAll
    /// Each rank gives its rows to their owners, who add them up and give the sums to all.
    case toOwners
    /// The whole table is reduced where it lies.
    case dense
  }

  /// The rows that each rank uses, each once, ascending.
  package let rows: [[Int32]]
  /// All of them, each once, ascending.
  package let union: [Int32]
  package let tableRows: Int
  /// The rows that each rank uses, by owner: `[rank][owner]`.
  package let counts: [[Int]]
  /// The rows of the union, by owner.
  package let unionCounts: [Int]

  package init(_ rows: [[Int32]], tableRows: Int) {
    self.rows = rows
    self.tableRows = tableRows
    let ranks = rows.count
    func byOwner(_ rows: [Int32]) -> [Int] {
      var counts = [Int](repeating: 0, count: ranks)
      for row in rows { counts[Int(row) % ranks] += 1 }
      return counts
    }
    var union = RowUnion()
    for rows in rows { union.merge(rows) }
    self.union = union.rows
    counts = rows.map(byOwner)
    unionCounts = byOwner(union.rows)
  }

  package func rows(_ rows: [Int32], ownedBy owner: Int) -> [Int32] {
    rows.filter { Int($0) % counts.count == owner }
  }

  /// The most rows that one rank sends or receives, whichever is more.
  package func traffic(_ way: Way) -> Int {
    let ranks = rows.count
    let all = rows.reduce(0) { $0 + $1.count }
    return (0..<ranks).map { rank in
      switch way {
      case .toAll:
        return max((ranks - 1) * rows[rank].count, all - rows[rank].count)
      case .toOwners:
        let others = rows[rank].count - counts[rank][rank]
        let own = (0..<ranks).reduce(0) { $0 + counts[$1][rank] } - counts[rank][rank]
        return max(
          others + (ranks - 1) * unionCounts[rank], own + union.count - unionCounts[rank])
      case .dense:
        return 2 * (ranks - 1) * tableRows / ranks
      }
    }.max() ?? 0
  }

  /// The most rows that one rank sends or receives when each gives its rows to their owners, or owners theirs to all
  /// that use them.
  package var ownedTraffic: Int {
    rows.indices.map { rank in
      let own = counts.reduce(0) { $0 + $1[rank] } - counts[rank][rank]
      return max(rows[rank].count - counts[rank][rank], own)
    }.max() ?? 0
  }

  /// The way that moves the fewest rows; among equals the one that copies least.
  package var cheapest: Way {
    [.dense, .toAll, .toOwners].min { traffic($0) < traffic($1) } ?? .dense
  }
}

/// A union of ascending lists.
private struct RowUnion {
  var rows: [Int32] = []

  mutating func merge(_ other: [Int32]) {
    var merged: [Int32] = []
    merged.reserveCapacity(rows.count + other.count)
    var (left, right) = (0, 0)
    while left < rows.count || right < other.count {
      if right == other.count || (left < rows.count && rows[left] <= other[right]) {
        if right < other.count, rows[left] == other[right] { right += 1 }
        merged.append(rows[left])
        left += 1
      } else {
        merged.append(other[right])
        right += 1
      }
    }
    rows = merged
  }
}
