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
        FileHandle.standardError.write(Data((text + "\n").utf8))
      },
      progress: { text in
        let line = isTerminal ? "\r\u{1B}[K\(text)" : text + "\n"
        FileHandle.standardError.write(Data(line.utf8))
      })
  }

  /// Clears the line of a progress report from a terminal.
  static func clearProgress() {
    if isTerminal { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
  }
}
