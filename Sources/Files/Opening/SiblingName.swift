import Foundation

/// The place of a file or directory, and the hidden names beside it that writing uses.
package struct SiblingName {
  package var parent: String
  package var name: String

  /// Whether `path` ends in a name, after trailing slashes are dropped.
  package static func isPlace(_ path: String) -> Bool {
    let last = path.split(separator: "/").last ?? ""
    return !["", ".", ".."].contains(last)
  }

  /// - Precondition: ``isPlace(_:)``.
  package init(_ path: String) {
    precondition(Self.isPlace(path), "‘\(path)’ does not end in a name")
    var plain = path[...]
    while plain.utf8.count > 1, plain.hasSuffix("/") { plain.removeLast() }
    if let slash = plain.lastIndex(of: "/") {
      name = String(plain[plain.index(after: slash)...])
      parent = slash == plain.startIndex ? "/" : String(plain[..<slash])
    } else {
      name = String(plain)
      parent = "."
    }
  }

  package var path: String { parent + "/" + name }
  /// What is being replaced, until its successor is in place.
  package var replaced: String { parent + "/." + name + Self.replacedSuffix }

  package static let replacedSuffix = ".replaced"
  package static let partialMark = ".partial-"

  /// What is being written to `path`: another name at each call, since processes of several machines may write there.
  package static func partial(of path: String) -> String {
    let place = SiblingName(path)
    return place.parent + "/." + place.name + partialMark + String(UInt64.random(in: 0 ... .max))
  }

  /// What a directory is called wherever it is named from: the last part of its real path.
  package static func name(ofDirectory path: String) -> String {
    guard let resolved = unsafe realpath(path, nil) else { return path }
    defer { unsafe free(resolved) }
    let name = unsafe String(cString: resolved).split(separator: "/").last ?? "checkpoint"
    return String(name)
  }
}
