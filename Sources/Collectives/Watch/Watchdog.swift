import Glibc
import Synchronization

/// Tells the other ranks what this one does, listens to them, and ends a process whose call does not return.
///
/// A thread of its own on a communicator of its own. In each round a rank sends what it knows of all ranks to the ranks
/// 1, 2, 4, … further on, so that news comes round a group of N ranks in about log2 N rounds, past ranks that are gone.
/// A message has 128 bytes a rank.
@safe final class Watchdog<T: Transport>: Sendable {
  private let transport: T
  private let activity: RankActivity
  private let settings: @Sendable () -> CollectiveSettings
  private let alarm = Alarm()
  private let isQuiet = Atomic(false)
  /// Whether nothing that was sent is still on its way.
  private let isIdle = Atomic(true)
  private let threads = Mutex<[pthread_t]>([])

  /// - Parameters:
  ///   - transport: Used by the watchdog alone.
  ///   - settings: Those of the group watched over.
  init(
    _ transport: T, _ activity: RankActivity, settings: @escaping @Sendable () -> CollectiveSettings
  ) {
    self.transport = transport
    self.activity = activity
    self.settings = settings
  }

  func start() {
    // Deadlines are looked at by a thread that makes no call of MPI, which may hold all that do.
    let started = [
      startThread(stackBytes: 1 << 18) { [self] in talk() },
      startThread(stackBytes: 1 << 18) { [self] in lookAtDeadlines() },
    ]
    threads.withLock { $0 = started.compactMap(\.self) }
  }

  /// Sends nothing more, and returns when what was sent has arrived, or after some seconds.
  func quiet() {
    isQuiet.store(true, ordering: .sequentiallyConsistent)
    let end = monotonicSeconds() + 5
    while !isIdle.load(ordering: .sequentiallyConsistent), monotonicSeconds() < end { usleep(1000) }
  }

  /// Returns when the threads have ended.
  func stop() {
    alarm.ring()
    for thread in threads.withLock({ $0 }) { pthread_join(thread, nil) }
  }

  private var heartbeatSeconds: Double {
    let settings = settings()
    return settings.heartbeatSeconds ?? min(max(settings.timeoutSeconds / 20, 0.1), 5)
  }

  private func talk() {
    let size = transport.size
    let neighbours = sequence(first: 1) { $0 * 2 }.prefix { $0 < size }.map { distance in
      Neighbour(
        transport, receivesFrom: (transport.rank - distance + size) % size,
        sendsTo: (transport.rank + distance) % size)
    }
    var number: UInt64 = 0
    var nextBeat = monotonicSeconds()
    while true {
      let heartbeatSeconds = heartbeatSeconds
      activity.heartbeatSeconds.withLock { $0 = heartbeatSeconds }
      // A group that was lost may have left memory to MPI.
      if !activity.isLost.load(ordering: .relaxed) {
        isIdle.store(false, ordering: .sequentiallyConsistent)
        for neighbour in neighbours { neighbour.receive(activity) }
        let now = monotonicSeconds()
        if now >= nextBeat, !isQuiet.load(ordering: .sequentiallyConsistent) {
          number += 1
          let beat = Heartbeat(activity, number: number)
          activity.heard.withLock { $0[transport.rank] = beat }
          for neighbour in neighbours { neighbour.send(activity) }
          nextBeat = now + heartbeatSeconds
        }
        let hasArrived = neighbours.map { $0.hasArrived() }.allSatisfy { $0 }
        isIdle.store(hasArrived, ordering: .sequentiallyConsistent)
      }
      let isQuiet = isQuiet.load(ordering: .sequentiallyConsistent)
      if alarm.sleep(seconds: isQuiet ? 0.005 : min(heartbeatSeconds / 4, 0.1)) { break }
    }
    for neighbour in neighbours { neighbour.cancel() }
  }

  private func lookAtDeadlines() {
    while !alarm.sleep(seconds: heartbeatSeconds) {
      let settings = settings()
      let now = monotonicSeconds()
      guard let call = activity.now.call, now > call.deadline + settings.graceSeconds,
        !(settings.isPatientInDebugger && Debugger.isAttached)
      else { continue }
      // MPI does not say for whom it waits: those that are silent.
      let silent = activity.silentRanks()
      let why = activity.explanation(of: silent.isEmpty ? call.waitsFor : silent)
      settings.whenStuck?(
        CollectiveError(
          code: .timeout, operation: "\(call.call)", rank: activity.rank, others: why.roots,
          detail: "MPI has not returned for \(Int(now - call.start)) s\(why.text)"))
    }
  }
}

