import Collectives
import Determinism
import Glibc
import Testing

extension CommunicatorCheck {
  static let all: [CommunicatorCheck] =
    [
      rankAndSize, arrayLiteralsKeepTheirValues, broadcastCopiesTheRoot,
      allReduceIsTheReductionInRankOrder,
      minimumAndMaximumKeepNaN, allGatherKeepsUnequalCounts, allToAllGivesEachItsPart,
      reduceScatterThenGatherIsTheSum,
      smallPiecesGiveTheSameValues, messagesArrive, splitMakesGroups,
      treeOrderGivesTheBitsOfOneRank, disagreementIsSeenByAll, messagesMustAgree,
      aPlanIsAgreedOnOnce, aCallThatIsNotPlannedIsNamed, placesInTheRunMustAgree,
      whatIsNotFiniteDoesNotMove,
      absentRankIsNamed, aMessageDoesNotMeetACollective,
    ]

  static let awkwardCounts = [0, 1, 2, 3, 7, 64, 4095, 4096, 4097, 50_001]

  static let rankAndSize = CommunicatorCheck("ranks are numbered") { group in
    try group.barrier()
    let ranks = try group.allGather([Int64(group.rank)])
    try expect(ranks, equals: (0..<group.size).map { [Int64($0)] }, "ranks", on: group)
    try expect(group.hostName.isEmpty, equals: false, "host name", on: group)
    try expect(try group.allReduce(Int64(1), .sum), equals: Int64(group.size), "ones", on: group)
  }

  /// The optimizer of Swift 6.3 may drop the stores into an array literal that only a span reads.
  static let arrayLiteralsKeepTheirValues = CommunicatorCheck("array literals keep their values") {
    group in
    let number = Double(group.rank)
    let sizes = Double(group.size)
    var pair = [number + 1, 2]
    try group.allReduce(&pair, .sum)
    try expect(pair, equals: [sizes * (sizes + 1) / 2, 2 * sizes], "sums", on: group)
    var three = [number, 7, number + 5]
    try group.broadcast(&three, from: group.size - 1)
    try expect(three, equals: [sizes - 1, 7, sizes + 4], "broadcast", on: group)
    var tree = [Float(1), 4]
    try group.allReduce(&tree, .treeSum(shards: 8))
    try expect(tree, equals: [Float(sizes), Float(4 * sizes)], "tree", on: group)
    let gathered = try group.allGather([number, -number, 3])
    try expect(
      gathered, equals: (0..<group.size).map { [Double($0), -Double($0), 3] }, "gather", on: group)
  }

  static let broadcastCopiesTheRoot = CommunicatorCheck("broadcast copies the root") { group in
    func run<E: TestElement>(_ type: E.Type) throws {
      for count in awkwardCounts {
        for root in 0..<group.size {
          var values: [E] = elements(count, group.rank, count)
          try group.broadcast(&values, from: root)
          try expect(
            values, equals: elements(count, root, count), "\(count) of \(E.self)", on: group)
        }
      }
    }
    try run(Float.self)
    try run(Double.self)
    try run(Int64.self)
    try run(UInt8.self)
  }

  static let allReduceIsTheReductionInRankOrder = CommunicatorCheck(
    "allReduce is the reduction in the order of the ranks"
  ) { group in
    func run<E: ReducibleTestElement>(_ type: E.Type) throws {
      for count in awkwardCounts {
        for reduction in [Reduction.sum, .min, .max] {
          var values: [E] = elements(count, group.rank, count)
          try group.allReduce(&values, reduction)
          let expected: [E] = reduced(count, ranks: group.size, count: count, reduction)
          try expect(
            values, equals: expected, "\(reduction) of \(count) of \(E.self)", on: group)
        }
      }
    }
    try run(Float.self)
    try run(Double.self)
    try run(Int64.self)
  }

