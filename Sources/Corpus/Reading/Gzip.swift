import CZlib

/// The gzip format: one or more compressed members, one after the other.
package enum Gzip {
  /// Whether `bytes` begin as a gzip file does.
  package static func opens(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1F, 0x8B]) }

  /// How far a file may grow: what is larger than `free` bytes must also be at most `ratio` times
  /// its compressed size and at most `ceiling` bytes.
  ///
  /// Text shrinks three to ten times, deflate at most about a thousand times; a file far beyond the
  /// first is made to fill the memory.
  package struct Bound: Sendable {
    package var free = 64 << 20
    package var ratio = 200
    package var ceiling = 16 << 30

    package init() {}
  }

  /// The content of all members of a gzip file.
  ///
  /// Zero bytes after the last member are padding and ignored.
  ///
  /// - Throws: ``CorpusError`` of code `data` if the file ends too early, is damaged (checksums are
  ///   checked), has other bytes after its last member, or grows beyond `bound`.
  package static func inflate(_ bytes: [UInt8], path: String, bound: Bound = Bound())
    throws(CorpusError) -> [UInt8]
  {
    var output: [UInt8] = []
    var stream = unsafe z_stream()
    guard
      unsafe inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        == Z_OK
    else { throw CorpusError(.io, path, "zlib cannot start: out of memory") }
    defer { unsafe inflateEnd(&stream) }

    var consumed = 0
    var chunk = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let offered = min(bytes.count - consumed, 1 << 30)
      let (status, taken, made) = unsafe inflateOnce(
        &stream, bytes.span.extracting(consumed..<consumed + offered), into: &chunk)
      consumed += taken
      output.append(contentsOf: chunk[..<made])
      let allowed = min(
        bound.ceiling, max(bound.free, consumed.multipliedReportingOverflow(by: bound.ratio).0))
      guard output.count <= allowed else {
        throw CorpusError(
          .data, path,
          "grows from \(consumed) to more than \(allowed) bytes, which no text does; inflate it yourself if it is right"
        )
      }
      switch status {
      case Z_STREAM_END:
        let rest = bytes[consumed...]
        if rest.allSatisfy({ $0 == 0 }) { return output }
        guard rest.starts(with: [0x1F, 0x8B]) else {
          throw CorpusError(
            .data, path, "has \(rest.count) bytes that are not gzip after its end; fetch it again")
        }
        unsafe inflateReset(&stream)
      case Z_OK where taken > 0 || made > 0: continue
      case Z_OK, Z_BUF_ERROR:
        throw CorpusError(.data, path, "the gzip file is cut short; fetch it again")
      default:
        throw CorpusError(
          .data, path, "the gzip file is damaged after \(output.count) bytes; fetch it again")
      }
    }
  }

  private static func inflateOnce(
    _ stream: inout z_stream, _ input: Span<UInt8>, into chunk: inout [UInt8]
  ) -> (status: Int32, taken: Int, made: Int) {
    unsafe input.withUnsafeBufferPointer { input in
      unsafe chunk.withUnsafeMutableBufferPointer { output in
        unsafe stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        unsafe stream.avail_in = UInt32(input.count)
        unsafe stream.next_out = output.baseAddress
        unsafe stream.avail_out = UInt32(output.count)
        let status = unsafe CZlib.inflate(&stream, Z_NO_FLUSH)
        return unsafe (
          status, input.count - Int(stream.avail_in), output.count - Int(stream.avail_out)
        )
      }
    }
  }
}
