import Files
import Glibc

/// A file that is written from its start on.
struct OutputFile: ~Copyable {
  let path: String
  private let descriptor: Int32

  /// Opens the file at `path`, with its first `kept` bytes if it is there.
  ///
  /// - Throws: ``FileError`` of code `io` if it cannot be, or has fewer bytes.
  init(_ path: String, keeping kept: Int = 0) throws(FileError) {
    self.path = path
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw OutputFile.failure("opening", path) }
    let size = lseek(descriptor, 0, SEEK_END)
    guard size >= kept else {
      throw FileError(
        .io, path,
        "has \(size) bytes where \(kept) were written; remove the directory, and begin anew")
    }
    guard ftruncate(descriptor, kept) == 0, lseek(descriptor, kept, SEEK_SET) == kept else {
      throw OutputFile.failure("cutting", path)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Writes all of `bytes` at the end, or, without moving that, at a place before it.
  func write(_ bytes: Span<UInt8>, at place: Int? = nil) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBufferPointer { buffer in
        let rest = unsafe UnsafeBufferPointer(rebasing: buffer[done...])
        return if let place {
          unsafe pwrite(descriptor, rest.baseAddress, rest.count, place + done)
        } else {
          unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
        }
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw OutputFile.failure("writing", path) }
      done += count
    }
  }

  /// Returns when the bytes are on the disk.
  func synchronize() throws(FileError) {
    guard fsync(descriptor) == 0 else { throw OutputFile.failure("syncing", path) }
  }

  static func failure(_ doing: String, _ path: String) -> FileError {
    FileError(
      .io, path, "\(doing) failed: \(systemErrorText(errno)); check the disk and the folder")
  }

  // MARK: Directories

  /// Puts a file in its place, or gives another name; after it, a crash leaves the new name.
  static func rename(_ old: String, to new: String) throws(FileError) {
    guard unsafe Glibc.rename(old, new) == 0 else { throw failure("renaming", old) }
    try synchronize(directory: String(new[..<(new.lastIndex(of: "/") ?? new.startIndex)]))
  }

  /// Writes a file that is either whole, with these bytes, or as it was before.
  static func replace(_ path: String, by bytes: [UInt8]) throws(FileError) {
    let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
    let partial = path.dropLast(name.count) + ".\(name).partial"
    let file = try OutputFile(String(partial))
    try file.write(bytes.span)
    try file.synchronize()
    try rename(String(partial), to: path)
  }

  /// Makes a directory if it is not there; its parent must be.
  static func makeDirectory(_ path: String) throws(FileError) {
    guard unsafe mkdir(path, 0o777) == 0 || errno == EEXIST else {
      throw failure("making the directory", path)
    }
  }

  /// Removes a file if it is there.
  static func remove(_ path: String) throws(FileError) {
    guard unsafe unlink(path) == 0 || errno == ENOENT else { throw failure("removing", path) }
  }

  static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  private static func synchronize(directory: String) throws(FileError) {
    let path = directory.isEmpty ? "." : directory
    let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("opening", path) }
    defer { close(descriptor) }
    // Some network file systems cannot sync a directory and say so with EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure("syncing", path) }
  }
}
