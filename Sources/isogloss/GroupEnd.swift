import Collectives
import Glibc
import Synchronization

/// Sees to it that a group of ranks that fails says so in exactly one line.
///
/// The first rank to create a file that all ranks know of speaks; the others end in silence. Everything that a
/// signal handler touches is laid down beforehand in plain memory.
enum GroupEnd {
  /// The path of the claim, ending in zero; none in a group of one.
  nonisolated(unsafe) private static var claimPath: UnsafeMutablePointer<CChar>?
  nonisolated(unsafe) private static var identity: UnsafeMutablePointer<CChar>?
  nonisolated(unsafe) private static var wait: UnsafePointer<CChar>?
  /// Whether this process is a rank that has not joined the others yet: it does not speak for them.
  nonisolated(unsafe) private static var isAlone = Launch.isUnderLauncher
  private static let claimed = Atomic<Bool>(false)
  /// When this process laid down who it is.
  nonisolated(unsafe) private static var startSeconds = 0

  /// Makes what handlers use.
  static func touch() { _ = unsafe (isAlone, claimed.load(ordering: .relaxed), startSeconds) }

  /// Lays down who this rank will be, before it has joined the others. Ranks of one machine then settle who speaks.
  static func prepareAlone() {
    unsafe identity = strdup("rank \(Launch.rank ?? 0)")
    unsafe wait = ShownText.wait.text
    unsafe startSeconds = time(nil)
    moveClaim(to: "\(temporaryDirectory)/isogloss.start-\(getuid())-\(Launch.job)")
  }

  private static var temporaryDirectory: String {
    unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
  }

  /// Lays down who this rank is, for example `rank 1 on node07`. Once a process.
  static func prepare(identity: String) {
    unsafe self.identity = strdup(identity)
    unsafe Guardian.tell(identity, at: Guardian.identity, isPath: false)
    unsafe wait = ShownText.wait.text
    unsafe isAlone = false
  }

  /// From now on the claim is made at `path`, in a folder that all ranks see, of a file that is not there.
  ///
  /// A handler may run meanwhile: the path before stays where it is.
  static func moveClaim(to path: String) {
    unsafe claimPath = strdup(path)
    unsafe Guardian.tell(path, at: Guardian.claimPath, isPath: true)
  }

  /// Whether this rank is to speak for the group. True at most once in a process.
  static func claim() -> Bool {
    if claimed.exchange(true, ordering: .relaxed) { return false }
    guard let path = unsafe claimPath else { return true }
    let file = unsafe open(path, O_CREAT | O_EXCL | O_WRONLY, 0o644)
    if file >= 0 {
      close(file)
      return true
    }
    // A launcher's name may come again: what is older than this process is of another job.
    var information = stat()
    guard errno == EEXIST, unsafe stat(path, &information) == 0 else { return true }
    return unsafe information.st_mtim.tv_sec < startSeconds - 5
  }

  /// Ends the process from a signal handler, with one line if it is this rank's to say.
  static func endAtOnce(signal: Int32) {
    // Who knows the cause, the guardian of a rank that was killed, speaks first.
    var moment = timespec(tv_sec: 0, tv_nsec: 300_000_000)
    unsafe nanosleep(&moment, nil)
    // Before the ranks have joined the launcher's end needs no word, but the end of a guardian does.
    if unsafe !isAlone || signal == SIGHUP, claim() {
      unsafe write("isogloss: ")
      if let identity = unsafe identity, unsafe identity[0] != 0 {
        unsafe write(identity)
        unsafe write(": ")
      }
      unsafe write(
        signal == SIGHUP
          ? "ended by signal 1 (SIGHUP): its terminal, its launcher or the process that watches over it is gone"
          : "ended by signal 15 (SIGTERM): another rank or the launcher ended the run")
      if let wait = unsafe wait, unsafe wait[0] != 0 {
        unsafe write("; ")
        unsafe write(wait)
      }
      unsafe write("\n")
    }
    _exit(128 + signal)
  }

  private static func write(_ text: StaticString) {
    unsafe _ = Glibc.write(2, text.utf8Start, text.utf8CodeUnitCount)
  }

  private static func write(_ text: UnsafePointer<CChar>) {
    unsafe _ = Glibc.write(2, text, strlen(text))
  }
}
