import CLinux
import Collectives
import Glibc

/// The process that a launcher starts, which starts the rank as its child and says how that ended where the rank
/// cannot: killed for want of memory, crashed, or blocked for good.
///
/// They share a page with what the rank is and does. The guardian hands signals on, ends with the rank's code, and ends
/// the rank if its own parent is gone. If the guardian is killed, so is the rank. Alone, and with `--debug`, there is
/// none, so that a debugger meets the program itself.
enum Guardian {
  private static let variable = "ISOGLOSS_GUARDIAN"
  private static let identityBytes = 256
  private static let pathBytes = 1024
  private static let pageBytes = 2 * ShownText.capacity + identityBytes + pathBytes

  /// Where a guarded rank lays down who it is and where the claim to speak is made; none without a guardian.
  nonisolated(unsafe) private(set) static var identity: UnsafeMutablePointer<CChar>?
  nonisolated(unsafe) private(set) static var claimPath: UnsafeMutablePointer<CChar>?

  /// Under a launcher becomes the guardian, and does not return. In the rank, and alone, returns.
  static func start(arguments: [String]) {
    guard Launch.isUnderLauncher, !arguments.contains("--debug") else { return }
    if let text = unsafe getenv(variable) {
      let words = unsafe String(cString: text).split(separator: " ").compactMap { Int32($0) }
      if words.count == 2 { joinGuardian(page: words[0], process: words[1]) }
      return
    }
    let file = CLinux_memoryFile()
    guard file >= 0, ftruncate(file, pageBytes) == 0, let page = unsafe map(file) else { return }
    unsafe setenv(variable, "\(file) \(getpid())", 1)
    guard let child = spawn() else {
      unsafe unsetenv(variable)
      return
    }
    unsafe watch(child, page)
  }

  // MARK: The rank's side

  private static func joinGuardian(page file: Int32, process: Int32) {
    // When the guardian dies, so does the rank: SIGHUP says why.
    CLinux_signalAtParentsDeath(SIGHUP)
    guard getppid() == process else { _exit(128 + SIGHUP) }
    guard let page = unsafe map(file) else { return }
    close(file)
    unsafe ShownText.memory = page
    unsafe identity = page + 2 * ShownText.capacity
    unsafe claimPath = page + 2 * ShownText.capacity + identityBytes
  }

  /// Copies text to where the guardian reads it.
  static func tell(_ text: String, at place: UnsafeMutablePointer<CChar>?, isPath: Bool) {
    guard let place = unsafe place else { return }
    unsafe strncpy(place, text, (isPath ? pathBytes : identityBytes) - 1)
  }

  private static func map(_ file: Int32) -> UnsafeMutablePointer<CChar>? {
    let page = unsafe mmap(nil, pageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
    guard let page = unsafe page, unsafe page != MAP_FAILED else { return nil }
    return unsafe page.assumingMemoryBound(to: CChar.self)
  }

  // MARK: The guardian's side

  private static let forwarded = [SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP]

  /// Starts this program again, with no signal blocked.
  private static func spawn() -> pid_t? {
    var attributes = posix_spawnattr_t()
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe posix_spawnattr_init(&attributes)
    unsafe posix_spawnattr_setsigmask(&attributes, &mask)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    for number in forwarded + [SIGCHLD] { unsafe sigaddset(&mask, number) }
    unsafe sigprocmask(SIG_BLOCK, &mask, nil)
    var arguments = unsafe CommandLine.arguments.map { unsafe strdup($0) }
    unsafe arguments.append(nil)
    var child = pid_t()
    let status = unsafe posix_spawn(
      &child, "/proc/self/exe", nil, &attributes, &arguments, environ)
    guard status == 0 else {
      unsafe sigprocmask(SIG_UNBLOCK, &mask, nil)
      return nil
    }
    return child
  }

  private static func watch(_ child: pid_t, _ page: UnsafeMutablePointer<CChar>) -> Never {
    let parent = getppid()
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    for number in forwarded + [SIGCHLD] { unsafe sigaddset(&mask, number) }
    while true {
      var status: Int32 = 0
      if unsafe waitpid(child, &status, WNOHANG) == child {
        let signal = status & 0x7F
        if signal == 0 { _exit(status >> 8 & 0xFF) }
        unsafe report(signal, page)
        _exit(128 + signal)
      }
      var second = timespec(tv_sec: 1, tv_nsec: 0)
      let signal = unsafe sigtimedwait(&mask, nil, &second)
      if forwarded.contains(signal) {
        kill(child, signal)
      } else if getppid() != parent {
        // The launcher is gone, and nobody will end the rank but its guardian.
        kill(child, SIGHUP)
      }
    }
  }

  /// Says in one line by what signal the rank died, and what it was doing.
  private static func report(_ signal: Int32, _ page: UnsafeMutablePointer<CChar>) {
    let identity = unsafe String(cString: page + 2 * ShownText.capacity)
    let path = unsafe String(cString: page + 2 * ShownText.capacity + identityBytes)
    let operation = unsafe String(cString: page + ShownText.capacity)
    if !path.isEmpty { GroupEnd.moveClaim(to: path) }
    guard GroupEnd.claim() else { return }
    let names = [
      SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGABRT: "SIGABRT", SIGILL: "SIGILL",
      SIGTRAP: "SIGTRAP", SIGFPE: "SIGFPE", SIGBUS: "SIGBUS", SIGXCPU: "SIGXCPU",
      SIGTERM: "SIGTERM", SIGHUP: "SIGHUP", SIGUSR2: "SIGUSR2",
    ]
    let name = names[signal].map { " (\($0))" } ?? ""
    let who = identity.isEmpty ? Launch.rank.map { "rank \($0)" } ?? "a rank" : identity
    let what = operation.isEmpty ? "" : " in \(operation)"
    let hint =
      signal == SIGKILL
      ? "; if nobody did, the machine was out of memory: see dmesg, and use fewer ranks a machine or max_tokens_per_pass"
      : ""
    let line = "isogloss: \(who): killed by signal \(signal)\(name)\(what)\(hint)\n"
    unsafe _ = line.withCString { unsafe write(2, $0, strlen($0)) }
  }
}