  static let minimumAndMaximumKeepNaN = CommunicatorCheck("min and max keep NaN") { group in
    for reduction in [Reduction.min, .max] {
      for rank in 0..<group.size {
        let value = try group.allReduce(group.rank == rank ? Double.nan : 1, reduction)
        try expect(value.isNaN, equals: true, "\(reduction) with NaN of rank \(rank)", on: group)
      }
    }
  }

  static let allGatherKeepsUnequalCounts = CommunicatorCheck("allGather of unequal counts") {
    group in
    func run<E: TestElement>(_ type: E.Type) throws {
      for base in [0, 1, 1000] {
        func count(_ rank: Int) -> Int { (rank * 7 + base) % (base + 3) }
        let values: [E] = elements(base, group.rank, count(group.rank))
        let gathered = try group.allGather(values)
        let expected: [[E]] = (0..<group.size).map { elements(base, $0, count($0)) }
        try expect(gathered, equals: expected, "base \(base) of \(E.self)", on: group)
      }
    }
    try run(Float.self)
    try run(Double.self)
    try run(Int64.self)
    try run(UInt8.self)
  }

  static let allToAllGivesEachItsPart = CommunicatorCheck("allToAll gives each its part") { group in
    for count in [0, 1, 40, 30_000] {
      try allToAll(Float.self, number: 3, count: count, on: group)
      try allToAll(Int32.self, number: 4, count: count, on: group)
    }
  }

  /// Ranks give each other parts of different lengths, some of them empty.
  private static func allToAll<E: TestElement>(
    _ type: E.Type, number: Int, count: Int, on group: any Communicator
  ) throws {
    let ranks = 0..<group.size
    let counts = ranks.map { from in
      ranks.map { to in from == to ? 0 : count * ((from + 2 * to + number) % 4) / 3 }
    }
    // What goes from one rank to another differs from all else.
    func part(_ from: Int, _ to: Int) -> [E] {
      elements(number + to, from, counts[from][to])
    }
    let values: [E] = ranks.flatMap { part(group.rank, $0) }
    let expected: [E] = ranks.flatMap { part($0, group.rank) }
    var received = [E](repeating: element(0, 0, 0), count: expected.count)
    try unsafe values.withUnsafeBufferPointer { values in
      var span = received.mutableSpan
      try group.allToAll(unsafe Span(_unsafeElements: values), into: &span, counts: counts)
    }
    try expect(received, equals: expected, "\(count) of \(E.self)", on: group)
  }

  static let reduceScatterThenGatherIsTheSum = CommunicatorCheck(
    "reduceScatter, then allGather of ranges, is the sum"
  ) { group in
    for count in awkwardCounts {
      for seed in 0..<3 {
        let ranges = unevenRanges(count: count, ranks: group.size, seed: UInt64(seed))
        let own = ranges[group.rank]
        var values: [Float] = elements(count, group.rank, count)
        var span = values.mutableSpan
        try group.reduceScatter(&span, ranges: ranges, .sum)
        let expected: [Float] = reduced(count, ranks: group.size, count: count, .sum)
        try expect(
          Array(values[own]), equals: Array(expected[own]), "\(own) of \(count)", on: group)
        span = values.mutableSpan
        try group.allGather(&span, ranges: ranges)
        try expect(values, equals: expected, "\(ranges) of \(count)", on: group)

        // Along the tree: the bits of the same all-reduce.
        let input: [Float] = elements(count, group.rank, count)
        var (scattered, wanted) = (input, input)
        try group.allReduce(&wanted, .treeSum(shards: 16))
        span = scattered.mutableSpan
        try group.reduceScatter(&span, ranges: ranges, .treeSum(shards: 16))
        try expect(
          Array(scattered[own]), equals: Array(wanted[own]), "tree, \(own) of \(count)", on: group)
      }
    }
  }

