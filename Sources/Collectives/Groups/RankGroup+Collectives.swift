extension RankGroup {
  /// Payloads up to this size take one round of messages instead of two of parts.
  private var smallBytes: Int { 16384 }

  func barrier() throws(CollectiveError) {
    try use(Call(operation: .barrier)) { use throws(CollectiveError) in
      _ = try agree(use, with: peers)
    }
  }

  func broadcast<E: CollectiveElement>(_ values: inout MutableSpan<E>, from root: Int)
    throws(CollectiveError)
  {
    check(rank: root, "the root of a broadcast")
    let call = Call(
      operation: .broadcast, element: E.elementType, count: values.count, detail: root)
    try unsafe values.withUnsafeMutableBytes { bytes throws(CollectiveError) in
      try use(call) { use throws(CollectiveError) in
        try agree(use, with: peers)
        try unsafe broadcast(bytes, use)
      }
    }
  }

  func allReduce<E: ReducibleElement>(_ values: inout MutableSpan<E>, _ reduction: Reduction)
    throws(CollectiveError)
  {
    let call = Call(
      operation: .allReduce, element: E.elementType, count: values.count,
      detail: reduction.code)
    let order = FoldOrder(reduction, ranks: size)
    try unsafe values.withUnsafeMutableBytes { bytes throws(CollectiveError) in
      try use(call) { use throws(CollectiveError) in
        try agree(use, with: peers)
        try unsafe allReduce(bytes, order, reduction, use)
      }
    }
  }

  func allGather<E: CollectiveElement>(_ values: Span<E>) throws(CollectiveError) -> [[E]] {
    let call = Call(operation: .gather, element: E.elementType)
    return try use(call) { use throws(CollectiveError) in
      try gather(values, use)
    }
  }

  func reduceScatter<E: ReducibleElement>(
    _ values: inout MutableSpan<E>, ranges: [Range<Int>], _ reduction: Reduction
  ) throws(CollectiveError) {
    checkRanges(ranges, within: values.count, ranks: size)
    let call = Call(
      operation: .reduceScatter, element: E.elementType, count: values.count,
      detail: reduction.code, hash: Call.hash(ranges))
    let order = FoldOrder(reduction, ranks: size)
    try unsafe values.withUnsafeMutableBytes { bytes throws(CollectiveError) in
      try use(call) { use throws(CollectiveError) in
        try agree(use, with: peers)
        try unsafe reduceScatter(bytes, ranges, order, reduction, use)
      }
    }
  }

  func allGather<E: CollectiveElement>(_ values: inout MutableSpan<E>, ranges: [Range<Int>])
    throws(CollectiveError)
  {
    checkRanges(ranges, within: values.count, ranks: size)
    let call = Call(
      operation: .gatherRanges, element: E.elementType, count: values.count,
      hash: Call.hash(ranges))
    try unsafe values.withUnsafeMutableBytes { bytes throws(CollectiveError) in
      try use(call) { use throws(CollectiveError) in
        try agree(use, with: peers)
        try unsafe gather(bytes, ranges, use)
      }
    }
  }

  func allToAll<E: CollectiveElement>(
    _ values: Span<E>, into received: inout MutableSpan<E>, counts: [[Int]]
  ) throws(CollectiveError) {
    checkCounts(counts, ranks: size)
    let stride = MemoryLayout<E>.stride
    let sends = byteRanges(counts[rank], stride: stride, within: values.count)
    let receives = byteRanges(counts.map { $0[rank] }, stride: stride, within: received.count)
    let call = Call(
      operation: .allToAll, element: E.elementType, hash: Call.hash(counts))
    try unsafe values.withUnsafeBytes { from throws(CollectiveError) in
      try unsafe received.withUnsafeMutableBytes { into throws(CollectiveError) in
        try use(call) { use throws(CollectiveError) in
          try agree(use, with: peers)
          var pending: [Pending] = []
          for peer in peers {
            try unsafe startReceive(
              .init(rebasing: into[receives[peer]]), from: peer, .payload, &pending, use)
          }
          for peer in peers {
            try unsafe startSend(
              .init(rebasing: from[sends[peer]]), to: peer, .payload, &pending, use)
          }
          try wait(&pending, use)
        }
      }
    }
  }

  func send<E: CollectiveElement>(_ values: Span<E>, to receiver: Int, tag: Int)
    throws(CollectiveError)
  {
    check(rank: receiver, "the receiver of a message")
    precondition(receiver != rank, "rank \(rank) sends to itself")
    let call = Call(
      operation: .pointToPoint, element: E.elementType, count: values.count, detail: tag,
      sends: true)
    try unsafe values.withUnsafeBytes { bytes throws(CollectiveError) in
      try use(call) { use throws(CollectiveError) in
        try agree(use, with: [receiver])
        var pending: [Pending] = []
        try unsafe startSend(bytes, to: receiver, .payload, &pending, use)
        try wait(&pending, use)
      }
    }
  }

  func receive<E: CollectiveElement>(
    into values: inout MutableSpan<E>, from sender: Int, tag: Int
  ) throws(CollectiveError) {
    check(rank: sender, "the sender of a message")
    precondition(sender != rank, "rank \(rank) receives from itself")
    let call = Call(
      operation: .pointToPoint, element: E.elementType, count: values.count, detail: tag)
    try unsafe values.withUnsafeMutableBytes { bytes throws(CollectiveError) in
      try use(call) { use throws(CollectiveError) in
        try agree(use, with: [sender])
        var pending: [Pending] = []
        try unsafe startReceive(bytes, from: sender, .payload, &pending, use)
        try wait(&pending, use)
      }
    }
  }

  func split(color: Int, key: Int) throws(CollectiveError) -> any Communicator {
    try use(Call(operation: .split)) { use throws(CollectiveError) in
      let choices = try unsafe [Int64(color), Int64(key)].withUnsafeBufferPointer {
        choice throws(CollectiveError) in
        try gather(unsafe Span(_unsafeElements: choice), use)
      }
      let colors = choices.map { $0[0] }
      let members = choices.indices.filter { colors[$0] == colors[rank] }
        .sorted { (choices[$0][1], $0) < (choices[$1][1], $1) }
      // The number of a color is the first rank that chose it.
      let number = colors.firstIndex(of: colors[rank]) ?? rank
      do throws(TransportFailure) {
        let part = try transport.split(
          sequence: UInt64(use.sequence), color: number, members: members)
        return RankGroup(
          part, settings: use.settings, activity: activity, jobRanks: members.map { jobRanks[$0] })
      } catch {
        throw CollectiveError(
          code: error.code, operation: "\(use.call)", rank: jobRank, detail: error.detail)
      }
    }
  }

  func splitByMachine() throws(CollectiveError) -> any Communicator {
    try use(Call(operation: .split, detail: 1)) { use throws(CollectiveError) in
      try agree(use, with: peers)
      let part: T
      do throws(TransportFailure) {
        part = try transport.splitByMachine(sequence: UInt64(use.sequence))
      } catch {
        throw CollectiveError(
          code: error.code, operation: "\(use.call)", rank: jobRank, detail: error.detail)
      }
      let members = try RankGroup(part, settings: use.settings, activity: activity)
        .allGather([Int64(jobRank)]).map { Int($0[0]) }
      return RankGroup(part, settings: use.settings, activity: activity, jobRanks: members)
    }
  }

  // MARK: Raw bytes

  private func broadcast(_ bytes: UnsafeMutableRawBufferPointer, _ use: Use)
    throws(CollectiveError)
  {
    let root = use.call.detail
    if size == 1 || bytes.count == 0 { return }
    if bytes.count <= smallBytes || size == 2 {
      var pending: [Pending] = []
      if rank == root {
        for peer in peers {
          try unsafe startSend(.init(bytes), to: peer, .payload, &pending, use)
        }
      } else {
        try unsafe startReceive(bytes, from: root, .payload, &pending, use)
      }
      try wait(&pending, use)
      return
    }
    // The root gives every rank one part, and the ranks give the parts to each other.
    let ranges = evenRanges(use)
    var pending: [Pending] = []
    if rank == root {
      for peer in peers {
        try unsafe startSend(
          .init(rebasing: bytes[inBytes(ranges[peer], use)]), to: peer, .payload, &pending, use)
      }
    } else {
      try unsafe startReceive(
        .init(rebasing: bytes[inBytes(ranges[rank], use)]), from: root, .payload, &pending, use)
    }
    try wait(&pending, use)
    try unsafe gather(bytes, ranges, use)
  }

  private func allReduce(
    _ bytes: UnsafeMutableRawBufferPointer, _ order: FoldOrder, _ reduction: Reduction, _ use: Use
  ) throws(CollectiveError) {
    if size == 1 || bytes.count == 0 { return }
    if bytes.count <= smallBytes {
      try unsafe allReduceAtOnce(bytes, order, reduction, use)
    } else {
      let ranges = evenRanges(use)
      try unsafe reduceScatter(bytes, ranges, order, reduction, use)
      try unsafe gather(bytes, ranges, use)
    }
  }

  /// Every rank sends all to every other, and folds for itself.
  private func allReduceAtOnce(
    _ bytes: UnsafeMutableRawBufferPointer, _ order: FoldOrder, _ reduction: Reduction, _ use: Use
  ) throws(CollectiveError) {
    guard let base = bytes.baseAddress else { return }
    let room = Room(byteCount: size * bytes.count)
    defer { room.end() }
    var parts = unsafe [UnsafeRawPointer](repeating: UnsafeRawPointer(base), count: size)
    var pending: [Pending] = []
    room.isQuiet = false
    for peer in peers {
      let part = unsafe room.slice(at: peer * bytes.count, byteCount: bytes.count)
      unsafe parts[peer] = UnsafeRawPointer(part.baseAddress ?? base)
      try unsafe startReceive(part, from: peer, .payload, &pending, use)
    }
    for peer in peers { try unsafe startSend(.init(bytes), to: peer, .payload, &pending, use) }
    try wait(&pending, use)
    room.isQuiet = true
    unsafe order.fold(
      parts, count: use.call.count, of: use.call.element, reduction, into: base)
  }

  /// Each rank folds its own range, of which every other rank sends it its part, round by round. The next round is on
  /// its way while one is folded.
  private func reduceScatter(
    _ bytes: UnsafeMutableRawBufferPointer, _ ranges: [Range<Int>], _ order: FoldOrder,
    _ reduction: Reduction, _ use: Use
  ) throws(CollectiveError) {
    guard size > 1, let base = bytes.baseAddress else { return }
    let stride = use.call.element.byteCount
    let longest = ranges.reduce(0) { max($0, $1.count) }
    // A round's messages together are about as long as one range, within bounds that keep a message
    // worth its latency and the fold in the cache.
    let roundBytes = min(max(longest * stride / (size - 1), 1 << 16), 1 << 22)
    let roundLength = max(1, roundBytes / stride)
    let ownLength = min(roundLength, ranges[rank].count)
    // Two rounds: one that is folded, one that arrives.
    let room = Room(byteCount: 2 * size * ownLength * stride)
    defer { room.end() }

    func part(_ range: Range<Int>, from offset: Int) -> Range<Int> {
      let lower = min(range.lowerBound + offset, range.upperBound)
      return lower..<min(lower + roundLength, range.upperBound)
    }
    func place(_ round: Int, of peer: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
      unsafe room.slice(
        at: ((round % 2) * size + peer) * ownLength * stride, byteCount: count * stride)
    }
    func start(_ round: Int) throws(CollectiveError) -> [Pending] {
      var pending: [Pending] = []
      let offset = round * roundLength
      let count = part(ranges[rank], from: offset).count
      for peer in peers {
        try unsafe startReceive(
          place(round, of: peer, count), from: peer, .payload, &pending, use)
      }
      for peer in peers {
        let range = inBytes(part(ranges[peer], from: offset), use)
        try unsafe startSend(.init(rebasing: bytes[range]), to: peer, .payload, &pending, use)
      }
      return pending
    }
    let rounds = (longest + roundLength - 1) / roundLength
    room.isQuiet = false
    var pending = try start(0)
    for round in 0..<rounds {
      var next: [Pending] = []
      do throws(CollectiveError) {
        if round + 1 < rounds { next = try start(round + 1) }
        try wait(&pending, use)
      } catch {
        cancel(&pending)
        cancel(&next)
        throw error
      }
      let own = part(ranges[rank], from: round * roundLength)
      let target = unsafe base + own.lowerBound * stride
      let parts = unsafe (0..<size).map { peer in
        unsafe UnsafeRawPointer(
          peer == rank ? target : place(round, of: peer, own.count).baseAddress ?? target)
      }
      unsafe order.fold(parts, count: own.count, of: use.call.element, reduction, into: target)
      pending = next
    }
    room.isQuiet = true
  }

  /// Each rank sends its range to every other.
  private func gather(
    _ bytes: UnsafeMutableRawBufferPointer, _ ranges: [Range<Int>], _ use: Use
  ) throws(CollectiveError) {
    var pending: [Pending] = []
    for peer in peers {
      try unsafe startReceive(
        .init(rebasing: bytes[inBytes(ranges[peer], use)]), from: peer, .payload, &pending, use)
    }
    let own = unsafe UnsafeRawBufferPointer(rebasing: bytes[inBytes(ranges[rank], use)])
    for peer in peers { try unsafe startSend(own, to: peer, .payload, &pending, use) }
    try wait(&pending, use)
  }

  /// Gathers values of which each rank brings its own count, by rank.
  private func gather<E: CollectiveElement>(_ values: Span<E>, _ use: Use)
    throws(CollectiveError) -> [[E]]
  {
    let stride = MemoryLayout<E>.stride
    let counts = try agree(use, with: peers, ownCount: values.count)
    var ends: [Int] = []
    var total = 0
    for (peer, count) in counts.enumerated() {
      let (bytes, overflow) = count.multipliedReportingOverflow(by: stride)
      guard !overflow, bytes < Int.max / 2 - total else {
        throw CollectiveError(
          code: .disagreement, operation: "\(use.call)", rank: rank, others: [peer],
          detail: "rank \(peer) brings \(count) elements, more than memory has")
      }
      total += bytes
      ends.append(total)
    }
    let room = Room(byteCount: total)
    defer { room.end() }
    try unsafe values.withUnsafeBytes { own throws(CollectiveError) in
      var pending: [Pending] = []
      room.isQuiet = false
      for peer in peers {
        let count = counts[peer] * stride
        try unsafe startReceive(
          room.slice(at: ends[peer] - count, byteCount: count), from: peer, .payload, &pending, use)
      }
      for peer in peers { try unsafe startSend(own, to: peer, .payload, &pending, use) }
      unsafe room.slice(at: ends[rank] - own.count, byteCount: own.count).copyMemory(from: own)
      try wait(&pending, use)
    }
    room.isQuiet = true
    return (0..<size).map { peer in
      let count = counts[peer]
      if count == 0 { return [] }
      return unsafe [E](unsafeUninitializedCapacity: count) { target, initialized in
        unsafe UnsafeMutableRawBufferPointer(target).copyMemory(
          from: .init(room.slice(at: ends[peer] - count * stride, byteCount: count * stride)))
        initialized = count
      }
    }
  }

  /// The buffer of the call cut into a range for each rank, of which the first may be one longer.
  private func evenRanges(_ use: Use) -> [Range<Int>] {
    let (quotient, rest) = use.call.count.quotientAndRemainder(dividingBy: size)
    return (0..<size).map { rank in
      let start = rank * quotient + min(rank, rest)
      return start..<(start + quotient + (rank < rest ? 1 : 0))
    }
  }

  private func inBytes(_ range: Range<Int>, _ use: Use) -> Range<Int> {
    let stride = use.call.element.byteCount
    return (range.lowerBound * stride)..<(range.upperBound * stride)
  }

  private func check(rank: Int, _ role: String) {
    precondition((0..<size).contains(rank), "\(role) is rank \(rank) of \(size)")
  }
}

