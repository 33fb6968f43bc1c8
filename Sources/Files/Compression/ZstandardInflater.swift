import CZstd

/// One or more Zstandard frames, checksums checked. The corresponding C function is
/// `ZSTD_decompressStream`, with its bound of 128 MiB on the window.
@safe final class ZstandardInflater: Inflater {
  private let context: OpaquePointer
  private var chunk = [UInt8](repeating: 0, count: 1 << 18)
  private(set) var isBetween = true

  init() {
    guard let context = unsafe ZSTD_createDCtx() else {
      preconditionFailure("no memory for Zstandard")
    }
    unsafe self.context = unsafe context
  }

  deinit { unsafe _ = ZSTD_freeDCtx(context) }

  func inflate(_ input: Span<UInt8>, into output: inout [UInt8]) throws(InflaterError) -> Int {
    let (status, taken, made) = unsafe input.withUnsafeBufferPointer { input in
      unsafe chunk.withUnsafeMutableBufferPointer { chunk in
        var from = unsafe ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var to = unsafe ZSTD_outBuffer(dst: chunk.baseAddress, size: chunk.count, pos: 0)
        let status = unsafe ZSTD_decompressStream(context, &to, &from)
        return unsafe (status, from.pos, to.pos)
      }
    }
    guard ZSTD_isError(status) == 0 else {
      let name = unsafe ZSTD_getErrorName(status).map { unsafe String(cString: $0) }
      throw InflaterError(message: "the Zstandard file is damaged (\(name ?? "\(status)"))")
    }
    output.append(contentsOf: chunk[..<made])
    if taken > 0 || made > 0 { isBetween = status == 0 }
    return taken
  }
}
