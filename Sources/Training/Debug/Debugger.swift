import Foundation

/// The debugger that this process runs under, if it does.
public enum Debugger {
  /// Whether another process traces this one: `TracerPid` in `/proc/self/status` is not 0.
  public static var isAttached: Bool { isAttached(status: "/proc/self/status") }

  package static func isAttached(status path: String) -> Bool {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return false }
    for line in text.split(separator: "\n") where line.hasPrefix("TracerPid:") {
      return line.dropFirst("TracerPid:".count).trimmingCharacters(in: .whitespaces) != "0"
    }
    return false
  }

  /// What to wait for others under a debugger: no time-out ends a run that somebody has stopped to look at.
  public static let patientSeconds = 1e9
}