/// The messages to one rank and from another. Memory that MPI may still write to is kept for good.
@safe private final class Neighbour<T: Transport> {
  private let transport: T
  private let sender: Int
  private let receiver: Int
  private let outgoing: UnsafeMutableBufferPointer<UInt64>
  private let incoming: UnsafeMutableBufferPointer<UInt64>
  private var sending: T.Request?
  private var receiving: T.Request?
  private var isLost = false

  init(_ transport: T, receivesFrom sender: Int, sendsTo receiver: Int) {
    self.transport = transport
    self.sender = sender
    self.receiver = receiver
    let words = transport.size * Heartbeat.wordCount
    unsafe outgoing = .allocate(capacity: words)
    unsafe incoming = .allocate(capacity: words)
    unsafe outgoing.initialize(repeating: 0)
    unsafe incoming.initialize(repeating: 0)
  }

  /// Takes what has arrived, and waits for more.
  func receive(_ activity: RankActivity) {
    if isLost { return }
    do throws(TransportFailure) {
      while true {
        if receiving == nil {
          receiving = try unsafe transport.startReceive(
            into: UnsafeMutableRawBufferPointer(incoming), from: sender, on: .payload)
        }
        guard var request = receiving else { return }
        let isDone = try transport.isDone(&request)
        receiving = isDone ? nil : request
        if !isDone { return }
        let now = monotonicSeconds()
        activity.heard.withLock { heard in
          for rank in heard.indices where rank != transport.rank {
            let words = (0..<Heartbeat.wordCount).map {
              unsafe incoming[rank * Heartbeat.wordCount + $0]
            }
            if words[0] > heard[rank].number {
              heard[rank] = Heartbeat(words: words, at: now, ranks: heard.count)
            }
          }
        }
      }
    } catch {
      isLost = true
    }
  }

  /// Sends what is known of all ranks, unless the last message is still on its way.
  func send(_ activity: RankActivity) {
    if isLost || !hasArrived() { return }
    do throws(TransportFailure) {
      let now = monotonicSeconds()
      activity.heard.withLock { heard in
        for (rank, beat) in heard.enumerated() {
          for (index, word) in beat.words(at: now).enumerated() {
            unsafe outgoing[rank * Heartbeat.wordCount + index] = word
          }
        }
      }
      sending = try unsafe transport.startSend(
        UnsafeRawBufferPointer(outgoing), to: receiver, on: .payload)
    } catch {
      isLost = true
    }
  }

  /// Whether nothing that was sent is still on its way.
  func hasArrived() -> Bool {
    guard var request = sending, !isLost else { return true }
    do throws(TransportFailure) {
      let isDone = try transport.isDone(&request)
      sending = isDone ? nil : request
      return isDone
    } catch {
      isLost = true
      return true
    }
  }

  func cancel() {
    if var request = sending { transport.cancel(&request) }
    if var request = receiving { transport.cancel(&request) }
  }
}

/// Ends a process in which something that has no time-out of its own takes too long.
enum Deadline {
  /// Runs `body`; if it has not returned after `seconds`, calls `late` on another thread.
  static func guarding<Result, Failure: Error>(
    seconds: Double, late: @escaping @Sendable () -> Void, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let alarm = Alarm()
    let thread = startThread(stackBytes: 1 << 18) {
      if !alarm.sleep(seconds: seconds) { late() }
    }
    defer {
      alarm.ring()
      if let thread { pthread_join(thread, nil) }
    }
    return try body()
  }
}

/// Lets one thread sleep until another rings.
@safe final class Alarm: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var hasRung = false

  init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  func ring() {
    unsafe pthread_mutex_lock(mutex)
    hasRung = true
    unsafe pthread_cond_broadcast(condition)
    unsafe pthread_mutex_unlock(mutex)
  }

  /// Whether it rang within `seconds`, or has before.
  func sleep(seconds: Double) -> Bool {
    let end = monotonicSeconds() + min(seconds, 1e9)
    var time = timespec()
    time.tv_sec = Int(end)
    time.tv_nsec = Int((end - Double(Int(end))) * 1e9)
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    while !hasRung {
      if unsafe pthread_cond_timedwait(condition, mutex, &time) != 0 { break }
    }
    return hasRung
  }
}
