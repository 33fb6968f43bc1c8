import CZstd

/// Blocks of bytes, compressed each as one Zstandard frame.
package enum Zstandard {
  /// The corresponding C function is `ZSTD_compress`.
  package static func compress(_ bytes: [UInt8], level: Int32) -> [UInt8] {
    var compressed = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
    let capacity = compressed.count
    let size = unsafe ZSTD_compress(&compressed, capacity, bytes, bytes.count, level)
    precondition(ZSTD_isError(size) == 0, "Zstandard failed on \(bytes.count) bytes")
    compressed.removeLast(capacity - size)
    return compressed
  }

  /// The `count` bytes that `compressed` stands for; nil if it does not stand for so many.
  ///
  /// The corresponding C function is `ZSTD_decompress`.
  package static func decompress(_ compressed: [UInt8], count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let size = unsafe ZSTD_decompress(&bytes, count, compressed, compressed.count)
    return ZSTD_isError(size) == 0 && size == count ? bytes : nil
  }
}
