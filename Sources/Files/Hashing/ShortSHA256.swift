import CCrypto

/// The first 128 bits of the SHA-256 of many short texts, by OpenSSL (`EVP_Digest…`); for one thread.
///
/// Hashing allocates nothing.
@safe package final class ShortSHA256 {
  private let context: OpaquePointer
  private let algorithm: OpaquePointer
  private var digest = [UInt8](repeating: 0, count: 32)

  package init() {
    guard let context = unsafe EVP_MD_CTX_new(), let algorithm = unsafe EVP_sha256() else {
      preconditionFailure("OpenSSL offers no SHA-256")
    }
    unsafe self.context = unsafe context
    unsafe self.algorithm = unsafe algorithm
  }

  deinit { unsafe EVP_MD_CTX_free(context) }

  /// The two words, each from eight bytes, the first byte highest.
  package func hash(_ bytes: Span<UInt8>) -> (high: UInt64, low: UInt64) {
    let isDone = unsafe bytes.withUnsafeBufferPointer { bytes in
      unsafe digest.withUnsafeMutableBufferPointer { digest in
        unsafe EVP_DigestInit_ex(context, algorithm, nil) == 1
          && EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
          && EVP_DigestFinal_ex(context, digest.baseAddress, nil) == 1
      }
    }
    precondition(isDone, "OpenSSL failed to hash \(bytes.count) bytes")
    func word(_ start: Int) -> UInt64 {
      digest[start..<(start + 8)].reduce(0) { $0 << 8 | UInt64($1) }
    }
    return (word(0), word(8))
  }
}
