import Configuration
import Glibc
import Synchronization
import Training

/// What signals ask of a run.
///
/// SIGINT asks the run to save and end; a second SIGINT ends it at once. The signal of preemption, SIGUSR1 unless the
/// config names another, asks it to save and end with code 75. SIGUSR1 also comes from Launch/mpirun for the SIGINT of
/// a keyboard. SIGTERM, where it is no preemption, ends the process at once with one line that says what it was
/// waiting for, unless another rank has spoken for the group; so does SIGHUP. SIGBUS is what reading a mapped file gives that was
/// shortened meanwhile, or whose disk fails: one line and the end, code 74.
enum Signals {
  private static let interrupts = Atomic<Int>(0)
  private static let preemptions = Atomic<Int>(0)
  /// When the last SIGINT came, in milliseconds.
  private static let lastInterrupt = Atomic<Int>(0)

  /// What has been asked for.
  static var stopRequest: StopRequest? {
    if preemptions.load(ordering: .relaxed) > 0 { return .preemption }
    return interrupts.load(ordering: .relaxed) > 0 ? .interrupt : nil
  }

  /// Begins to watch.
  static func watch() {
    // A handler is not to be the first to use what is made at its first use.
    GroupEnd.touch()
    _ =
      preemptions.load(ordering: .relaxed) + interrupts.load(ordering: .relaxed)
      + lastInterrupt.load(ordering: .relaxed)
    handle(SIGINT) { _ in
      // Some launchers send one signal twice, to a process and to its group.
      var time = timespec()
      unsafe clock_gettime(CLOCK_MONOTONIC, &time)
      let now = time.tv_sec * 1000 + time.tv_nsec / 1_000_000
      let before = Signals.lastInterrupt.exchange(now, ordering: .relaxed)
      if before != 0, now - before < 200 { return }
      if Signals.interrupts.add(1, ordering: .relaxed).newValue > 1 { _exit(128 + SIGINT) }
    }
    handle(SIGUSR1) { _ in Signals.preemptions.add(1, ordering: .relaxed) }
    handle(SIGTERM) { _ in GroupEnd.endAtOnce(signal: SIGTERM) }
    // nohup lets a run outlive its terminal; a guardian's end is told by the same signal.
    var before = sigaction()
    unsafe sigaction(SIGHUP, nil, &before)
    let isIgnored = unsafe before.__sigaction_handler.sa_handler.map {
      unsafe unsafeBitCast($0, to: Int.self) == 1  // SIG_IGN
    }
    if isIgnored != true || Guardian.isPresent {
      handle(SIGHUP) { _ in GroupEnd.endAtOnce(signal: SIGHUP) }
    }
    handle(SIGBUS) { _ in
      let line: StaticString =
        "isogloss: a mapped checkpoint was shortened or cannot be read any more; leave files alone while they are in use\n"
      _ = unsafe write(2, line.utf8Start, line.utf8CodeUnitCount)
      _exit(74)
    }
    signal(SIGPIPE, SIG_IGN)
    // A write beyond the limit of a file's size is then an error, as on a full disk.
    signal(SIGXFSZ, SIG_IGN)
    // Who started this process may have blocked them, and the mask is inherited.
    var watched = sigset_t()
    unsafe sigemptyset(&watched)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2] { unsafe sigaddset(&watched, number) }
    unsafe pthread_sigmask(SIG_UNBLOCK, &watched, nil)
  }

  /// Lets the signal that a config names stand for preemption, in place of SIGUSR1.
  static func preempt(at signal: RunConfiguration.PreemptionSignal) {
    let number: Int32
    switch signal {
    case .usr1: return
    case .none: number = 0
    case .usr2: number = SIGUSR2
    case .term: number = SIGTERM
    }
    handle(SIGUSR1) { _ in Signals.interrupts.add(1, ordering: .relaxed) }
    if number != 0 { handle(number) { _ in Signals.preemptions.add(1, ordering: .relaxed) } }
  }

  private static func handle(_ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void) {
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = handler
    // A file that is being saved is not to see the signal that asks for it.
    action.sa_flags = SA_RESTART
    unsafe sigaction(number, &action, nil)
  }
}
