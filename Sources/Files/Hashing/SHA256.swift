import CCrypto

/// The SHA-256 hash of bytes that come piece by piece, by OpenSSL (`EVP_Digest…`).
@safe public struct SHA256: ~Copyable {
  private let context: OpaquePointer

  public init() {
    guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("no memory for a hash") }
    let begun = unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil)
    precondition(begun == 1, "OpenSSL offers no SHA-256")
    unsafe self.context = unsafe context
  }

  deinit { unsafe EVP_MD_CTX_free(context) }

  public mutating func update(_ bytes: RawSpan) {
    let done = unsafe bytes.withUnsafeBytes {
      unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count)
    }
    precondition(done == 1, "OpenSSL failed to hash \(bytes.byteCount) bytes")
  }

  /// The hash as 64 hexadecimal digits in lower case.
  public consuming func finish() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    let done = unsafe digest.withUnsafeMutableBufferPointer {
      unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil)
    }
    precondition(done == 1, "OpenSSL failed to finish a hash")
    return Hexadecimal.text(digest)
  }

  /// The hash of `bytes` as 64 hexadecimal digits.
  public static func digest(_ bytes: [UInt8]) -> String {
    var hash = SHA256()
    hash.update(unsafe bytes.span.bytes)
    return hash.finish()
  }

  /// The hash of the file at `path`, read a mebibyte at a time.
  public static func digest(ofFile path: String) throws(FileError) -> String {
    try digest(of: OpenFile(reading: path))
  }

  /// The hash of the bytes of a file that are in `range`.
  package static func digest(
    of file: borrowing OpenFile, _ range: Range<Int> = 0..<Int.max
  ) throws(FileError) -> String {
    var hash = SHA256()
    try file.forEachPiece(of: range) { hash.update($0) }
    return hash.finish()
  }
}
