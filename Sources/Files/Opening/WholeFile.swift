package import Foundation

/// Small files, read and written whole.
public enum WholeFile {
  /// The bytes of the file at `path`.
  ///
  /// - Throws: ``FileError``: `missing`, `io`, or `data` when it holds more than `limit` bytes.
  public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
    let file = try OpenFile(reading: path)
    let size = try file.size()
    guard size <= limit else {
      throw FileError(.data, path, "\(size) bytes is over the limit of \(limit)")
    }
    return try file.read(size, at: 0)
  }

  /// Writes a file that does not exist yet, and waits until it is on the disk.
  public static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
    try write(bytes, to: path, mode: 0o666)
  }

  package static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(FileError) {
    let file = try OpenFile(creating: path, mode: mode)
    try file.write(unsafe bytes.span.bytes, at: 0)
    try file.sync()
  }

  /// Puts a file in the place of another, or of none: whole or not at all.
  public static func replace(_ bytes: [UInt8], at path: String) throws(FileError) {
    let partial = SiblingName.partial(of: path)
    do throws(FileError) {
      try write(bytes, to: partial)
      guard unsafe rename(partial, path) == 0 else { throw .system("writing", path) }
    } catch {
      unsafe unlink(partial)
      throw error
    }
  }

  /// Writes a file that a user names as output: a regular file, or none, is replaced whole or not at all, also behind a
  /// link; what is no file, such as a device or a pipe, is written in place.
  package static func put(_ bytes: [UInt8], at path: String) throws(FileError) {
    var information = stat()
    guard unsafe stat(path, &information) == 0 else {
      guard SiblingName.isPlace(path) else { throw FileError(.io, path, "is no name of a file") }
      guard unsafe stat(SiblingName(path).parent, &information) == 0,
        information.st_mode & S_IFMT == S_IFDIR
      else { throw FileError(.io, path, "its directory does not exist; make it first") }
      return try replace(bytes, at: path)
    }
    switch information.st_mode & S_IFMT {
    case S_IFDIR: throw FileError(.io, path, "is a directory; name a file")
    case S_IFREG:
      guard let resolved = unsafe realpath(path, nil) else { throw .system("writing", path) }
      defer { unsafe free(resolved) }
      try replace(bytes, at: unsafe String(cString: resolved))
    default:
      let file = try OpenFile(writingTo: path)
      try file.writeOn(unsafe bytes.span.bytes)
    }
  }

  /// Whether there is a regular file, or a link to one.
  package static func isRegular(_ path: String) -> Bool {
    var information = stat()
    return unsafe stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
  }

  /// Writes `text` and a line end as UTF-8 to a file that does not exist yet.
  public static func write(_ text: String, to path: String) throws(FileError) {
    try write(Array((text + "\n").utf8), to: path)
  }

  /// Copies a file of any size to one that does not exist yet.
  public static func copy(_ source: String, to path: String) throws(FileError) {
    let input = try OpenFile(reading: source)
    let output = try OpenFile(creating: path)
    var offset = 0
    try input.forEachPiece(of: 0..<Int.max) { (bytes) throws(FileError) in
      try output.write(bytes, at: offset)
      offset += bytes.byteCount
    }
    try output.sync()
  }
}
