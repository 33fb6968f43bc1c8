import Files
import Foundation
import TestSupport
import Testing

/// The examples of FIPS 180-2, appendix B, and the empty message.
@Test(arguments: [
  ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
  ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  (
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
  ),
])
func hashOfKnownText(text: String, digest: String) throws {
  #expect(SHA256.digest(Array(text.utf8)) == digest)
  let directory = try TemporaryDirectory()
  try directory.write(text, to: "x")
  #expect(try SHA256.digest(ofFile: directory.file("x")) == digest)
}

@Test func hashOfAMillionLettersComesPieceByPiece() throws {
  var hash = SHA256()
  let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
  for _ in 0..<1000 { hash.update(unsafe piece.span.bytes) }
  let digest = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
  #expect(hash.finish() == digest)
  let directory = try TemporaryDirectory()
  try directory.write([UInt8](repeating: UInt8(ascii: "a"), count: 3_000_000), to: "x")
  #expect(
    try SHA256.digest(ofFile: directory.file("x"))
      == SHA256.digest([UInt8](repeating: UInt8(ascii: "a"), count: 3_000_000)))
}

@Test func theShortHashIsTheFirstHalf() {
  let hasher = ShortSHA256()
  for text in ["abc", "", "abc"] {
    let (high, low) = hasher.hash(Array(text.utf8).span)
    let digits = [high, low].map { word in
      let text = String(word, radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }
    #expect(SHA256.digest(Array(text.utf8)).hasPrefix(digits.joined()))
  }
}
