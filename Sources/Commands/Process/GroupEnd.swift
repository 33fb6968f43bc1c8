import Collectives
import Glibc
import Synchronization

/// Sees to it that a group of ranks that fails says so in exactly one line.
///
/// The first rank to create a file that all ranks know of speaks; the others end in silence. The file's place is another
/// when the ranks have joined, and when they know their folder; a rank claims all places it knows, the oldest first, so
/// that two which are not equally far do not both speak. Everything that a signal handler touches is laid down
/// beforehand in plain memory.
enum GroupEnd {
  /// The paths of the claim, each ending in zero, the oldest first; none in a group of one.
  nonisolated(unsafe) private static let claimPaths = {
    let paths = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: pathLimit)
    unsafe paths.initialize(repeating: nil, count: pathLimit)
    return unsafe paths
  }()
  /// On this machine while MPI starts, on it with the job's own name, and in the folder that all see.
  static let pathLimit = 3
  private static let pathCount = Atomic(0)
  nonisolated(unsafe) private static var identity: UnsafeMutablePointer<CChar>?
  nonisolated(unsafe) private static var wait: UnsafePointer<CChar>?
  /// Whether this process is a rank that has not joined the others yet: it does not speak for them.
  nonisolated(unsafe) private static var isAlone = Launch.isUnderLauncher
  private static let claimed = Atomic<Bool>(false)
  /// When this process laid down who it is.
  nonisolated(unsafe) private static var startSeconds = 0

  /// Makes what handlers use.
  static func touch() {
    _ = unsafe (isAlone, claimed.load(ordering: .relaxed), startSeconds, claimPaths)
    _ = pathCount.load(ordering: .relaxed)
  }

  /// Lays down who this rank will be, before it has joined the others. Ranks of one machine then settle who speaks.
  static func prepareAlone() {
    unsafe identity = strdup("rank \(Launch.rank ?? 0)")
    unsafe wait = ShownText.wait.text
    unsafe startSeconds = time(nil)
    addClaim(at: "\(temporaryDirectory)/\(startPrefix)\(Launch.job)")
  }

  static var temporaryDirectory: String {
    unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
  }

  /// What the names of claims made before ranks have joined begin with.
  static var startPrefix: String { "isogloss.start-\(getuid())-" }

  /// Lays down who this rank is, for example `rank 1 on node07`. Once a process.
  static func prepare(identity: String) {
    unsafe self.identity = strdup(identity)
    Guardian.tell(identity: identity)
    unsafe wait = ShownText.wait.text
    unsafe isAlone = false
  }

  /// From now on the claim is made at `path` too, of a file that is not there. A handler may run meanwhile.
  static func addClaim(at path: String) {
    let count = pathCount.load(ordering: .acquiring)
    precondition(count < pathLimit, "a claim at more than \(pathLimit) places")
    unsafe claimPaths[count] = unsafe strdup(path)
    pathCount.store(count + 1, ordering: .releasing)
    Guardian.tell(claim: count, path)
  }

  /// Whether this rank is to speak for the group. True at most once in a process.
  static func claim() -> Bool {
    if claimed.exchange(true, ordering: .relaxed) { return false }
    for index in 0..<pathCount.load(ordering: .acquiring) {
      if let path = unsafe claimPaths[index], unsafe !claim(path) { return false }
    }
    return true
  }

  private static func claim(_ path: UnsafePointer<CChar>) -> Bool {
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
  static func endAtOnce(signal: Int32) -> Never {
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
      letItBeHeard()
    }
    _exit(128 + signal)
  }

  /// A launcher may drop what a process says right before its end: it is given a moment to pass it on.
  static func letItBeHeard() {
    var moment = timespec(tv_sec: 0, tv_nsec: 200_000_000)
    unsafe nanosleep(&moment, nil)
  }

  private static func write(_ text: StaticString) {
    unsafe _ = Glibc.write(2, text.utf8Start, text.utf8CodeUnitCount)
  }

  private static func write(_ text: UnsafePointer<CChar>) {
    unsafe _ = Glibc.write(2, text, strlen(text))
  }
}
