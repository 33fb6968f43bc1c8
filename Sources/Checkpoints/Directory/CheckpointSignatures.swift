public import Files

/// The content of `isogloss.sig`: signatures of the bytes of `isogloss.json`, and so of every file that it lists.
///
/// Ed25519 (RFC 8032), as `openssl pkeyutl -rawin` makes and checks it. Several labs may sign one checkpoint.
public struct CheckpointSignatures: Sendable, Equatable {
  struct Signature: Sendable, Equatable {
    /// The signer's public key: 64 hexadecimal digits.
    var publicKey: String
    /// 128 hexadecimal digits.
    var bytes: String
  }

  /// The name of the signatures' file.
  public static let fileName = "isogloss.sig"
  private static let formatName = "isogloss-signatures"
  private static let countLimit = 100

  private(set) var list: [Signature] = []

  /// The public keys of those who say that they signed: 64 hexadecimal digits each. Only ``CheckpointDirectory/verify(_:signedBy:)`` tells whether it is so.
  public var signers: [String] { list.map(\.publicKey) }

  /// Reads the signatures in `directory`; none where there is no such file.
  ///
  /// - Throws: ``FileError`` of code `data` with the key that is wrong.
  public init(directory: String) throws(FileError) {
    let path = directory + "/" + Self.fileName
    guard FileKind.of(path) != .absent else { return }
    let root = try JSONValue(parsing: WholeFile.read(path, limit: 1 << 20), path: path)
    guard root["format"]?.string == Self.formatName, root["format_version"]?.int == 1 else {
      throw FileError(.data, path, field: "format", "is not ‘\(Self.formatName)’, version 1")
    }
    guard let items = root["signatures"]?.array, items.count <= Self.countLimit else {
      throw FileError(
        .data, path, field: "signatures", "is no list of up to \(Self.countLimit)")
    }
    for item in items {
      guard item["algorithm"]?.string == "ed25519",
        let key = item["public_key"]?.string, Hexadecimal.bytes(key)?.count == 32,
        let bytes = item["signature"]?.string, Hexadecimal.bytes(bytes)?.count == 64
      else {
        throw FileError(
          .data, path, field: "signatures", "holds one that is no Ed25519 key and signature")
      }
      list.append(Signature(publicKey: key, bytes: bytes))
    }
  }

  /// Signs a checkpoint that is as it was saved, in the place of an older signature by the same key.
  ///
  /// - Throws: ``FileError`` if ``CheckpointDirectory/verify(_:)`` finds anything, or the key lies in the directory.
  public static func sign(
    _ directory: String, with key: borrowing SigningKey
  ) throws(FileError) {
    let manifest = try CheckpointManifest.bytes(directory: directory)
    _ = try CheckpointDirectory.verify(directory, manifest)
    var signatures = try CheckpointSignatures(directory: directory)
    signatures.list.removeAll { $0.publicKey == key.publicKey }
    guard signatures.list.count < countLimit else {
      throw FileError(
        .data, directory, field: fileName, "holds \(countLimit) signatures already")
    }
    signatures.list.append(
      Signature(publicKey: key.publicKey, bytes: try Hexadecimal.text(key.sign(manifest))))
    try WholeFile.replace(Array((signatures.json.text + "\n").utf8), at: directory + "/" + fileName)
  }

  /// Checks that a manifest is what the holder of `key` signed.
  ///
  /// - Throws: ``FileError`` of code `data`: not signed, signed by others, or changed since.
  func check(
    _ manifest: [UInt8], of directory: String, by key: borrowing VerifyingKey
  ) throws(FileError) {
    let publicKey = key.publicKey
    guard let signature = list.first(where: { $0.publicKey == publicKey }) else {
      let signers = signers.map { String($0.prefix(16)) }.joined(separator: ", ")
      throw FileError(
        .data, directory, field: Self.fileName,
        signers.isEmpty
          ? "is not there: the checkpoint is not signed"
          : "holds no signature by the key \(key.publicKey.prefix(16))…, only by \(signers)…")
    }
    guard let bytes = Hexadecimal.bytes(signature.bytes), key.isSignature(bytes, of: manifest)
    else {
      throw FileError(
        .data, directory, field: CheckpointManifest.fileName,
        "is not what the key \(key.publicKey.prefix(16))… signed: it was changed, or signed by another"
      )
    }
  }

  private var json: JSONValue {
    [
      "format": .string(Self.formatName), "format_version": 1,
      "signatures": .array(
        list.map {
          [
            "algorithm": "ed25519", "public_key": .string($0.publicKey),
            "signature": .string($0.bytes),
          ]
        }),
    ]
  }
}
