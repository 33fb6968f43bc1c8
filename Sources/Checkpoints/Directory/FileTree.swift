import Files
import Foundation

/// What there is at a path.
enum FileKind {
  case absent
  case file
  case directory
  case other

  /// What `path` names; a link is itself something else, unless it is to be followed.
  static func of(_ path: String, followingLinks: Bool = false) -> FileKind {
    var information = stat()
    let result =
      unsafe followingLinks ? stat(path, &information) : lstat(path, &information)
    guard result == 0 else { return .absent }
    return switch information.st_mode & S_IFMT {
    case S_IFREG: .file
    case S_IFDIR: .directory
    default: .other
    }
  }
}

/// The names of all files and directories below one, in the order of their bytes.
struct FileTree {
  var files: [String] = []
  var directories: [String] = []
  private static let depthLimit = 16

  /// - Parameters:
  ///   - allowingLinks: Whether a link to a file counts as a file. Otherwise a link is an error of code `data`, as is
  ///     all that is neither file nor directory: its content is not the directory's own.
  ///   - skippingHidden: Whether names that begin with a dot are left out.
  init(
    _ path: String, allowingLinks: Bool = false, skippingHidden: Bool = false
  ) throws(FileError) {
    try add(path, prefix: "", depth: 0, allowingLinks, skippingHidden)
    files.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    directories.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Makes a directory and those it is in, unless it is there.
  static func makeDirectory(_ path: String) throws(FileError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw FileError(.io, path, "cannot be made a directory: \(error)")
    }
  }

  private mutating func add(
    _ path: String, prefix: String, depth: Int, _ allowingLinks: Bool, _ skippingHidden: Bool
  ) throws(FileError) {
    guard depth < Self.depthLimit else {
      throw FileError(.data, path, "is more than \(Self.depthLimit) directories deep")
    }
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      let code: FileError.Code = FileKind.of(path) == .absent ? .missing : .io
      throw FileError(code, path, "cannot be read as a directory")
    }
    for name in names where !(skippingHidden && name.hasPrefix(".")) {
      switch FileKind.of(path + "/" + name) {
      case .file: files.append(prefix + name)
      case .directory:
        directories.append(prefix + name)
        try add(
          path + "/" + name, prefix: prefix + name + "/", depth: depth + 1, allowingLinks,
          skippingHidden)
      case .other
      where allowingLinks && FileKind.of(path + "/" + name, followingLinks: true) == .file:
        files.append(prefix + name)
      case .other, .absent:
        throw FileError(.data, path + "/" + name, "is neither a file nor a directory")
      }
    }
  }
}
