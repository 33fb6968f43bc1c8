import Files
import Foundation
import TestSupport
import Testing

/// `python3 -c 'import gzip; …gzip.compress(b"EU\tB-ORG\ncalls\tO\n\n", mtime=0)'`, 38 bytes, and after it
/// the same of `b"Ada\tB-PER\n"`.
private let members =
  "H4sIAAAAAAACA3MN5XTS9Q9y50pOzMkp5vTn4gIA3vSoCBIAAAAfiwgAAAAAAAIDc0xJ5HTSDXAN4gIAJedhtAoAAAA="
private let firstMember = 38

/// 100,000 line feeds in 133 bytes.
private let lineFeeds =
  "H4sIAAAAAAACA+3BIQEAAADDIL/+gV/jAigAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADg1QB8Cm3SoIYBAA=="

private func bytes(_ base64: String) throws -> [UInt8] {
  Array(try #require(Data(base64Encoded: base64)))
}

@Suite struct CompressionTests {
  @Test func theFirstBytesTellTheCompression() throws {
    #expect(Compression(of: [0x1F, 0x8B]) == .gzip)
    #expect(Compression(of: try bytes(members)) == .gzip)
    #expect(Compression(of: Compressor.zstandard.pack([])) == .zstandard)
    #expect(Compression(of: [0x5A, 0x2A, 0x4D, 0x18, 0, 0, 0, 0]) == .zstandard)
    for plain in [[], [0x1F], [0x28, 0xB5, 0x2F], [0x60, 0x2A, 0x4D, 0x18]] as [[UInt8]] {
      #expect(Compression(of: plain) == nil)
    }
  }

  @Test func allMembersAndPaddingAreRead() throws {
    for padding in [0, 700] {
      let file = try bytes(members) + [UInt8](repeating: 0, count: padding)
      let text = try Compression.gzip.inflate(file, path: "a.gz")
      #expect(text == Array("EU\tB-ORG\ncalls\tO\n\nAda\tB-PER\n".utf8))
    }
  }

  @Test func everyTruncationIsAnError() throws {
    let whole = try bytes(members)
    for count in 2..<whole.count where count != firstMember {
      // A cut inside the second header's two magic bytes leaves something that is not gzip.
      let error = #expect(throws: FileError.self, "\(count) bytes") {
        try Compression.gzip.inflate(Array(whole.prefix(count)), path: "a.gz")
      }
      #expect(error?.code == .data)
    }
    #expect(
      try Compression.gzip.inflate(Array(whole.prefix(firstMember)), path: "a.gz").count == 18)
  }

  @Test func damagedBytesAreErrors() throws {
    let whole = try bytes(members)
    // Bytes of the header that hold the time, the flags of the packer and its system carry no content.
    for place in 10..<firstMember {
      var damaged = whole
      damaged[place] ^= 0x55
      #expect(throws: FileError.self, "byte \(place)") {
        try Compression.gzip.inflate(damaged, path: "a.gz")
      }
    }
    #expect(throws: FileError.self) {
      try Compression.gzip.inflate(whole + [1, 2, 3], path: "a.gz")
    }
  }

  @Test func growthIsBounded() throws {
    let packed = try bytes(lineFeeds)
    #expect(try Compression.gzip.inflate(packed, path: "a.gz").count == 100_000)
    var bound = Compression.Bound()
    bound.free = 50_000
    bound.ratio = 100
    #expect(throws: FileError.self) {
      try Compression.gzip.inflate(packed, path: "a.gz", bound: bound)
    }
    bound.ratio = 1000
    #expect(try Compression.gzip.inflate(packed, path: "a.gz", bound: bound).count == 100_000)
    bound.ceiling = 99_999
    #expect(throws: FileError.self) {
      try Compression.gzip.inflate(packed, path: "a.gz", bound: bound)
    }
  }

  // MARK: Both formats

  @Test(arguments: Compressor.allCases)
  func everyTruncationIsAnErrorOfOneLine(compressor: Compressor) throws {
    let text = "Ada B-PER\nin O\nLondon B-LOC\n"
    let whole = compressor.packHalves(text)
    let first = compressor.pack(Array(text.utf8.prefix(text.utf8.count / 2))).count
    let compression = try #require(Compression(of: whole))
    #expect(try compression.inflate(whole, path: "a") == Array(text.utf8))
    for count in 4..<whole.count where count != first {
      let error = #expect(throws: FileError.self, "\(count) bytes") {
        try compression.inflate(Array(whole[..<count]), path: "a")
      }
      #expect(error?.code == .data && error?.description.contains("\n") == false)
    }
  }

  @Test(arguments: Compressor.allCases)
  func growthIsBoundedInBothFormats(compressor: Compressor) throws {
    let packed = compressor.pack([UInt8](repeating: 0x61, count: 3_000_000))
    let compression = try #require(Compression(of: packed))
    var bound = Compression.Bound()
    #expect(try compression.inflate(packed, path: "a", bound: bound).count == 3_000_000)
    bound.free = 1_000_000
    let error = #expect(throws: FileError.self) {
      try compression.inflate(packed, path: "a", bound: bound)
    }
    #expect(error?.message.contains("which no text does") == true)
  }

  @Test func bytesAfterTheEndAreNamed() throws {
    let packed = Compressor.zstandard.pack([1, 2, 3])
    let error = #expect(throws: FileError.self) {
      try Compression.zstandard.inflate(packed + [0, 0], path: "a")
    }
    #expect(
      error?.message == "has 2 bytes that are not Zstandard after its end; fetch it again")
  }
}