  static let smallPiecesGiveTheSameValues = CommunicatorCheck("pieces give the same values") {
    group in
    let settings = group.settings
    defer { group.settings = settings }
    for pieceBytes in [5, 24, 4096] {
      group.settings.pieceBytes = pieceBytes
      let count = pieceBytes * 5 / 4 + group.size * 9
      var values: [Float] = elements(count, group.rank, count)
      try group.allReduce(&values, .sum)
      let sum: [Float] = reduced(count, ranks: group.size, count: count, .sum)
      try expect(values, equals: sum, "sum in pieces of \(pieceBytes) bytes", on: group)

      var bytes: [UInt8] = elements(count, group.rank, count)
      try group.broadcast(&bytes, from: group.size - 1)
      let root: [UInt8] = elements(count, group.size - 1, count)
      try expect(bytes, equals: root, "broadcast in pieces of \(pieceBytes) bytes", on: group)

      let gathered = try group.allGather(
        elements(count, group.rank, count + group.rank) as [Double])
      let expected: [[Double]] = (0..<group.size).map { elements(count, $0, count + $0) }
      try expect(gathered, equals: expected, "gather in pieces of \(pieceBytes)", on: group)

      var large: [Double] = elements(1, group.rank, 9000)
      group.settings.pieceBytes = pieceBytes * 100
      try group.allReduce(&large, .max)
      let largest: [Double] = reduced(1, ranks: group.size, count: 9000, .max)
      try expect(large, equals: largest, "maximum in rounds", on: group)
    }
  }

  static let messagesArrive = CommunicatorCheck("messages arrive") { group in
    guard group.size > 1 else { return }
    // Around the ring, one link after the other.
    for sender in 0..<group.size {
      let receiver = (sender + 1) % group.size
      for count in [0, 1, 70_000] {
        if group.rank == sender {
          let values: [Float] = elements(count, sender, count)
          try group.send(values.span, to: receiver, tag: count + 1)
        } else if group.rank == receiver {
          var values = [Float](repeating: 0, count: count)
          var span = values.mutableSpan
          try group.receive(into: &span, from: sender, tag: count + 1)
          try expect(values, equals: elements(count, sender, count), "\(count)", on: group)
        }
      }
    }
    try group.barrier()
  }

  static let splitMakesGroups = CommunicatorCheck("split makes groups") { group in
    // Odd and even ranks, in reverse order.
    let part = try group.split(color: group.rank % 2, key: -group.rank)
    let members = (0..<group.size).filter { $0 % 2 == group.rank % 2 }
    try expect(part.size, equals: members.count, "size", on: group)
    try expect(members.reversed()[part.rank], equals: group.rank, "rank", on: group)
    let sum = try part.allReduce(Int64(group.rank), .sum)
    try expect(sum, equals: Int64(members.reduce(0, +)), "sum of the part", on: group)
    let order = try part.allGather([Int64(group.rank)]).map { Int($0[0]) }
    try expect(order, equals: members.reversed(), "order of the part", on: group)

    // The parts do not wait for each other, and a part of a part is a group too.
    let alone = try part.split(color: part.rank, key: 0)
    try alone.barrier()
    try expect(alone.size, equals: 1, "size alone", on: group)
    let again = try group.split(color: 7, key: 0)
    try expect(again.rank, equals: group.rank, "rank again", on: group)
    try again.barrier()
    try group.barrier()
  }

  static let treeOrderGivesTheBitsOfOneRank = CommunicatorCheck(
    "sums in tree order have the bits of one rank"
  ) { group in
    func run<E: ReducibleTestElement>(_ type: E.Type) throws {
      for shards in [8, 12] where shards >= group.size {
        for count in [1, 100, 20_003] {
          func sum(_ shards: Range<Int>) -> [E] {
            FoldTree.fold(shards.count) { shard -> [E] in
              elements(count, 1000 + shards.lowerBound + shard, count)
            } combine: { left, right in
              zip(left, right).map { $0 + $1 }
            }
          }
          let nodes = FoldTree.nodes(shards: shards, ranks: group.size)
          var values = sum(nodes[group.rank])
          try group.allReduce(&values, .treeSum(shards: shards))
          try expect(
            values, equals: sum(0..<shards), "\(count) of \(E.self) over \(shards)", on: group)
        }
      }
    }
    try run(Float.self)
    try run(Double.self)
  }

