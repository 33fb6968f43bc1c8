import Foundation

/// An open regular file, closed at the end of its life. Every failed call is an error with the path.
struct OpenFile: ~Copyable {
  let path: String
  let descriptor: Int32

  /// Opens for reading; follows links, and refuses all that is not a regular file.
  init(reading path: String) throws(CheckpointError) {
    // Without O_NONBLOCK, opening a pipe would wait for its other end.
    let descriptor = retrying { unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else { throw .system("opening", path) }
    var information = stat()
    guard unsafe fstat(descriptor, &information) == 0,
      information.st_mode & S_IFMT == S_IFREG
    else {
      close(descriptor)
      throw CheckpointError(.data, path, "is not a regular file")
    }
    self.path = path
    self.descriptor = descriptor
  }

  /// Creates a file that must not exist yet.
  init(creating path: String, mode: mode_t = 0o666) throws(CheckpointError) {
    let descriptor = retrying {
      unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    }
    guard descriptor >= 0 else { throw .system("creating", path) }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  func information() throws(CheckpointError) -> stat {
    var information = stat()
    guard unsafe fstat(descriptor, &information) == 0 else { throw .system("reading", path) }
    return information
  }

  func size() throws(CheckpointError) -> Int { Int(try information().st_size) }

  /// Reads up to `count` bytes at `offset`; fewer only where the file ends.
  func read(_ count: Int, at offset: Int) throws(CheckpointError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let step = unsafe bytes.withUnsafeMutableBytes { buffer in
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        return retrying {
          unsafe pread(descriptor, rest.baseAddress, rest.count, offset + done)
        }
      }
      guard step >= 0 else { throw .system("reading", path) }
      if step == 0 { break }
      done += step
    }
    bytes.removeLast(count - done)
    return bytes
  }

  /// Gives the bytes of `range` piece by piece, each of up to a mebibyte, as far as the file goes.
  func forEachPiece(
    of range: Range<Int>, _ body: (RawSpan) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var buffer = [UInt8](repeating: 0, count: min(range.count, 1 << 20))
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = min(buffer.count, range.upperBound - offset)
      let step = unsafe buffer.withUnsafeMutableBytes { bytes in
        retrying { unsafe pread(descriptor, bytes.baseAddress, count, offset) }
      }
      guard step >= 0 else { throw .system("reading", path) }
      if step == 0 { break }
      try body(unsafe buffer.span.bytes.extracting(first: step))
      offset += step
    }
  }

  /// Writes all `bytes` at `offset`.
  func write(_ bytes: RawSpan, at offset: Int) throws(CheckpointError) {
    var done = 0
    while done < bytes.byteCount {
      let step = unsafe bytes.withUnsafeBytes { buffer in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
        return retrying {
          unsafe pwrite(descriptor, rest.baseAddress, rest.count, offset + done)
        }
      }
      guard step > 0 else { throw .system("writing", path) }
      done += step
    }
  }

  /// Returns when the file's content is on the disk.
  func sync() throws(CheckpointError) {
    guard retrying({ Int(fsync(descriptor)) }) == 0 else { throw .system("syncing", path) }
  }
}

/// Calls again while a signal interrupts.
private func retrying<Result: SignedInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result >= 0 || errno != EINTR { return result }
  }
}

extension CheckpointError {
  /// The error that `errno` names after a call that failed.
  static func system(_ action: String, _ path: String) -> CheckpointError {
    let number = errno
    let text = unsafe String(cString: strerror(number))
    let code: Code = number == ENOENT || number == ENOTDIR ? .missing : .io
    return CheckpointError(code, path, "\(text.lowercased()), \(action) it", systemError: number)
  }
}

// MARK: Whole files

/// Small files, read and written whole.
public enum WholeFile {
  /// The bytes of the file at `path`.
  ///
  /// - Throws: ``CheckpointError``: `missing`, `io`, or `data` when it holds more than `limit` bytes.
  public static func read(_ path: String, limit: Int) throws(CheckpointError) -> [UInt8] {
    let file = try OpenFile(reading: path)
    let size = try file.size()
    guard size <= limit else {
      throw CheckpointError(.data, path, "\(size) bytes is over the limit of \(limit)")
    }
    return try file.read(size, at: 0)
  }

  /// Writes a file that does not exist yet, and waits until it is on the disk.
  public static func write(_ bytes: [UInt8], to path: String) throws(CheckpointError) {
    try write(bytes, to: path, mode: 0o666)
  }

  static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(CheckpointError) {
    let file = try OpenFile(creating: path, mode: mode)
    try file.write(unsafe bytes.span.bytes, at: 0)
    try file.sync()
  }

  /// Puts a file in the place of another, or of none: whole or not at all.
  public static func replace(_ bytes: [UInt8], at path: String) throws(CheckpointError) {
    let partial = SiblingName.partial(of: path)
    do throws(CheckpointError) {
      try write(bytes, to: partial)
      guard unsafe rename(partial, path) == 0 else { throw .system("writing", path) }
    } catch {
      unsafe unlink(partial)
      throw error
    }
  }

  /// Writes `text` and a line end as UTF-8 to a file that does not exist yet.
  public static func write(_ text: String, to path: String) throws(CheckpointError) {
    try write(Array((text + "\n").utf8), to: path)
  }

  /// Copies a file of any size to one that does not exist yet.
  public static func copy(_ source: String, to path: String) throws(CheckpointError) {
    let input = try OpenFile(reading: source)
    let output = try OpenFile(creating: path)
    var offset = 0
    try input.forEachPiece(of: 0..<Int.max) { (bytes) throws(CheckpointError) in
      try output.write(bytes, at: offset)
      offset += bytes.byteCount
    }
    try output.sync()
  }
}
