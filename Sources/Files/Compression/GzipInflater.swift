import CZlib

/// One or more gzip members, checksums checked. The corresponding C function is `inflate`.
@safe final class GzipInflater: Inflater {
  private let stream: UnsafeMutablePointer<z_stream>
  private var chunk = [UInt8](repeating: 0, count: 1 << 18)
  private(set) var isBetween = true

  init() {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let begun = unsafe inflateInit2_(
      stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(begun == Z_OK, "zlib cannot start: \(begun)")
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  func inflate(_ input: Span<UInt8>, into output: inout [UInt8]) throws(InflaterError) -> Int {
    if isBetween, input.isEmpty { return 0 }
    if isBetween, input[0] == 0 {
      // Zeros behind a member are padding.
      var zeros = 0
      while zeros < input.count, input[zeros] == 0 { zeros += 1 }
      return zeros
    }
    let offered = min(input.count, 1 << 30)
    let (status, taken) = unsafe input.withUnsafeBufferPointer { input in
      unsafe chunk.withUnsafeMutableBufferPointer { chunk in
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(offered)
        unsafe stream.pointee.next_out = chunk.baseAddress
        unsafe stream.pointee.avail_out = UInt32(chunk.count)
        let status = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
        return unsafe (status, offered - Int(stream.pointee.avail_in))
      }
    }
    output.append(contentsOf: unsafe chunk[..<(chunk.count - Int(stream.pointee.avail_out))])
    isBetween = false
    switch status {
    case Z_OK, Z_BUF_ERROR: return taken
    case Z_STREAM_END:
      unsafe inflateReset(stream)
      isBetween = true
      return taken
    default: throw InflaterError(message: "the gzip file is damaged")
    }
  }
}
