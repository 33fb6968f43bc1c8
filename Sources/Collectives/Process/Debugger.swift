import Glibc

/// The debugger that this process runs under, if it does.
public enum Debugger {
  /// Whether another process traces this one: `TracerPid` in `/proc/self/status` is not 0.
  public static var isAttached: Bool { isAttached(status: "/proc/self/status") }

  /// The same of a file of that form.
  package static func isAttached(status path: String) -> Bool {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    if file < 0 { return false }
    defer { close(file) }
    // The line is one of the first ten.
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe read(file, &bytes, bytes.count)
    let lines = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("TracerPid:") }) else { return false }
    return line.split(whereSeparator: \.isWhitespace).last != "0"
  }
}
