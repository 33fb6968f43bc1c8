import Foundation
import Training

/// Standard error, where the first rank reports to people.
enum Terminal {
  private static let isTerminal = isatty(2) == 1

  /// A reporter that writes to standard error on the first rank, and nothing on the others.
  static func reporter() -> Reporter {
    guard Ranks.isFirst else { return .silent }
    return Reporter(
      line: { text in
        clearProgress()
        write(text + "\n")
      },
      progress: { text in
        let line = isTerminal ? "\r\u{1B}[K\(text)" : text + "\n"
        write(line)
      })
  }

  /// Writes to standard error. A run whose reports nobody can read any more, behind a pipe that closed or on a full disk, goes
  /// on without them.
  static func write(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }

  /// Clears the line of a progress report from a terminal.
  static func clearProgress() {
    if isTerminal { write("\r\u{1B}[K") }
  }
}