  static let disagreementIsSeenByAll = CommunicatorCheck("disagreement is seen by all") { group in
    guard group.size > 1 else { return }
    let odd = group.size - 1
    let isOdd = group.rank == odd
    let others = isOdd ? Array(0..<odd) : [odd]
    func sum<E: ReducibleTestElement>(_ zero: E, _ count: Int, _ reduction: Reduction = .sum)
      throws
    {
      var values = [E](repeating: zero, count: count)
      try group.allReduce(&values, reduction)
    }
    try expect(.disagreement, about: others, on: group) { try sum(Float(0), isOdd ? 9 : 10) }
    try expect(.disagreement, about: others, on: group) { try sum(Float(0), isOdd ? 0 : 10) }
    try expect(.disagreement, about: others, on: group) {
      try sum(Float(0), 10, isOdd ? .max : .sum)
    }
    try expect(.disagreement, about: others, on: group) {
      try isOdd ? sum(Int64(0), 5) : sum(Double(0), 5)
    }
    try expect(.disagreement, about: others, on: group) {
      var values: [UInt8] = [1]
      try group.broadcast(&values, from: isOdd ? 1 : 0)
    }
    try expect(.disagreement, about: others, on: group) {
      isOdd ? try group.barrier() : try sum(Float(0), 3)
    }
    try expect(.disagreement, about: others, on: group) {
      var ranges = unevenRanges(count: 40, ranks: group.size, seed: 1)
      if isOdd { ranges[0] = 0..<0 } else { ranges[0] = 0..<ranges[0].upperBound }
      if ranges[0].isEmpty && !isOdd { ranges[0] = 1..<1 }
      var values = [Float](repeating: 0, count: 40)
      var span = values.mutableSpan
      try group.reduceScatter(&span, ranges: ranges, .sum)
    }
    try expect(.disagreement, about: others, on: group) {
      var values = [Float](repeating: 0, count: 4)
      try group.allReduce(&values, .treeSum(shards: isOdd ? 16 : 17))
    }
    try expect(.disagreement, about: others, on: group) {
      let counts = (0..<group.size).map { from in
        (0..<group.size).map { from == $0 ? 0 : isOdd ? 2 : 3 }
      }
      let length = counts[0].reduce(0, +)
      let values = [Float](repeating: 0, count: length)
      var received = values
      var span = received.mutableSpan
      try group.allToAll(values.span, into: &span, counts: counts)
    }
    // No payload has moved, and the group goes on.
    try expect(try group.allReduce(Int64(2), .sum), equals: Int64(2 * group.size), "2", on: group)
  }

  static let aPlanIsAgreedOnOnce = CommunicatorCheck("a plan is agreed on once") { group in
    let own = try group.split(color: 0, key: group.rank)
    let plan = CallPlan("sums", of: own)
    for round in 0..<4 {
      try plan.begin()
      for count in [7, 100, 40_000] {
        var values = [Float](repeating: Float(round), count: count)
        try own.allReduce(&values, .sum)
        try expect(
          values, equals: [Float](repeating: Float(round * group.size), count: count), "sums",
          on: group)
      }
      try plan.end()
      // Outside of the plan anything goes.
      try own.barrier()
    }
  }

