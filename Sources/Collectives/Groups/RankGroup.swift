import Glibc
import Synchronization

/// The communicator over any ``Transport``: agreement, the polled wait, and who sends what to whom.
///
/// Elements are raw bytes with an ``ElementType`` below this type's generic front, so that their
/// loops are compiled for each type.
@safe final class RankGroup<T: Transport>: Communicator, PlannedGroup {
  let transport: T
  let hostName: String
  let activity: RankActivity
  /// The number in the whole job of each rank of this group.
  let jobRanks: [Int]
  private let settingsLock: Mutex<CollectiveSettings>
  private let isInUse = Atomic(false)
  private let state = Mutex(State())
  private let watchdog = Mutex<Watchdog<T>?>(nil)

  private struct State {
    var sequence: UInt32 = 0
    var plan: CallPlan?
    /// The error after which the group is lost.
    var failure: CollectiveError?
  }

  /// A request of the transport, and the rank at its other end.
  struct Pending {
    var request: T.Request
    var peer: Int
  }

  /// One use of the communicator, from its check on entry.
  struct Use {
    var call: Call
    var settings: CollectiveSettings
    var sequence: UInt32
    /// Whether it is the next of a plan on which all have agreed.
    var isPlanned: Bool
    /// Its number in the rank's activity.
    var number: Int
  }

  init(
    _ transport: T, settings: CollectiveSettings, activity: RankActivity, jobRanks: [Int]? = nil
  ) {
    self.transport = transport
    self.activity = activity
    self.jobRanks = jobRanks ?? Array(0..<transport.size)
    settingsLock = Mutex(settings)
    hostName = nameOfThisHost()
  }

  var rank: Int { transport.rank }
  var size: Int { transport.size }

  var settings: CollectiveSettings {
    get { settingsLock.withLock { $0 } }
    set { settingsLock.withLock { $0 = newValue } }
  }

  /// Begins to tell the other ranks what this one does, and to listen to them. Every rank calls it.
  ///
  /// - Parameter transport: Used for that alone.
  func watch(on transport: T) {
    if size == 1 { return }
    let dog = Watchdog(transport, activity) { [weak self] in self?.settings ?? CollectiveSettings()
    }
    watchdog.withLock { $0 = dog }
    dog.start()
  }

  /// Tells the others nothing more, so that no message is on its way when all have come to the barrier after this.
  func quietWatch() { watchdog.withLock { $0?.quiet() } }

  func endWatch() {
    watchdog.withLock { dog in
      dog?.stop()
      dog = nil
    }
  }

  /// This rank's number in the whole job.
  var jobRank: Int { jobRanks[rank] }

  /// Some ranks of this group as the whole job counts them: `ranks 4 and 6`.
  func named(_ ranks: [Int]) -> String { listed(ranks: ranks.map { jobRanks[$0] }) }

  var plan: CallPlan? {
    get { state.withLock { $0.plan } }
    set { state.withLock { $0.plan = newValue } }
  }

  func abort(code: Int32) -> Never { transport.abort(code: code) }

  /// The other ranks, from the next one on, so that not all ranks begin with the same one.
  var peers: [Int] { (1..<max(1, size)).map { (rank + $0) % size } }

  /// Runs the body of one call, and remembers an error after which the group is lost.
  func use<Result>(
    _ call: Call, _ body: (Use) throws(CollectiveError) -> Result
  ) throws(CollectiveError) -> Result {
    precondition(
      isInUse.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged,
      "\(call) while another thread uses the same communicator; give each thread its own by split")
    defer { isInUse.store(false, ordering: .releasing) }
    let (sequence, failure, plan) = state.withLock { state in
      if call.operation != .pointToPoint { state.sequence &+= 1 }
      return (state.sequence, state.failure, state.plan)
    }
    if let failure {
      throw CollectiveError(
        code: .aborted, operation: "\(call)", rank: jobRank, others: failure.others,
        detail: "the group was lost before: \(failure)")
    }
    let settings = settings
    let number = activity.begin(call, timeoutSeconds: settings.timeoutSeconds)
    defer { activity.end(call: number) }
    do throws(CollectiveError) {
      let isPlanned = try plan?.take(call, of: self) ?? false
      return try body(
        Use(
          call: call, settings: settings, sequence: sequence, isPlanned: isPlanned, number: number))
    } catch {
      if error.code != .disagreement, error.code != .notFinite {
        state.withLock { $0.failure = error }
        activity.isLost.store(true, ordering: .relaxed)
      }
      throw error
    }
  }

  // MARK: Agreement

  /// Agrees with all ranks on a call that moves no payload itself.
  func agree(on call: Call, notFinite: Bool) throws(CollectiveError) {
    try use(call) { use throws(CollectiveError) in
      _ = try agree(use, with: peers, notFinite: notFinite)
    }
  }

