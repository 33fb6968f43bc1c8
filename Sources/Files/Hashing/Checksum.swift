import CZlib

/// CRC-32 as gzip has it. The corresponding C function is `crc32_z`.
package enum Checksum {
  /// The checksum of `bytes` behind those that `start` is the checksum of.
  package static func crc32(_ bytes: Span<UInt8>, after start: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress, buffer.count > 0 else { return start }
      return unsafe UInt32(truncatingIfNeeded: crc32_z(uLong(start), base, buffer.count))
    }
  }
}
