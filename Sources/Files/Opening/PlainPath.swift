import Foundation

/// Names and paths that strangers give: only such as stay below the directory they are put in.
package enum PlainPath {
  private static let depthLimit = 16

  /// Whether `name` is one name of a file, without a path.
  package static func isName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 < 0x20 }
  }

  /// Whether `path` is a few such names with `/` between them.
  package static func isRelative(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count <= depthLimit && parts.allSatisfy { isName(String($0)) }
  }

  /// Whether the file at `path`, all links followed, lies below `directory`.
  ///
  /// - Throws: ``FileError`` if one of the two is not there.
  package static func isWithin(_ path: String, _ directory: String) throws(FileError) -> Bool {
    let home = try real(directory)
    return try real(path).hasPrefix(home.hasSuffix("/") ? home : home + "/")
  }

  private static func real(_ path: String) throws(FileError) -> String {
    guard let resolved = unsafe realpath(path, nil) else { throw .system("resolving", path) }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }
}