  /// Tells `peers` which call this rank is in, and checks that they are in the same.
  ///
  /// - Parameter ownCount: What this rank brings, where ranks need not bring the same.
  /// - Returns: The counts that the peers bring, by rank; this rank's own among them.
  @discardableResult
  func agree(
    _ use: Use, with peers: [Int], ownCount: Int? = nil, notFinite: Bool = false
  ) throws(CollectiveError) -> [Int] {
    var counts = [Int](repeating: 0, count: size)
    counts[rank] = ownCount ?? 0
    if use.isPlanned { return counts }
    let mine = CallRecord(
      sequence: use.sequence, position: activity.position, call: use.call, ownCount: ownCount,
      notFinite: notFinite)
    var records = try exchange(mine, use, with: peers)
    records[rank] = mine
    for peer in peers { counts[peer] = records[peer]?.count ?? 0 }
    try compare(records, with: mine, peers, use)
    let bad = ([rank] + peers).filter { records[$0]?.notFinite ?? false }.sorted()
    guard bad.isEmpty else {
      throw CollectiveError(
        code: .notFinite, operation: "\(use.call)", rank: jobRank, others: bad.map { jobRanks[$0] },
        detail: "numbers of \(named(bad)) are not finite")
    }
    return counts
  }

  /// The records of the peers, by rank; nil for one that another version of the program wrote.
  private func exchange(
    _ mine: CallRecord, _ use: Use, with peers: [Int]
  ) throws(CollectiveError) -> [CallRecord?] {
    var records = [CallRecord?](repeating: nil, count: size)
    if peers.isEmpty { return records }
    // After a time-out a late message may still arrive: the memory is then kept for good.
    let length = CallRecord.byteCount
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: length * (size + 1), alignment: MemoryLayout<UInt64>.alignment)
    var isQuiet = false
    defer { if isQuiet { unsafe room.deallocate() } }
    unsafe room.withMemoryRebound(to: UInt64.self) { words in
      unsafe words.initialize(repeating: 0)
      for (index, word) in mine.words.enumerated() {
        unsafe words[size * CallRecord.wordCount + index] = word
      }
    }
    let own = unsafe UnsafeRawBufferPointer(rebasing: room[(size * length)...])
    var pending: [Pending] = []
    for peer in peers {
      try unsafe startReceive(
        .init(rebasing: room[(peer * length)..<((peer + 1) * length)]), from: peer, .agreement,
        &pending, use)
    }
    for peer in peers { try unsafe startSend(own, to: peer, .agreement, &pending, use) }
    try wait(&pending, use, longestSleep: 0.001)
    isQuiet = true
    for peer in peers {
      let words = (0..<CallRecord.wordCount).map { index in
        unsafe room.load(fromByteOffset: peer * length + index * 8, as: UInt64.self)
      }
      records[peer] = CallRecord(words: words)
    }
    return records
  }

  /// Throws if the ranks are not all in the same call. All of them find the same words for it: first come those who
  /// differ from most.
  private func compare(
    _ records: [CallRecord?], with mine: CallRecord, _ peers: [Int], _ use: Use
  ) throws(CollectiveError) {
    func agrees(_ record: CallRecord?) -> Bool {
      guard let record else { return false }
      var (call, own) = (record.call, mine.call)
      if own.operation == .pointToPoint, call.operation == .pointToPoint {
        if call.sends == own.sends { return false }
        (call.sends, own.sends) = (false, false)
      }
      return call == own && record.sequence == mine.sequence && record.position == mine.position
    }
    let differing = peers.filter { !agrees(records[$0]) }.sorted()
    if differing.isEmpty { return }
    let all = ([rank] + peers).sorted()
    let sequences = Set(all.compactMap { records[$0]?.sequence })
    let positions = all.compactMap { records[$0]?.position }
    var groups: [(text: String, ranks: [Int])] = []
    for rank in all {
      var text = "a call of another version of the program"
      if let record = records[rank] {
        text = "\(record.call)"
        if sequences.count > 1 { text += " as collective number \(record.sequence)" }
        if positions.contains(where: { $0.step != record.position.step }) {
          text += " in step \(record.position.step)"
        } else if positions.contains(where: { $0 != record.position }) {
          text += " with data \(String(record.position.cursor, radix: 16))"
        }
      }
      if let index = groups.firstIndex(where: { $0.text == text }) {
        groups[index].ranks.append(rank)
      } else {
        groups.append((text, [rank]))
      }
    }
    groups.sort { ($0.ranks.count, $0.ranks[0]) < ($1.ranks.count, $1.ranks[0]) }
    throw CollectiveError(
      code: .disagreement, operation: "\(use.call)", rank: jobRank,
      others: differing.map { jobRanks[$0] },
      detail: groups.map { "\(named($0.ranks)) called \($0.text)" }.joined(separator: ", but "))
  }

  // MARK: Messages

  func startSend(
    _ bytes: UnsafeRawBufferPointer, to peer: Int, _ channel: Channel, _ pending: inout [Pending],
    _ use: Use
  ) throws(CollectiveError) {
    for piece in pieces(of: bytes.count, channel, use) {
      do throws(TransportFailure) {
        let request = try unsafe transport.startSend(
          .init(rebasing: bytes[piece]), to: peer, on: channel)
        pending.append(Pending(request: request, peer: peer))
      } catch {
        throw giveUp(&pending, use, error, peer: peer)
      }
    }
  }

  func startReceive(
    _ bytes: UnsafeMutableRawBufferPointer, from peer: Int, _ channel: Channel,
    _ pending: inout [Pending], _ use: Use
  ) throws(CollectiveError) {
    for piece in pieces(of: bytes.count, channel, use) {
      do throws(TransportFailure) {
        let request = try unsafe transport.startReceive(
          into: .init(rebasing: bytes[piece]), from: peer, on: channel)
        pending.append(Pending(request: request, peer: peer))
      } catch {
        throw giveUp(&pending, use, error, peer: peer)
      }
    }
  }

  private func pieces(of byteCount: Int, _ channel: Channel, _ use: Use) -> [Range<Int>] {
    let length = channel == .agreement ? byteCount : use.settings.pieceBytes
    precondition(length > 0, "pieces of \(length) bytes")
    return stride(from: 0, to: byteCount, by: length).map { $0..<min($0 + length, byteCount) }
  }

  /// The one place where a rank waits: polls `pending` until all are done.
  ///
  /// At first without a pause, then giving the processor to others, then in sleeps that grow to
  /// `longestSleep` seconds, since there may be more ranks than processors.
  func wait(_ pending: inout [Pending], _ use: Use, longestSleep: Double = 0.0001)
    throws(CollectiveError)
  {
    var started = monotonicSeconds()
    activity.renew(call: use.number, timeoutSeconds: use.settings.timeoutSeconds)
    var polls = 0
    var sleep = 0.00001
    var shown = 0  // the requests that the shown text speaks of
    var showsText = false
    defer { if showsText { ShownText.wait.release() } }
    while true {
      var index = 0
      while index < pending.count {
        do throws(TransportFailure) {
          if try transport.isDone(&pending[index].request) {
            pending.swapAt(index, pending.count - 1)
            pending.removeLast()
          } else {
            index += 1
          }
        } catch {
          throw giveUp(&pending, use, error, peer: pending[index].peer)
        }
      }
      if pending.isEmpty { return }
      polls += 1
      if polls < 100 { continue }
      use.settings.whileWaiting?()

      let elapsed = monotonicSeconds() - started
      let limit = use.settings.timeoutSeconds
      if elapsed > limit, use.settings.isPatientInDebugger, Debugger.isAttached {
        started = monotonicSeconds()
        activity.renew(call: use.number, timeoutSeconds: use.settings.timeoutSeconds)
        continue
      }
      if elapsed > limit {
        let others = ranksWaited(pending)
        let why = activity.explanation(of: others.map { jobRanks[$0] })
        throw giveUp(
          &pending, use,
          TransportFailure(
            code: .timeout,
            detail: "waited \(limit) s for \(named(others)) of \(jobRanks.count) in vain\(why.text)"
          ),
          blamed: why.roots)
      }
      if elapsed < 0.001 {
        sched_yield()
        continue
      }
      if !showsText { showsText = ShownText.wait.take() }
      if shown != pending.count {
        shown = pending.count
        let others = ranksWaited(pending)
        activity.wait(inCall: use.number, for: others.map { jobRanks[$0] })
        if showsText {
          ShownText.wait.show("rank \(jobRank) waiting in \(use.call) for \(named(others))")
        }
      }
      usleep(UInt32(sleep * 1e6))
      sleep = min(sleep * 1.5, longestSleep)
    }
  }

  private func ranksWaited(_ pending: [Pending]) -> [Int] {
    let ranks = pending.map(\.peer).sorted()
    return ranks.indices.filter { $0 == 0 || ranks[$0] != ranks[$0 - 1] }.map { ranks[$0] }
  }

  func cancel(_ pending: inout [Pending]) {
    for index in pending.indices { transport.cancel(&pending[index].request) }
    pending.removeAll()
  }

  /// Gives all requests up and makes the error to throw.
  private func giveUp(
    _ pending: inout [Pending], _ use: Use, _ failure: TransportFailure, peer: Int? = nil,
    blamed: [Int]? = nil
  ) -> CollectiveError {
    let others = blamed ?? (peer.map { [$0] } ?? ranksWaited(pending)).map { jobRanks[$0] }
    cancel(&pending)
    return CollectiveError(
      code: failure.code, operation: "\(use.call)", rank: jobRank, others: others,
      detail: failure.detail)
  }
}
