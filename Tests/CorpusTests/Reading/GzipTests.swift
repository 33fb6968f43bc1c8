import Corpus
import Foundation
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

@Suite struct GzipTests {
  @Test(arguments: [".conll.gz", ".conll"])
  func allMembersAreRead(ending: String) throws {
    for padding in [0, 700] {
      let file = try bytes(members) + [UInt8](repeating: 0, count: padding)
      let sentences = try withFile(file, ending: ending) { try SentenceReader.read($0) }
      #expect(sentences.map(\.words) == [["EU", "calls"], ["Ada"]])
      #expect(sentences.map(\.line) == [1, 4])
    }
  }

  @Test func everyTruncationIsAnError() throws {
    let whole = try bytes(members)
    for count in 2..<whole.count where count != firstMember {
      // A cut inside the second header's two magic bytes leaves something that is not gzip.
      let error = #expect(throws: CorpusError.self, "\(count) bytes") {
        try Gzip.inflate(Array(whole.prefix(count)), path: "a.gz")
      }
      #expect(error?.code == .data)
    }
    #expect(try Gzip.inflate(Array(whole.prefix(firstMember)), path: "a.gz").count == 18)
  }

  @Test func damagedBytesAreErrors() throws {
    let whole = try bytes(members)
    // Bytes of the header that hold the time, the flags of the packer and its system carry no content.
    for place in 10..<firstMember {
      var damaged = whole
      damaged[place] ^= 0x55
      #expect(throws: CorpusError.self, "byte \(place)") {
        try Gzip.inflate(damaged, path: "a.gz")
      }
    }
    #expect(throws: CorpusError.self) { try Gzip.inflate(whole + [1, 2, 3], path: "a.gz") }
  }

  @Test func growthIsBounded() throws {
    let packed = try bytes(lineFeeds)
    #expect(try Gzip.inflate(packed, path: "a.gz").count == 100_000)
    var bound = Gzip.Bound()
    bound.free = 50_000
    bound.ratio = 100
    #expect(throws: CorpusError.self) { try Gzip.inflate(packed, path: "a.gz", bound: bound) }
    bound.ratio = 1000
    #expect(try Gzip.inflate(packed, path: "a.gz", bound: bound).count == 100_000)
    bound.ceiling = 99_999
    #expect(throws: CorpusError.self) { try Gzip.inflate(packed, path: "a.gz", bound: bound) }
  }
}
