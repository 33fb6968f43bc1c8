import Glibc

/// The most memory that this process has had.
package enum PeakMemory {
  /// The largest resident set, in bytes.
  package static var bytes: Int {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss << 10
  }
}
