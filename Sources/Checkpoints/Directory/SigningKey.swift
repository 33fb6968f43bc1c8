import CCrypto
public import Files
import Foundation

/// A private Ed25519 key in a PEM file (PKCS #8), as `openssl genpkey -algorithm ed25519` writes it.
@safe public struct SigningKey: ~Copyable {
  private let key: OpaquePointer
  /// 64 hexadecimal digits.
  public let publicKey: String

  /// Makes a new key. The file is readable by its owner alone; beside it `PATH.pub` takes the public key.
  ///
  /// - Throws: ``FileError`` of code `io`, also when one of the files is there already.
  public static func generate(at path: String) throws(FileError) {
    guard let key = unsafe EVP_PKEY_Q_keygen_ed25519() else {
      throw FileError(.io, path, "OpenSSL makes no Ed25519 key")
    }
    defer { unsafe EVP_PKEY_free(key) }
    let (secret, open) = try unsafe (
      PEMText.of(path) { unsafe PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) },
      PEMText.of(path) { unsafe PEM_write_bio_PUBKEY($0, key) }
    )
    for name in [path, path + ".pub"] where FileKind.of(name) != .absent {
      throw FileError(.io, name, "exists already; keys are never written over")
    }
    do throws(FileError) {
      try WholeFile.write(secret, to: path, mode: 0o600)
      try WholeFile.write(open, to: path + ".pub")
    } catch {
      // Both or none: neither was there before.
      unsafe unlink(path)
      unsafe unlink(path + ".pub")
      throw error
    }
  }

  /// - Parameter directory: What is to be signed: a key must never travel with it.
  /// - Throws: ``FileError`` where there is no such key, others than its owner may read it, or it lies in `directory`.
  public init(path: String, notIn directory: String) throws(FileError) {
    guard try !PlainPath.isWithin(path, directory) else {
      throw FileError(
        .data, path, "a private key in a checkpoint that is to be given away: keep it elsewhere")
    }
    var information = stat()
    if unsafe stat(path, &information) == 0, information.st_mode & 0o077 != 0 {
      throw FileError(
        .data, path, "a private key that others may read: chmod 600 it, or make a new one")
    }
    let (key, publicKey) = try unsafe PEMText.key(path, "private") {
      unsafe PEM_read_bio_PrivateKey($0, nil, PEMText.noPassword, nil)
    }
    unsafe self.key = unsafe key
    self.publicKey = publicKey
  }

  deinit { unsafe EVP_PKEY_free(key) }

  /// The 64 bytes of the signature of `message`.
  func sign(_ message: [UInt8]) throws(FileError) -> [UInt8] {
    let context = unsafe EVP_MD_CTX_new()
    defer { unsafe EVP_MD_CTX_free(context) }
    var (bytes, count) = ([UInt8](repeating: 0, count: 64), 64)
    let done =
      unsafe EVP_DigestSignInit(context, nil, nil, nil, key) == 1
      && EVP_DigestSign(context, &bytes, &count, message, message.count) == 1
    precondition(done && count == 64, "OpenSSL failed to sign \(message.count) bytes")
    return bytes
  }
}

/// A public Ed25519 key in a PEM file.
@safe public struct VerifyingKey: ~Copyable {
  private let key: OpaquePointer
  /// 64 hexadecimal digits.
  public let publicKey: String

  public init(path: String) throws(FileError) {
    let (key, publicKey) = try unsafe PEMText.key(path, "public") {
      unsafe PEM_read_bio_PUBKEY($0, nil, PEMText.noPassword, nil)
    }
    unsafe self.key = unsafe key
    self.publicKey = publicKey
  }

  deinit { unsafe EVP_PKEY_free(key) }

  func isSignature(_ bytes: [UInt8], of message: [UInt8]) -> Bool {
    let context = unsafe EVP_MD_CTX_new()
    defer { unsafe EVP_MD_CTX_free(context) }
    return unsafe EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
      && EVP_DigestVerify(context, bytes, bytes.count, message, message.count) == 1
  }
}

/// Keys as text, through OpenSSL's memory files.
private enum PEMText {
  /// Nobody is asked for the password of a key that has one.
  static let noPassword:
    @convention(c) (
      UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?
    ) -> Int32 = { _, _, _, _ in 0 }

  static func of(
    _ path: String, _ write: (OpaquePointer) -> Int32
  ) throws(FileError) -> [UInt8] {
    guard let memory = unsafe BIO_new(BIO_s_mem()) else {
      preconditionFailure("no memory for a key")
    }
    defer { unsafe BIO_free(memory) }
    guard unsafe write(memory) == 1 else {
      throw FileError(.io, path, "OpenSSL writes no key")
    }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe BIO_read(memory, &bytes, Int32(bytes.count))
    return Array(bytes.prefix(max(0, Int(count))))
  }

  /// A key, which is the caller's to free, and its public half in hexadecimal digits.
  static func key(
    _ path: String, _ kind: String, _ read: (OpaquePointer) -> OpaquePointer?
  ) throws(FileError) -> (OpaquePointer, String) {
    let bytes = try WholeFile.read(path, limit: 1 << 16)
    let found = unsafe bytes.withUnsafeBytes { bytes -> OpaquePointer? in
      guard let memory = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else {
        return nil
      }
      defer { unsafe BIO_free(memory) }
      return unsafe read(memory)
    }
    guard let key = unsafe found else {
      throw FileError(
        .data, path, "holds no \(kind) key in PEM, without a password; see ‘checkpoint keygen’")
    }
    var (raw, count) = ([UInt8](repeating: 0, count: 32), 32)
    guard unsafe EVP_PKEY_is_a(key, "ED25519") == 1,
      unsafe EVP_PKEY_get_raw_public_key(key, &raw, &count) == 1, count == 32
    else {
      unsafe EVP_PKEY_free(key)
      throw FileError(.data, path, "is no Ed25519 key")
    }
    return unsafe (key, Hexadecimal.text(raw))
  }
}
