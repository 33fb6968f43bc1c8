import Synchronization

/// What a rank is doing, as it tells the others.
///
/// One for all communicators of a rank.
public final class RankActivity: Sendable {
  private let state: Mutex<State>
  /// What is known of the other ranks.
  let heard: Mutex<[Heartbeat]>
  /// The seconds between the heartbeats of a rank, whatever the time-out of the group that waits.
  let heartbeatSeconds = Mutex(5.0)
  /// The machine of each rank.
  public let hosts: [String]
  let rank: Int
  /// Whether a group was lost, after which memory that MPI may write to is used for other things: nobody is to let MPI
  /// go on.
  let isLost = Atomic(false)
  /// Whether what it does is shown as this process's: not with several ranks as threads.
  private let isShown: Bool

  private struct State {
    var position = RunPosition()
    var operation = "start"
    var since = monotonicSeconds()
    /// The waits and calls of this rank's communicators that are going on.
    var calls: [Int: Current] = [:]
    var callCount = 0
  }

  /// A call that goes on.
  struct Current {
    var call: Call
    var start: Double
    /// When the call's wait has to have ended, by its time-out.
    var deadline: Double
    /// The ranks waited for, once it waits for long.
    var waitsFor: [Int] = []
  }

  init(rank: Int, hosts: [String], isShown: Bool = false) {
    self.isShown = isShown
    self.rank = rank
    self.hosts = hosts
    state = Mutex(State())
    heard = Mutex(hosts.map { _ in Heartbeat() })
  }

  /// Where the run is. All ranks have to be at the same place whenever they communicate.
  public var position: RunPosition {
    get { state.withLock { $0.position } }
    set {
      state.withLock { state in
        state.position = newValue
        show(state)
      }
    }
  }

  /// What the rank does from now on, in a few words.
  public func begin(_ operation: String) {
    let now = monotonicSeconds()
    state.withLock { state in
      (state.operation, state.since) = (operation, now)
      show(state)
    }
  }

  private func show(_ state: State) {
    guard isShown else { return }
    let step = state.position.step > 0 ? ", step \(state.position.step)" : ""
    ShownText.operation.show(state.operation + step)
  }

  // MARK: Calls

  func begin(_ call: Call, timeoutSeconds: Double) -> Int {
    let now = monotonicSeconds()
    return state.withLock { state in
      state.callCount += 1
      state.calls[state.callCount] = Current(
        call: call, start: now, deadline: now + timeoutSeconds)
      return state.callCount
    }
  }

  /// A wait of a call begins, and has the whole time-out.
  func renew(call number: Int, timeoutSeconds: Double) {
    let now = monotonicSeconds()
    state.withLock { $0.calls[number]?.deadline = now + timeoutSeconds }
  }

  func end(call number: Int) { state.withLock { _ = $0.calls.removeValue(forKey: number) } }

  func wait(inCall number: Int, for ranks: [Int]) {
    state.withLock { $0.calls[number]?.waitsFor = ranks }
  }

  /// The call that has gone on for longest, and what the rank does.
  var now: (position: RunPosition, operation: String, since: Double, call: Current?) {
    state.withLock { state in
      (
        state.position, state.operation, state.since,
        state.calls.values.min { $0.start < $1.start }
      )
    }
  }
}