  static let aCallThatIsNotPlannedIsNamed = CommunicatorCheck("a call not planned is named") {
    group in
    guard group.size > 1 else { return }
    let own = try group.split(color: 0, key: group.rank)
    own.settings.timeoutSeconds = 3
    let plan = CallPlan("sums", of: own)
    func sum(_ count: Int) throws {
      var values = [Float](repeating: 1, count: count)
      try own.allReduce(&values, .sum)
    }
    for _ in 0..<2 {
      try plan.begin()
      for count in [7, 8] { try sum(count) }
      try plan.end()
    }
    try plan.begin()
    if group.rank == 1 {
      // The rank that skips a call knows it, whatever the others wait for.
      do {
        try sum(8)
        throw CheckFailure(description: "rank 1 skipped a call in silence")
      } catch let error as CollectiveError {
        try expect(error.code, equals: .disagreement, "code of “\(error)”", on: group)
        try expect(
          "\(error)",
          equals:
            "rank 1: allReduce (sum) of 8 floats: this rank skipped allReduce (sum) of 7 floats, "
            + "call 1 of 2 of plan 'sums'", "text", on: group)
      }
      try expect(.disagreement, about: [], on: group) { try plan.end() }
    } else {
      try expect(.timeout, about: [1], on: group) { try sum(7) }
    }
    // The lists themselves are compared.
    let other = try group.split(color: 0, key: group.rank)
    let lists = CallPlan("lists", of: other)
    try lists.begin()
    try lists.end()
    let uneven = CallPlan(group.rank == 0 ? "a" : "b", of: other)
    try expect(
      .disagreement, about: group.rank == 0 ? Array(1..<group.size) : [0], on: group
    ) { try uneven.begin() }
    try group.barrier()
  }

  static let placesInTheRunMustAgree = CommunicatorCheck("places in the run must agree") { group in
    guard group.size > 1 else { return }
    let odd = group.size - 1
    let isOdd = group.rank == odd
    let others = isOdd ? Array(0..<odd) : [odd]
    defer { group.activity.position = RunPosition() }
    group.activity.position = RunPosition(step: isOdd ? 8 : 9, cursor: 5)
    try expect(.disagreement, about: others, on: group) { try group.barrier() }
    group.activity.position = RunPosition(step: 9, cursor: isOdd ? 4 : 5)
    try expect(.disagreement, about: others, on: group) { try group.barrier() }
    group.activity.position = RunPosition(step: 9, cursor: 5)
    try group.barrier()
  }

  static let whatIsNotFiniteDoesNotMove = CommunicatorCheck("what is not finite does not move") {
    group in
    guard group.size > 1 else { return }
    let own = try group.split(color: 0, key: group.rank)
    let plan = CallPlan("sums", of: own)
    let bad = group.size / 2
    for other in 0..<group.size {
      do {
        try plan.begin(notFinite: group.rank == bad || group.rank == other)
        throw CheckFailure(description: "rank \(group.rank): no error")
      } catch let error as CollectiveError {
        try expect(error.code, equals: .notFinite, "code of “\(error)”", on: group)
        try expect(error.others, equals: Set([bad, other]).sorted(), "ranks", on: group)
      }
    }
    // The group goes on.
    try plan.begin()
    try plan.end()
  }

  static let messagesMustAgree = CommunicatorCheck("messages must agree") { group in
    guard group.size > 1 else { return }
    for (counts, tags) in [((4, 5), (1, 1)), ((4, 4), (1, 2)), ((0, 100_000), (1, 1))] {
      if group.rank == 0 {
        try expect(.disagreement, about: [1], on: group) {
          let values = [Float](repeating: 1, count: counts.0)
          try group.send(values.span, to: 1, tag: tags.0)
        }
      } else if group.rank == 1 {
        try expect(.disagreement, about: [0], on: group) {
          var values = [Float](repeating: 0, count: counts.1)
          var span = values.mutableSpan
          try group.receive(into: &span, from: 0, tag: tags.1)
        }
      }
    }
    try group.barrier()
  }

  static let absentRankIsNamed = CommunicatorCheck("an absent rank is named") { group in
    guard group.size > 1 else { return }
    let part = try group.split(color: 0, key: 0)
    let absent = group.size / 2
    if group.rank != absent {
      part.settings.timeoutSeconds = 3
      try expect(.timeout, about: [absent], on: part) {
        var values = [Float](repeating: 0, count: 123)
        try part.allReduce(&values, .sum)
      }
      // The part is lost, and says so at once.
      try expect(.aborted, about: [absent], on: part) { try part.barrier() }
    }
    // Another group is not touched.
    try group.barrier()
  }

