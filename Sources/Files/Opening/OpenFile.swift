package import Foundation

/// An open regular file, closed at the end of its life. Every failed call is an error with the path.
package struct OpenFile: ~Copyable {
  package let path: String
  package let descriptor: Int32

  /// Opens for reading; follows links, and refuses all that is not a regular file.
  package init(reading path: String) throws(FileError) {
    // Without O_NONBLOCK, opening a pipe would wait for its other end.
    let descriptor = retrying { unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else { throw .system("opening", path) }
    var information = stat()
    guard unsafe fstat(descriptor, &information) == 0,
      information.st_mode & S_IFMT == S_IFREG
    else {
      close(descriptor)
      throw FileError(.data, path, "is not a regular file")
    }
    self.path = path
    self.descriptor = descriptor
  }

  /// Opens a file that a user names as input, for reading; the errors say what to check.
  ///
  /// - Parameter allowsPipes: Whether all but directories may be read, on with ``readOn(_:)`` alone. Opening a pipe
  ///   waits for its other end.
  /// - Throws: ``FileError`` of code `missing` if the file cannot be opened or is of another kind.
  package init(input path: String, allowsPipes: Bool = false) throws(FileError) {
    let flags = O_RDONLY | O_CLOEXEC | (allowsPipes ? 0 : O_NONBLOCK)
    let descriptor = retrying { unsafe open(path, flags) }
    guard descriptor >= 0 else {
      let number = errno
      throw FileError(
        .missing, path,
        number == ENOENT
          ? "there is no such file; check the path"
          : "cannot be opened: \(systemErrorText(number)); check its permissions")
    }
    var information = stat()
    let isKnown = unsafe fstat(descriptor, &information) == 0
    let kind = information.st_mode & S_IFMT
    guard isKnown, kind == S_IFREG || allowsPipes && kind != S_IFDIR else {
      close(descriptor)
      throw FileError(
        .missing, path,
        allowsPipes ? "is a directory; name a file in it" : "is no regular file; name a file")
    }
    self.path = path
    self.descriptor = descriptor
  }

  /// Creates a file that must not exist yet.
  package init(creating path: String, mode: mode_t = 0o666) throws(FileError) {
    let descriptor = retrying {
      unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    }
    guard descriptor >= 0 else { throw .system("creating", path) }
    self.path = path
    self.descriptor = descriptor
  }

  /// Opens what is no regular file, such as a device or a pipe, for ``writeOn(_:)``. Opening a pipe waits for its reader.
  package init(writingTo path: String) throws(FileError) {
    let descriptor = retrying { unsafe open(path, O_WRONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw .system("writing", path) }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  package func information() throws(FileError) -> stat {
    var information = stat()
    guard unsafe fstat(descriptor, &information) == 0 else { throw .system("reading", path) }
    return information
  }

  package func size() throws(FileError) -> Int { Int(try information().st_size) }

  /// Reads up to `count` bytes at `offset`; fewer only where the file ends.
  package func read(_ count: Int, at offset: Int) throws(FileError) -> [UInt8] {
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

  /// Reads up to `count` bytes behind those that were read on before; fewer only where the file ends.
  package func readOn(_ count: Int) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let step = unsafe bytes.withUnsafeMutableBytes { buffer in
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        return retrying { unsafe Foundation.read(descriptor, rest.baseAddress, rest.count) }
      }
      guard step >= 0 else { throw .system("reading", path) }
      if step == 0 { break }
      done += step
    }
    bytes.removeLast(count - done)
    return bytes
  }

  /// Lets ``readOn(_:)`` go on at `offset`. Not for pipes.
  package func readOn(from offset: Int) throws(FileError) {
    guard lseek(descriptor, offset, SEEK_SET) == offset else { throw .system("reading", path) }
  }

  /// Gives the bytes of `range` piece by piece, each of up to a mebibyte, as far as the file goes.
  package func forEachPiece(
    of range: Range<Int>, _ body: (RawSpan) throws(FileError) -> Void
  ) throws(FileError) {
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
  package func write(_ bytes: RawSpan, at offset: Int) throws(FileError) {
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

  /// Writes all `bytes` behind those that were written before.
  package func writeOn(_ bytes: RawSpan) throws(FileError) {
    var done = 0
    while done < bytes.byteCount {
      let step = unsafe bytes.withUnsafeBytes { buffer in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
        return retrying { unsafe Foundation.write(descriptor, rest.baseAddress, rest.count) }
      }
      guard step > 0 else { throw .system("writing", path) }
      done += step
    }
  }

  /// Returns when the file's content is on the disk.
  package func sync() throws(FileError) {
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

extension FileError {
  /// The error that `errno` names after a call that failed.
  package static func system(_ action: String, _ path: String) -> FileError {
    let number = errno
    let code: Code = number == ENOENT || number == ENOTDIR ? .missing : .io
    let text = systemErrorText(number).lowercased()
    return FileError(code, path, "\(text), \(action) it", systemError: number)
  }
}

/// The system's words for a value of `errno`. The corresponding C function is `strerror`.
package func systemErrorText(_ number: Int32) -> String {
  guard let text = unsafe strerror(number) else { return "error \(number)" }
  return unsafe String(cString: text)
}
