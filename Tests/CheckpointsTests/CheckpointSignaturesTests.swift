import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

@Suite struct CheckpointSignaturesTests {
  private static func sign(_ checkpoint: String, _ key: String) throws(FileError) {
    try CheckpointSignatures.sign(checkpoint, with: SigningKey(path: key, notIn: checkpoint))
  }

  private static func check(_ checkpoint: String, _ key: String) throws(FileError) {
    try CheckpointDirectory.verify(checkpoint, signedBy: VerifyingKey(path: key))
  }

  @Test func aSignedCheckpointIsKnownByItsSigners() throws {
    let directory = try TemporaryDirectory()
    let model = directory.file("model")
    try SampleModel.write(to: model)
    for name in ["one", "two", "three"] { try SigningKey.generate(at: directory.file(name)) }
    let unsigned = checkpointError { () throws(FileError) in
      try Self.check(model, directory.file("one.pub"))
    }
    #expect(unsigned?.message == "is not there: the checkpoint is not signed")
    try Self.sign(model, directory.file("one"))
    try Self.sign(model, directory.file("two"))
    try Self.sign(model, directory.file("one"))
    #expect(try CheckpointSignatures(directory: model).signers.count == 2)
    try Self.check(model, directory.file("one.pub"))
    try Self.check(model, directory.file("two.pub"))
    let wrong = checkpointError { () throws(FileError) in
      try Self.check(model, directory.file("three.pub"))
    }
    #expect(wrong?.message.hasPrefix("holds no signature by the key") == true)
  }

  @Test func whatWasChangedIsSaid() throws {
    let directory = try TemporaryDirectory()
    let (model, key) = (directory.file("model"), directory.file("key"))
    try SampleModel.write(to: model)
    try SigningKey.generate(at: key)
    try Self.sign(model, key)
    func failure() -> FileError? {
      checkpointError { () throws(FileError) in try Self.check(model, key + ".pub") }
    }
    // A byte of a tensor.
    let weights = model + "/model.safetensors"
    try flip(byte: 3_000_000, of: weights)
    #expect(failure()?.field == "model.safetensors")
    try flip(byte: 3_000_000, of: weights)
    // A file more.
    try directory.write("text", to: "model/notes.txt")
    #expect(failure()?.field == "notes.txt")
    try FileManager.default.removeItem(atPath: directory.file("model/notes.txt"))
    // The manifest.
    let manifest = try String(contentsOfFile: model + "/isogloss.json", encoding: .utf8)
    try directory.write(
      manifest.replacingOccurrences(of: "\"0.1\"", with: "\"0.2\""), to: "model/isogloss.json")
    #expect(failure()?.field == "isogloss.json")
    try directory.write(manifest, to: "model/isogloss.json")
    // The signature.
    let signature = try String(contentsOfFile: model + "/isogloss.sig", encoding: .utf8)
    let digits = try #require(signature.firstRange(of: "\"signature\": \""))
    var changed = signature
    let place = digits.upperBound
    changed.replaceSubrange(place...place, with: signature[place] == "0" ? "1" : "0")
    try directory.write(changed, to: "model/isogloss.sig")
    #expect(failure()?.message.hasPrefix("is not what the key") == true)
    try directory.write(signature, to: "model/isogloss.sig")
    try Self.check(model, key + ".pub")
  }

  @Test func keysAreKeptApart() throws {
    let directory = try TemporaryDirectory()
    let (model, key) = (directory.file("model"), directory.file("key"))
    try SampleModel.write(to: model)
    try SigningKey.generate(at: key)
    let mode = try FileManager.default.attributesOfItem(atPath: key)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    let again = checkpointError { () throws(FileError) in try SigningKey.generate(at: key) }
    #expect(again?.message.hasPrefix("exists already") == true)
    try FileManager.default.copyItem(atPath: key, toPath: model + "/key")
    let inside = checkpointError { () throws(FileError) in
      try Self.sign(model, model + "/key")
    }
    #expect(inside?.message.hasPrefix("a private key in a checkpoint") == true)
    try FileManager.default.removeItem(atPath: model + "/key")
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: key)
    let open = checkpointError { () throws(FileError) in try Self.sign(model, key) }
    #expect(open?.message.hasPrefix("a private key that others may read") == true)
    let none = checkpointError { () throws(FileError) in
      try Self.check(model, model + "/config.json")
    }
    #expect(none?.message.hasPrefix("holds no public key in PEM") == true)
    let isThere = directory.exists("model/isogloss.sig")
    #expect(!isThere)
  }

  @Test func onlyWhatIsWholeIsSigned() throws {
    let directory = try TemporaryDirectory()
    let (model, key) = (directory.file("model"), directory.file("key"))
    try SampleModel.write(to: model)
    try SigningKey.generate(at: key)
    try flip(byte: 3_000_000, of: model + "/model.safetensors")
    let error = checkpointError { () throws(FileError) in try Self.sign(model, key) }
    #expect(error?.message.contains("embeddings.word_embeddings.weight") == true)
    let isThere1 = directory.exists("model/isogloss.sig")
    #expect(!isThere1)
  }

  /// OpenSSL's own program finds the same.
  @Test(
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl"), "needs openssl"))
  func opensslAgrees() throws {
    let directory = try TemporaryDirectory()
    let (model, key) = (directory.file("model"), directory.file("key"))
    try SampleModel.write(to: model)
    try SigningKey.generate(at: key)
    try Self.sign(model, key)
    let text = try String(contentsOfFile: model + "/isogloss.sig", encoding: .utf8)
    let digits = try #require(text.split(separator: "\"signature\": \"").last?.prefix(128))
    let bytes = stride(from: 0, to: 128, by: 2).map { offset in
      let start = digits.index(digits.startIndex, offsetBy: offset)
      return UInt8(digits[start...digits.index(after: start)], radix: 16) ?? 0
    }
    try directory.write(bytes, to: "raw")
    let openssl = Process()
    openssl.executableURL = URL(filePath: "/usr/bin/openssl")
    openssl.arguments = [
      "pkeyutl", "-verify", "-pubin", "-inkey", key + ".pub", "-rawin", "-in",
      model + "/isogloss.json", "-sigfile", directory.file("raw"),
    ]
    openssl.standardOutput = FileHandle.nullDevice
    try openssl.run()
    openssl.waitUntilExit()
    #expect(openssl.terminationStatus == 0)
  }
}
