import Checkpoints
import Configuration
import Foundation

/// `isogloss checkpoint verify`, `keygen` and `sign`: whether a directory is what was saved, and who says so.
enum VerifyCommand {
  static let command = Command(
    "checkpoint verify",
    "Hashes every file and tensor of a checkpoint again, and says which is not as it was saved.",
    positionals: [Positional("DIR", count: .one, "A checkpoint directory of this program.")],
    options: [
      Option(
        "key", value: "FILE", "A public key (PEM): the checkpoint must be signed by its owner.")
    ],
    notes: [
      "Exit code: 0 if all are, 65 if one differs, is missing or was added, or if the signature is not of the key."
    ], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    let path = arguments.positional("DIR")
    var trust = ""
    let manifest: CheckpointManifest
    if let file = arguments.value("key") {
      let key = try VerifyingKey(path: file)
      manifest = try CheckpointDirectory.verify(path, signedBy: key)
      trust = "; signed by \(key.publicKey.prefix(16))…"
    } else {
      manifest = try CheckpointDirectory.verify(path)
      let signers = try CheckpointSignatures(directory: path).signers
      if !signers.isEmpty {
        let names = signers.map { "\($0.prefix(16))…" }.joined(separator: ", ")
        trust = "; a signature by \(names) was not checked: give --key"
      }
    }
    let tensors = manifest.files.reduce(0) { $0 + $1.tensors.count }
    print(
      "\(path): \(manifest.files.count) files with \(tensors) tensors, as they were saved\(trust)")
  }

  static let keygen = Command(
    "checkpoint keygen", "Makes a pair of keys for signatures (Ed25519).",
    options: [
      Option("out", value: "FILE", "Where the private key goes; FILE.pub takes the public one.")
    ],
    notes: [
      "Both are PEM files, as OpenSSL has them. Keep the private one to yourself, and outside of all checkpoints."
    ], run: runKeygen)

  static func runKeygen(_ arguments: ParsedArguments) throws {
    guard let path = arguments.value("out") else {
      throw UsageError(
        "--out is missing: where the private key goes", command: "isogloss checkpoint keygen")
    }
    try SigningKey.generate(at: path)
    print("\(path): the private key\n\(path).pub: the public key, for those who verify")
  }

  static let sign = Command(
    "checkpoint sign", "Signs a checkpoint that is as it was saved: isogloss.sig.",
    positionals: [Positional("DIR", count: .one, "A checkpoint directory of this program.")],
    options: [
      Option("key", value: "FILE", "A private key (PEM), outside of DIR; see checkpoint keygen.")
    ],
    notes: [
      "What is signed is isogloss.json, which has the hashes of all other files. Several may sign one checkpoint."
    ], run: runSign)

  static func runSign(_ arguments: ParsedArguments) throws {
    guard let file = arguments.value("key") else {
      throw UsageError("--key is missing: the private key", command: "isogloss checkpoint sign")
    }
    let path = arguments.positional("DIR")
    let key = try SigningKey(path: file, notIn: path)
    try CheckpointSignatures.sign(path, with: key)
    print("\(path): signed by \(key.publicKey.prefix(16))…")
  }
}