/// Traps unless there is a range for each rank, within the buffer and apart from the others.
func checkRanges(_ ranges: [Range<Int>], within count: Int, ranks: Int) {
  precondition(ranges.count == ranks, "\(ranges.count) ranges for \(ranks) ranks")
  var end = 0
  for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
    precondition(
      range.lowerBound >= end && range.upperBound <= count,
      "ranges \(ranges) overlap or leave a buffer of \(count) elements")
    end = range.upperBound
  }
}

/// Traps unless each rank says what it has for each, and nobody sends to itself.
func checkCounts(_ counts: [[Int]], ranks: Int) {
  precondition(
    counts.count == ranks && counts.allSatisfy { $0.count == ranks }, "counts of other ranks")
  precondition(
    counts.indices.allSatisfy { counts[$0][$0] == 0 }, "a rank that sends to itself")
}

/// Where parts lie, in bytes, one after the other.
private func byteRanges(_ counts: [Int], stride: Int, within elements: Int) -> [Range<Int>] {
  var end = 0
  let ranges = counts.map { count in
    defer { end += count * stride }
    return end..<end + count * stride
  }
  precondition(end == elements * stride, "parts \(counts) of \(elements) elements")
  return ranges
}

/// Memory for messages that arrive. It is kept for good if a wait on it failed, since a message that
/// was half way may still arrive.
@safe private final class Room {
  private let bytes: UnsafeMutableRawBufferPointer
  /// True while no message can arrive.
  var isQuiet = true

  init(byteCount: Int) {
    unsafe bytes = .allocate(byteCount: max(1, byteCount), alignment: 64)
  }

  /// Part of the memory; valid until ``end()``.
  @unsafe func slice(at offset: Int, byteCount: Int) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset + byteCount)])
  }

  func end() {
    if isQuiet { unsafe bytes.deallocate() }
  }
}
