import CZlib
import CZstd

/// Makes compressed files.
public enum Compressor: CaseIterable, Sendable {
  case gzip, zstandard

  /// The usual ending of names of such files.
  public var ending: String {
    switch self {
    case .gzip: ".gz"
    case .zstandard: ".zst"
    }
  }

  /// One gzip member or Zstandard frame of `bytes`, with a checksum.
  public func pack(_ bytes: [UInt8]) -> [UInt8] {
    switch self {
    case .gzip: Compressor.gzip(bytes)
    case .zstandard: Compressor.zstandard(bytes)
    }
  }

  /// One member or frame for each half.
  public func packHalves(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return pack(Array(bytes[..<(bytes.count / 2)])) + pack(Array(bytes[(bytes.count / 2)...]))
  }

  private static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var stream = unsafe z_stream()
    let begun = unsafe deflateInit2_(
      &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    precondition(begun == Z_OK)
    defer { unsafe deflateEnd(&stream) }
    var input = bytes
    var packed = [UInt8](repeating: 0, count: bytes.count + 1000)
    return unsafe input.withUnsafeMutableBufferPointer { input in
      let count = unsafe packed.withUnsafeMutableBufferPointer { packed in
        unsafe stream.next_in = input.baseAddress
        unsafe stream.avail_in = UInt32(input.count)
        unsafe stream.next_out = packed.baseAddress
        unsafe stream.avail_out = UInt32(packed.count)
        let status = unsafe deflate(&stream, Z_FINISH)
        precondition(status == Z_STREAM_END)
        return unsafe packed.count - Int(stream.avail_out)
      }
      return Array(packed[..<count])
    }
  }

  private static func zstandard(_ bytes: [UInt8]) -> [UInt8] {
    var packed = [UInt8](repeating: 0, count: bytes.count + 1000)
    let context = unsafe ZSTD_createCCtx()
    defer { unsafe _ = ZSTD_freeCCtx(context) }
    unsafe _ = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    let capacity = packed.count
    let count = unsafe ZSTD_compress2(context, &packed, capacity, bytes, bytes.count)
    precondition(ZSTD_isError(count) == 0)
    return Array(packed[..<count])
  }
}