  static let aMessageDoesNotMeetACollective = CommunicatorCheck(
    "a message does not meet a collective"
  ) { group in
    guard group.size > 1 else { return }
    let part = try group.split(color: 0, key: 0)
    part.settings.timeoutSeconds = 3
    if group.rank == 0 {
      try expect(.disagreement, about: [1], on: part) {
        let values = [Float](repeating: 1, count: 8)
        try part.send(values.span, to: 1, tag: 3)
      }
    } else {
      // Rank 1 hears of the message; the others miss rank 0, which sent it to rank 1 alone.
      try expect(group.rank == 1 ? .disagreement : .timeout, about: [0], on: part) {
        var values = [Float](repeating: 1, count: 8)
        try part.allReduce(&values, .sum)
      }
    }
    try group.barrier()
  }

  /// `count` random operations, the same on each rank, whose results are known.
  static func randomOperations(_ count: Int, seed: UInt64) -> CommunicatorCheck {
    CommunicatorCheck("\(count) random operations of seed \(seed)") { group in
      var random = RandomStream(seed: seed, "operations")
      for number in 0..<count {
        switch random.below(3) {
        case 0: try randomOperation(number, Float.self, &random, group)
        case 1: try randomOperation(number, Double.self, &random, group)
        default: try randomOperation(number, Int64.self, &random, group)
        }
      }
    }
  }

  private static func randomOperation<E: ReducibleTestElement>(
    _ number: Int, _ type: E.Type, _ random: inout RandomStream, _ group: any Communicator
  ) throws {
    // Mostly small, now and then beyond what one round carries.
    let count = random.below(random.below(50) == 0 ? 6000 : 40)
    let root = random.below(group.size)
    var values: [E] = elements(number, group.rank, count)
    let kind = random.below(8)
    let what = "operation \(number), kind \(kind), \(count) of \(E.self), root \(root)"
    switch kind {
    case 0:
      try group.barrier()
    case 1:
      try group.broadcast(&values, from: root)
      try expect(values, equals: elements(number, root, count), what, on: group)
    case 2:
      let reduction = [Reduction.sum, .min, .max][random.below(3)]
      try group.allReduce(&values, reduction)
      let expected: [E] = reduced(number, ranks: group.size, count: count, reduction)
      try expect(values, equals: expected, what, on: group)
    case 3:
      let gathered = try group.allGather(Array(values.prefix(count / (group.rank + 1))))
      let expected: [[E]] = (0..<group.size).map { elements(number, $0, count / ($0 + 1)) }
      try expect(gathered, equals: expected, what, on: group)
    case 4:
      let ranges = unevenRanges(count: count, ranks: group.size, seed: UInt64(number))
      var span = values.mutableSpan
      try group.reduceScatter(&span, ranges: ranges, .sum)
      let expected: [E] = reduced(number, ranks: group.size, count: count, .sum)
      let own = ranges[group.rank]
      try expect(Array(values[own]), equals: Array(expected[own]), what, on: group)
    case 5:
      let ranges = unevenRanges(count: count, ranks: group.size, seed: UInt64(number))
      var span = values.mutableSpan
      try group.allGather(&span, ranges: ranges)
      let expected: [E] = ranges.indices.flatMap { rank in
        ranges[rank].map { element(number, rank, $0) }
      }
      try expect(values, equals: expected, what, on: group)
    case 6:
      try allToAll(E.self, number: number, count: count, on: group)
    default:
      guard group.size > 1 else { return }
      let receiver = (root + 1 + random.below(group.size - 1)) % group.size
      if group.rank == root {
        try group.send(values.span, to: receiver, tag: number)
      } else if group.rank == receiver {
        var span = values.mutableSpan
        try group.receive(into: &span, from: root, tag: number)
        try expect(values, equals: elements(number, root, count), what, on: group)
      }
    }
  }
}
