import Glibc
import Synchronization

/// The communicator over any ``Transport``: agreement, the polled wait, and who sends what to whom.
///
/// Elements are raw bytes with an ``ElementType`` below this type's generic front, so that their
/// loops are compiled for each type.
@safe final class RankGroup<T: Transport>: Communicator {
  let transport: T
  let hostName: String
  private let settingsLock: Mutex<CollectiveSettings>
  private let isInUse = Atomic(false)
  private let state = Mutex(State())

  private struct State {
    var sequence: UInt64 = 0
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
    var sequence: UInt64
  }

  init(_ transport: T, settings: CollectiveSettings) {
    self.transport = transport
    settingsLock = Mutex(settings)
    hostName = nameOfThisHost()
  }

  var rank: Int { transport.rank }
  var size: Int { transport.size }

  var settings: CollectiveSettings {
    get { settingsLock.withLock { $0 } }
    set { settingsLock.withLock { $0 = newValue } }
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
    let (sequence, failure) = state.withLock { state in
      if call.operation != .pointToPoint { state.sequence += 1 }
      return (state.sequence, state.failure)
    }
    if let failure {
      throw CollectiveError(
        code: .aborted, operation: "\(call)", rank: rank, others: failure.others,
        detail: "the group was lost before: \(failure)")
    }
    do throws(CollectiveError) {
      return try body(Use(call: call, settings: settings, sequence: sequence))
    } catch {
      if error.code != .disagreement { state.withLock { $0.failure = error } }
      throw error
    }
  }

  // MARK: Agreement

  /// Tells `peers` which call this rank is in, and checks that they are in the same.
  ///
  /// - Returns: The counts that the peers bring, by rank; this rank's own among them.
  @discardableResult
  func agree(_ use: Use, with peers: [Int], ownCount: Int = 0) throws(CollectiveError) -> [Int] {
    var counts = [Int](repeating: 0, count: size)
    counts[rank] = ownCount
    if peers.isEmpty { return counts }
    let mine = CallRecord(sequence: use.sequence, call: use.call, ownCount: ownCount)
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

    var differing: [(rank: Int, text: String)] = []
    for peer in peers.sorted() {
      let words = (0..<CallRecord.wordCount).map { index in
        unsafe room.load(fromByteOffset: peer * length + index * 8, as: UInt64.self)
      }
      guard let record = CallRecord(words: words) else {
        differing.append((peer, "a call of another version of the program"))
        continue
      }
      counts[peer] = record.ownCount
      if record.call != mine.call {
        differing.append((peer, "\(record.call)"))
      } else if record.sequence != mine.sequence {
        differing.append((peer, "its collective number \(record.sequence)"))
      }
    }
    if let first = differing.first {
      let ranks = differing.map(\.rank)
      let same = ranks.filter { rank in
        differing.contains { $0.rank == rank && $0.text == first.text }
      }
      throw CollectiveError(
        code: .disagreement, operation: "\(use.call)", rank: rank, others: ranks,
        detail: "this is collective number \(mine.sequence) here, but \(listed(ranks: same)) "
          + "called \(first.text)"
          + (same.count < ranks.count ? " (\(listed(ranks: ranks)) differ)" : ""))
    }
    return counts
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
    let started = monotonicSeconds()
    var polls = 0
    var sleep = 0.00001
    var shown = 0  // the requests that the shown text speaks of
    var showsText = false
    defer { if showsText { CurrentWait.release() } }
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
      if elapsed > limit {
        let others = ranksWaited(pending)
        throw giveUp(
          &pending, use,
          TransportFailure(
            code: .timeout,
            detail: "waited \(limit) s for \(listed(ranks: others)) of \(size) in vain")
        )
      }
      if elapsed < 0.001 {
        sched_yield()
        continue
      }
      if !showsText { showsText = CurrentWait.take() }
      if showsText && shown != pending.count {
        shown = pending.count
        CurrentWait.show(
          "rank \(rank) waiting in \(use.call) for \(listed(ranks: ranksWaited(pending)))")
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
    _ pending: inout [Pending], _ use: Use, _ failure: TransportFailure, peer: Int? = nil
  ) -> CollectiveError {
    let others = peer.map { [$0] } ?? ranksWaited(pending)
    cancel(&pending)
    return CollectiveError(
      code: failure.code, operation: "\(use.call)", rank: rank, others: others,
      detail: failure.detail)
  }
}

private func monotonicSeconds() -> Double {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

func nameOfThisHost() -> String {
  var name = [CChar](repeating: 0, count: 256)
  guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown" }
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
