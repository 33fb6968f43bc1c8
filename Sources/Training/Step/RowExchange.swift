package import Collectives
package import Tensors

/// Adds the gradients of rows of tables over ranks, and, where each rank updates a share of the rows, gives every rank
/// those that it is about to read.
package final class RowExchange {
  private let communicator: any Communicator
  private let workspace: Workspace
  private let layout: ParameterLayout
  private let order: FoldOrder
  private let reduction: Reduction
  /// Whether each rank updates the rows that it owns alone.
  private let isSharded: Bool
  /// The way of every step; nil for the cheapest of each.
  private let way: RowPlan.Way?
  /// The trained tables, and which of their rows the ranks use in this step.
  private let tables: [Int]
  private var plans: [RowPlan] = []
  /// Which rows the ranks read, where those are more.
  private var readPlans: [RowPlan] = []
  /// Rows on their way out and in.
  private var outgoing = FloatBuffer(count: 1)
  private var incoming = FloatBuffer(count: 1)

  /// The bytes that the last step sent from this rank, or from the one that sent more.
  package private(set) var sentBytes = 0

  package init(
    _ communicator: any Communicator, workspace: Workspace, layout: ParameterLayout,
    trained: [Bool], reduction: Reduction, isSharded: Bool, way: RowPlan.Way? = nil
  ) {
    self.way = way
    self.communicator = communicator
    self.workspace = workspace
    self.layout = layout
    self.reduction = reduction
    self.isSharded = isSharded
    order = FoldOrder(reduction, ranks: communicator.size)
    tables = layout.tables.filter { trained[$0] }
  }

  /// Tells all ranks which rows this one uses in the step that begins.
  ///
  /// - Parameters:
  ///   - rows: Of each table of the layout, those that get a gradient, each row once, ascending.
  ///   - read: Those that are read, where they are others; nil on all ranks or on none.
  package func begin(_ rows: [[Int32]], reading read: [[Int32]]? = nil) throws(CollectiveError) {
    sentBytes = 0
    plans = try exchanged(rows)
    readPlans = plans
    // Only rows that other ranks update must come here before they are read.
    if let read, isSharded { readPlans = try exchanged(read) }
  }

  private func exchanged(_ rows: [[Int32]]) throws(CollectiveError) -> [RowPlan] {
    var plans: [RowPlan] = []
    for table in tables {
      let used = try communicator.allGather(rows[table])
      sentBytes += (ranks.count - 1) * rows[table].count * MemoryLayout<Int32>.stride
      plans.append(RowPlan(used, tableRows: layout.entries[table].shape[0]))
    }
    return plans
  }

  // MARK: Weights

  /// Gets the rows that this rank reads in this step from the ranks that update them.
  package func pull(_ parameters: inout ParameterSet) throws(CollectiveError) {
    for (table, plan) in zip(tables, readPlans) {
      let columns = layout.entries[table].shape[1]
      // Owners give what others use.
      let counts = counts(columns) { owner, user in plan.counts[user][owner] }
      let wanted = ranks.filter { $0 != rank }.flatMap { plan.rows(plan.rows[$0], ownedBy: rank) }
      reserve(&outgoing, wanted.count * columns)
      outgoing.withMutableSpan(0..<wanted.count * columns) { span in
        parameters.copyRows(wanted, ofTable: table, to: &span, in: workspace)
      }
      try send(counts)
      let own = ranks.filter { $0 != rank }.flatMap { plan.rows(plan.rows[rank], ownedBy: $0) }
      incoming.withSpan(0..<own.count * columns) { span in
        parameters.replaceRows(own, ofTable: table, by: span)
      }
    }
  }

  /// Gives every rank all rows in use, as their owners have them.
  package func collect(
    _ parameters: inout ParameterSet, inUse: [RowSet]
  ) throws(CollectiveError) {
    for table in tables {
      let columns = layout.entries[table].shape[1]
      let rows = inUse[table].rows.sorted()
      // Some at a time, so that the memory for them stays small.
      let height = max(1, (1 << 21) / columns)
      for first in stride(from: 0, to: rows.count, by: height) {
        let part = rows[first..<min(first + height, rows.count)]
        let owned = ranks.map { rank in part.filter { Int($0) % ranks.count == rank } }
        let ranges = ranges(owned.map { $0.count * columns })
        reserve(&incoming, part.count * columns)
        incoming.withMutableSpan(ranges[rank]) { span in
          parameters.copyRows(owned[rank], ofTable: table, to: &span, in: workspace)
        }
        try gather(ranges)
        for owner in ranks where owner != rank {
          incoming.withSpan(ranges[owner]) { span in
            parameters.replaceRows(owned[owner], ofTable: table, by: span)
          }
        }
      }
    }
  }

  // MARK: Gradients

  /// Makes the gradient of each row that any rank used the sum over ranks: on every rank, or on the rank that owns the
  /// row. All of them count as touched on every rank.
  package func sum(_ gradients: GradientBuffer) throws(CollectiveError) {
    for (table, plan) in zip(tables, plans) {
      precondition(
        gradients.touchedRows[table].rows.allSatisfy {
          plan.rows[rank].contains($0, ascending: true)
        },
        "a row of table \(table) that the method did not announce")
      gradients.touch(plan.union, ofTable: table)
      let columns = layout.entries[table].shape[1]
      if isSharded {
        try sumAtOwners(gradients, table, plan)
        continue
      }
      let way = way ?? plan.cheapest
      sentBytes += plan.traffic(way) * columns * MemoryLayout<Float>.stride
      switch way {
      case .dense:
        try gradients.withTable(table) { (span) throws(CollectiveError) in
          try communicator.allReduce(&span, reduction)
        }
      case .toAll:
        let ranges = ranges(plan.rows.map { $0.count * columns })
        // With room for a row of zeros.
        reserve(&incoming, ranges[ranges.count - 1].upperBound + columns)
        incoming.withMutableSpan(ranges[rank]) { span in
          gradients.copyRows(plan.rows[rank], ofTable: table, to: &span)
        }
        try gather(ranges)
        fold(plan.union, of: plan.rows, starts: ranges.map(\.lowerBound), gradients, table)
      case .toOwners:
        try sumAtOwners(gradients, table, plan)
        let owned = ranks.map { plan.rows(plan.union, ownedBy: $0) }
        let ranges = ranges(owned.map { $0.count * columns })
        reserve(&incoming, plan.union.count * columns)
        incoming.withMutableSpan(ranges[rank]) { span in
          gradients.copyRows(owned[rank], ofTable: table, to: &span)
        }
        try gather(ranges)
        for owner in ranks where owner != rank {
          incoming.withSpan(ranges[owner]) { span in
            gradients.replaceRows(owned[owner], ofTable: table, by: span)
          }
        }
      }
    }
  }

  private func sumAtOwners(
    _ gradients: GradientBuffer, _ table: Int, _ plan: RowPlan
  ) throws(CollectiveError) {
    let columns = layout.entries[table].shape[1]
    let counts = counts(columns) { user, owner in plan.counts[user][owner] }
    let arriving = counts.reduce(0) { $0 + $1[rank] }
    let used = plan.rows.map { plan.rows($0, ownedBy: rank) }
    let leaving = ranks.filter { $0 != rank }.flatMap { plan.rows(plan.rows[rank], ownedBy: $0) }
    let own = used[rank].count * columns
    reserve(&outgoing, leaving.count * columns)
    // What arrives, the own rows, and room for a row of zeros.
    reserve(&incoming, arriving + own + columns)
    outgoing.withMutableSpan(0..<leaving.count * columns) { span in
      gradients.copyRows(leaving, ofTable: table, to: &span)
    }
    try send(counts)
    if isSharded { sentBytes += leaving.count * columns * MemoryLayout<Float>.stride }
    incoming.withMutableSpan(arriving..<arriving + own) { span in
      gradients.copyRows(used[rank], ofTable: table, to: &span)
    }
    var starts: [Int] = []
    var place = 0
    for user in ranks {
      starts.append(user == rank ? arriving : place)
      place += counts[user][rank]
    }
    fold(plan.rows(plan.union, ownedBy: rank), of: used, starts: starts, gradients, table)
  }

  /// Makes rows the sums of what each rank has of them, in `incoming`.
  ///
  /// - Parameters:
  ///   - parts: The rows that each rank has, ascending, and from which element of `incoming` on. A row of room
  ///     follows the last.
  private func fold(
    _ rows: [Int32], of parts: [[Int32]], starts: [Int], _ gradients: GradientBuffer, _ table: Int
  ) {
    let columns = layout.entries[table].shape[1]
    let zero = zip(starts, parts).map { $0 + $1.count * columns }.max() ?? 0
    incoming.withMutableSpan(zero..<zero + columns) { span in
      for column in span.indices { span[column] = 0 }
    }
    var next = [Int](repeating: 0, count: parts.count)
    var places = [Int](repeating: 0, count: parts.count)
    for row in rows {
      for (rank, part) in parts.enumerated() {
        let hasRow = next[rank] < part.count && part[next[rank]] == row
        places[rank] = hasRow ? starts[rank] + next[rank] * columns : zero
        if hasRow { next[rank] += 1 }
      }
      gradients.withRow(row, ofTable: table) { span in
        incoming.withSpan { order.sum($0, starts: places, into: &span) }
      }
    }
  }

  // MARK: Parts

  private var rank: Int { communicator.rank }
  private var ranks: Range<Int> { 0..<communicator.size }

  /// The floats that each rank has for each, none for itself.
  private func counts(_ columns: Int, _ rows: (Int, Int) -> Int) -> [[Int]] {
    ranks.map { from in ranks.map { to in from == to ? 0 : rows(from, to) * columns } }
  }

  private func ranges(_ counts: [Int]) -> [Range<Int>] {
    var end = 0
    return counts.map { count in
      defer { end += count }
      return end..<end + count
    }
  }

  /// Sends the start of `outgoing` to the other ranks, and takes what they send into the start of `incoming`.
  private func send(_ counts: [[Int]]) throws(CollectiveError) {
    let (sent, received) = (counts[rank].reduce(0, +), counts.reduce(0) { $0 + $1[rank] })
    reserve(&incoming, received)
    try outgoing.withSpan(0..<sent) { (from) throws(CollectiveError) in
      try incoming.withMutableSpan(0..<received) { (to) throws(CollectiveError) in
        try communicator.allToAll(from, into: &to, counts: counts)
      }
    }
  }

  /// Gives every rank the ranges of `incoming` that the others have.
  private func gather(_ ranges: [Range<Int>]) throws(CollectiveError) {
    let end = ranges[ranges.count - 1].upperBound
    try incoming.withMutableSpan(0..<end) { (span) throws(CollectiveError) in
      try communicator.allGather(&span, ranges: ranges)
    }
  }

  /// Makes a buffer large enough. What it held may be gone.
  private func reserve(_ room: inout FloatBuffer, _ count: Int) {
    if room.count < count { room = FloatBuffer(count: count + count / 4) }
  }
}

extension [Int32] {
  /// Whether an ascending list has an element. Cost: the logarithm of its length.
  fileprivate func contains(_ row: Int32, ascending: Bool) -> Bool {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < row { low = middle + 1 } else { high = middle }
    }
    return low < count && self[low] == row
  }
}
