public import Collectives
public import Tensors

/// The moments of AdamW of all ranks, for the first one to write down: each part comes together when its turn is.
///
/// The first rank calls ``forEachPart(of:kind:_:)`` for each entry and kind, in that order, the others ``give()``.
/// Memory: one part of 4 MiB.
public struct MomentCollection {
  /// The two moments, in the order in which they are given.
  enum Kind: CaseIterable {
    case first, second
  }

  let state: AdamWState
  private let shares: [OptimiserShare]
  private let communicator: any Communicator
  /// The rows in use of each table, ascending.
  let rows: [[Int32]]

  /// - Parameter shares: What each rank keeps.
  public init(
    _ state: AdamWState, _ shares: [OptimiserShare], over communicator: any Communicator
  ) {
    self.state = state
    self.shares = shares
    self.communicator = communicator
    rows = state.rowsInUse.map { $0.rows.sorted() }
  }

  /// The moments that one rank has.
  public init(_ state: AdamWState) {
    self.init(state, [state.share], over: SingleRank())
  }

  /// Gives the first rank what is kept here. Nothing to do on a rank that keeps what all keep.
  public func give() throws(CollectiveError) {
    if state.share.isAll { return }
    for entry in state.layout.entries.indices {
      for kind in Kind.allCases {
        for part in parts(of: entry) {
          let values = own(part, of: entry, kind)
          if !values.isEmpty { try communicator.send(values.span, to: 0, tag: entry) }
        }
      }
    }
  }

  /// Calls `body` with the moments of an entry, part by part: all of them, or, of a table, those of the rows in use.
  func forEachPart<Failure: Error>(
    of entry: Int, kind: Kind, _ body: (Span<Float>) throws(Failure) -> Void
  ) throws {
    for part in parts(of: entry) {
      if state.share.isAll {
        try body(own(part, of: entry, kind).span)
        continue
      }
      var values = [Float](repeating: 0, count: count(part, of: entry))
      for (rank, share) in shares.enumerated() {
        let places = places(part, of: entry, share)
        var theirs = [Float](repeating: 0, count: places.reduce(0) { $0 + $1.values.count })
        if rank == communicator.rank {
          theirs = own(part, of: entry, kind)
        } else if !theirs.isEmpty {
          var span = theirs.mutableSpan
          try communicator.receive(into: &span, from: rank, tag: entry)
        }
        var next = 0
        for place in places {
          values.replaceSubrange(place.values, with: theirs[next..<next + place.values.count])
          next += place.values.count
        }
      }
      try body(values.span)
    }
  }

  // MARK: Parts

  /// Ranges of dense floats, or of rows in use.
  private func parts(of entry: Int) -> [Range<Int>] {
    let shape = state.layout.entries[entry]
    let height = shape.isTable ? max(1, (1 << 20) / shape.shape[1]) : 1 << 20
    let count = shape.isTable ? rows[entry].count : shape.count
    return stride(from: 0, to: count, by: height).map { $0..<min($0 + height, count) }
  }

  private func count(_ part: Range<Int>, of entry: Int) -> Int {
    let shape = state.layout.entries[entry]
    return shape.isTable ? part.count * shape.shape[1] : part.count
  }

  /// Where what a share has of a part lies among the part's values, and where among the share's moments.
  private func places(
    _ part: Range<Int>, of entry: Int, _ share: OptimiserShare
  ) -> [(values: Range<Int>, moments: Int)] {
    let shape = state.layout.entries[entry]
    guard shape.isTable else {
      let start = shape.offset + part.lowerBound
      return share.parts(of: start..<start + part.count).map {
        ($0.floats.lowerBound - start..<$0.floats.upperBound - start, $0.start)
      }
    }
    let columns = shape.shape[1]
    return part.indices.filter { share.owns(row: rows[entry][$0]) }.map { index in
      let start = (index - part.lowerBound) * columns
      return (
        start..<start + columns,
        share.start(ofRow: rows[entry][index], table: entry, columns: columns)
      )
    }
  }

  private func own(_ part: Range<Int>, of entry: Int, _ kind: Kind) -> [Float] {
    let moments = kind == .first ? state.firstMoments : state.secondMoments
    var values: [Float] = []
    for place in places(part, of: entry, state.share) {
      moments.withSpan(place.moments..<place.moments + place.values.count) { span in
        for index in span.indices { values.append(span[index]) }
      }
    }
    return values
  }
}
