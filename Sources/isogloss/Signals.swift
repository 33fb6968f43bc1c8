import Glibc
import Synchronization

/// What signals ask of a run.
///
/// SIGINT asks the run to save and end, and so does SIGUSR1, which mpirun hands on to its ranks; a second SIGINT
/// ends it at once. SIGTERM ends the process at once with one
/// line that says what it was waiting for, unless another rank has spoken for the group. SIGBUS is what reading a
/// mapped file gives that was shortened meanwhile, or whose disk fails: one line and the end, code 74.
enum Signals {
  private static let interrupted = Atomic<Int>(0)

  /// Whether SIGINT or SIGUSR1 has come.
  static var stopRequested: Bool { interrupted.load(ordering: .relaxed) > 0 }

  /// Begins to watch.
  static func watch() {
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = { _ in
      if Signals.interrupted.add(1, ordering: .relaxed).newValue > 1 { _exit(128 + SIGINT) }
    }
    unsafe sigaction(SIGINT, &action, nil)
    unsafe action.__sigaction_handler.sa_handler = { _ in
      Signals.interrupted.add(1, ordering: .relaxed)
    }
    unsafe sigaction(SIGUSR1, &action, nil)
    unsafe action.__sigaction_handler.sa_handler = { _ in GroupEnd.endAtOnce(signal: SIGTERM) }
    unsafe sigaction(SIGTERM, &action, nil)
    unsafe action.__sigaction_handler.sa_handler = { _ in
      let line: StaticString =
        "isogloss: a mapped checkpoint was shortened or cannot be read any more; leave files alone while they are in use\n"
      _ = unsafe write(2, line.utf8Start, line.utf8CodeUnitCount)
      _exit(74)
    }
    unsafe sigaction(SIGBUS, &action, nil)
    signal(SIGPIPE, SIG_IGN)
    // Who started this process may have blocked them, and the mask is inherited.
    var watched = sigset_t()
    unsafe sigemptyset(&watched)
    unsafe sigaddset(&watched, SIGINT)
    unsafe sigaddset(&watched, SIGTERM)
    unsafe sigaddset(&watched, SIGUSR1)
    unsafe pthread_sigmask(SIG_UNBLOCK, &watched, nil)
  }
}
