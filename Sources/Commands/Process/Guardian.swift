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
  private static let pathBytes = 4096
  private static let pathsPlace = 2 * ShownText.capacity + identityBytes
  private static let deadlinePlace = pathsPlace + GroupEnd.pathLimit * pathBytes
  private static let pageBytes = deadlinePlace + 8

  /// Where a guarded rank lays down who it is and where the claims to speak are made; none without a guardian.
  nonisolated(unsafe) private(set) static var identity: UnsafeMutablePointer<CChar>?
  nonisolated(unsafe) private static var claimPaths: UnsafeMutablePointer<CChar>?
  nonisolated(unsafe) private static var deadline: UnsafeMutablePointer<Int>?

  /// Whether this process is a rank with a guardian.
  static var isPresent: Bool { unsafe deadline != nil }

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
    // When the guardian dies, so does the rank: SIGHUP says why, and waits until `Signals.watch` can answer it.
    var hangUp = sigset_t()
    unsafe sigemptyset(&hangUp)
    unsafe sigaddset(&hangUp, SIGHUP)
    unsafe sigprocmask(SIG_BLOCK, &hangUp, nil)
    CLinux_signalAtParentsDeath(SIGHUP)
    guard getppid() == process else {
      GroupEnd.prepareAlone()
      GroupEnd.endAtOnce(signal: SIGHUP)
    }
    guard let page = unsafe map(file) else { return }
    close(file)
    unsafe ShownText.memory = page
    unsafe identity = page + 2 * ShownText.capacity
    unsafe claimPaths = page + pathsPlace
    unsafe deadline = deadline(page)
    GroupEnd.prepareAlone()
  }

  private static func deadline(_ page: UnsafeMutablePointer<CChar>) -> UnsafeMutablePointer<Int> {
    unsafe UnsafeMutableRawPointer(page + deadlinePlace).assumingMemoryBound(to: Int.self)
  }

  /// Runs something that no other rank watches over, such as the start of MPI: if this process is stopped in it, its
  /// guardian says so and ends it when the time is over.
  static func guarding<Result>(
    _ what: String, seconds: Double, _ body: () throws -> Result
  ) rethrows -> Result {
    guard let deadline = unsafe deadline else { return try body() }
    ShownText.operation.show(what)
    unsafe deadline.pointee = milliseconds() + Int(seconds * 1000)
    defer { unsafe deadline.pointee = 0 }
    return try body()
  }

  private static func milliseconds() -> Int {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }

  /// Tells the guardian who this rank is.
  static func tell(identity text: String) {
    if let identity = unsafe identity { unsafe strncpy(identity, text, identityBytes - 1) }
  }

  /// Tells the guardian where the claim to speak is made too.
  static func tell(claim index: Int, _ path: String) {
    if let paths = unsafe claimPaths {
      unsafe strncpy(paths + index * pathBytes, path, pathBytes - 1)
    }
  }

  private static func map(_ file: Int32) -> UnsafeMutablePointer<CChar>? {
    let page = unsafe mmap(nil, pageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
    guard let page = unsafe page, unsafe page != MAP_FAILED else { return nil }
    return unsafe page.assumingMemoryBound(to: CChar.self)
  }

  // MARK: The guardian's side

  /// A rank says itself what it waited for in vain, and has this long for it.
  private static let graceMilliseconds = 15_000

  /// How long a launcher has to end after a rank that failed.
  private static let launcherSeconds = 10

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
    signal(SIGCHLD, SIG_DFL)
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
    var isStopped = false
    var sent: Set<Int32> = []
    var orphanedAt: Int?
    while true {
      var status: Int32 = 0
      while true {
        let waited = unsafe waitpid(child, &status, WNOHANG | WUNTRACED | WCONTINUED)
        if waited < 0, errno == ECHILD { _exit(70) }
        if waited != child { break }
        let signal = status & 0x7F
        if status == 0xFFFF {
          isStopped = false
        } else if signal == 0x7F {
          isStopped = true
        } else if signal == 0 {
          let code = status >> 8 & 0xFF
          // Done, or saved as it was asked to.
          if ![0, 75, 130].contains(code) { endLauncherLater(parent) }
          _exit(code)
        } else {
          // Ended before it could take the launcher's signal itself, it had nothing to say.
          let isEarly = unsafe page[2 * ShownText.capacity] == 0 && sent.contains(signal)
          if !isEarly { unsafe reportDeath(by: signal, page) }
          endLauncherLater(parent)
          _exit(128 + signal)
        }
      }
      let deadline = unsafe deadline(page).pointee
      let late = deadline == 0 ? 0 : milliseconds() - deadline
      if late > (isStopped ? 0 : graceMilliseconds) {
        unsafe report(isStopped ? "stopped (SIGSTOP)" : "stuck", page)
        kill(child, SIGKILL)
        endLauncherLater(parent)
        _exit(70)
      }
      var second = timespec(tv_sec: 1, tv_nsec: 0)
      let signal = unsafe sigtimedwait(&mask, nil, &second)
      if forwarded.contains(signal) {
        sent.insert(signal)
        kill(child, signal)
      } else if getppid() != parent {
        // The launcher is gone, and nobody will end the rank but its guardian.
        let now = milliseconds()
        if let orphanedAt, now - orphanedAt > graceMilliseconds {
          kill(child, SIGKILL)
          _exit(128 + SIGHUP)
        }
        if orphanedAt == nil {
          orphanedAt = now
          kill(child, SIGHUP)
          kill(child, SIGCONT)
        }
      }
    }
  }

  /// Sees to it that the launcher ends too: one that cannot reach its other hosts waits for them for ever.
  ///
  /// A shell that belongs to nobody looks after some seconds whether it is still there. Nothing of a scheduler's is
  /// touched.
  private static func endLauncherLater(_ launcher: pid_t) {
    func text(_ file: String) -> String? {
      let descriptor = unsafe open("/proc/\(launcher)/\(file)", O_RDONLY | O_CLOEXEC)
      if descriptor < 0 { return nil }
      defer { close(descriptor) }
      var bytes = [UInt8](repeating: 0, count: 1024)
      let count = unsafe read(descriptor, &bytes, bytes.count)
      return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
    let launchers = ["mpirun", "mpiexec", "orterun", "orted", "mpiexec.hydra", "hydra_pmi_proxy"]
    let name = text("comm")?.split(separator: "\n").first.map(String.init) ?? ""
    // `PID (name) STATE …`: the time of its start is the 20th word after the name.
    let words = text("stat")?.split(separator: ")").last?.split(separator: " ") ?? []
    guard launchers.contains(name), words.count > 19 else { return }
    let script =
      "sleep \(launcherSeconds); read -r stat </proc/\(launcher)/stat || exit; set -- ${stat##*) }; "
      + "[ \"${20}\" = \(words[19]) ] && kill -9 \(launcher)"
    var attributes = posix_spawnattr_t()
    var files = unsafe posix_spawn_file_actions_t()
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe posix_spawnattr_init(&attributes)
    unsafe posix_spawnattr_setsigmask(&attributes, &mask)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | CLinux_spawnInNewSession)
    unsafe posix_spawn_file_actions_init(&files)
    defer {
      unsafe posix_spawnattr_destroy(&attributes)
      unsafe posix_spawn_file_actions_destroy(&files)
    }
    // The launcher waits until nobody holds its pipes.
    for file in 0...2 as ClosedRange<Int32> {
      unsafe posix_spawn_file_actions_addopen(&files, file, "/dev/null", O_RDWR, 0)
    }
    var arguments: [UnsafeMutablePointer<CChar>?] =
      unsafe [strdup("sh"), strdup("-c"), strdup(script), nil]
    var shell = pid_t()
    _ = unsafe posix_spawn(&shell, "/bin/sh", &files, &attributes, &arguments, environ)
  }

  private static func reportDeath(by signal: Int32, _ page: UnsafeMutablePointer<CChar>) {
    let names = [
      SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGABRT: "SIGABRT", SIGILL: "SIGILL",
      SIGTRAP: "SIGTRAP", SIGFPE: "SIGFPE", SIGBUS: "SIGBUS", SIGXCPU: "SIGXCPU",
      SIGTERM: "SIGTERM", SIGHUP: "SIGHUP", SIGUSR2: "SIGUSR2",
    ]
    unsafe report(
      "killed by signal \(signal)" + (names[signal].map { " (\($0))" } ?? ""), page,
      hint: signal == SIGKILL
        ? "; if nobody did, the machine was out of memory: see dmesg, and use fewer ranks a machine or max_tokens_per_pass"
        : "")
  }

  /// Says in one line what became of the rank, and what it was doing.
  private static func report(
    _ what: String, _ page: UnsafeMutablePointer<CChar>, hint: String = ""
  ) {
    let identity = unsafe String(cString: page + 2 * ShownText.capacity)
    let operation = unsafe String(cString: page + ShownText.capacity)
    for index in 0..<GroupEnd.pathLimit {
      let path = unsafe String(cString: page + pathsPlace + index * pathBytes)
      if !path.isEmpty { GroupEnd.addClaim(at: path) }
    }
    guard GroupEnd.claim() else { return }
    let who = identity.isEmpty ? Launch.rank.map { "rank \($0)" } ?? "a rank" : identity
    let place = operation.isEmpty ? "" : " in \(operation)"
    let line = "isogloss: \(who): \(what)\(place)\(hint)\n"
    unsafe _ = line.withCString { unsafe write(2, $0, strlen($0)) }
    GroupEnd.letItBeHeard()
  }
}
