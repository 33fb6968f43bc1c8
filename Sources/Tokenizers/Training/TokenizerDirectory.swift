import Files
import Foundation

/// A new directory of a tokenizer's files, which appears whole.
struct TokenizerDirectory {
  let path: String

  /// Checks that the directory can be made: it must not exist, or be empty.
  init(new path: String) throws(FileError) {
    self.path = path
    var isDirectory: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      return
    }
    guard isDirectory.boolValue else {
      throw FileError(.io, path, "is a file; name a new directory for the tokenizer")
    }
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
      throw FileError(.io, path, "cannot be read; check its permissions")
    }
    guard names.isEmpty else {
      throw FileError(
        .io, path,
        "exists and is not empty (\(names.sorted()[0])); name a new directory for the tokenizer")
    }
  }

  /// Writes the files beside the directory's place and then puts them there at once.
  func write(_ files: [(name: String, bytes: [UInt8])]) throws(FileError) {
    let place = URL(filePath: path).standardizedFileURL
    let parent = place.deletingLastPathComponent()
    let partial = parent.appending(path: ".\(place.lastPathComponent).partial")
    do {
      // What a run that was killed left.
      if FileManager.default.fileExists(atPath: partial.path) {
        try FileManager.default.removeItem(at: partial)
      }
      try FileManager.default.createDirectory(at: partial, withIntermediateDirectories: true)
      for file in files {
        let url = partial.appending(path: file.name)
        try Data(file.bytes).write(to: url)
        try sync(url)
      }
      try sync(partial)
      // Takes the place of an empty directory too.
      guard unsafe rename(partial.path, place.path) == 0 else { throw POSIXError(.EIO) }
      try sync(parent)
    } catch {
      try? FileManager.default.removeItem(at: partial)
      throw FileError(
        .io, path, "cannot be written; check the disk's room and the permissions of \(parent.path)")
    }
  }

  /// Waits until a file or directory is on the disk.
  private func sync(_ url: URL) throws {
    let descriptor = unsafe open(url.path, O_RDONLY)
    guard descriptor >= 0 else { throw POSIXError(.EIO) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw POSIXError(.EIO) }
  }
}
