import Corpus
import Files
import Foundation
import TestSupport
import Testing

/// Files of sentences that are compressed, read whole and in parts.
@Suite struct CompressedSentencesTests {
  private static let rows = (0..<300).map { "EU\tB-ORG\ncalls\($0)\tO\n\n" }.joined()
  private static let objects = (0..<300).map { "{\"words\": [\"a\($0)\"]}\n" }.joined()

  private func streamed(_ path: String) throws -> [Sentence] {
    var stream = try SentenceStream(path, partBytes: 100)
    var all: [Sentence] = []
    while let part = try stream.next() { all += part }
    return all
  }

  @Test(arguments: Compressor.allCases, [false, true])
  func coNLLIsReadWhateverItsName(compressor: Compressor, isNamed: Bool) throws {
    let ending = ".conll" + (isNamed ? compressor.ending : "")
    let plain = try read(Self.rows)
    try withFile(compressor.packHalves(Self.rows), ending: ending) { path in
      let whole = try SentenceReader.read(path)
      #expect(whole.map(\.words) == plain.map(\.words) && whole.map(\.tags) == plain.map(\.tags))
      #expect(whole.map(\.line) == plain.map(\.line))
      #expect(try streamed(path).map(\.words) == plain.map(\.words))
    }
  }

  @Test(arguments: Compressor.allCases)
  func jsonLinesAreRead(compressor: Compressor) throws {
    let ending = ".jsonl" + compressor.ending
    try withFile(compressor.packHalves(Self.objects), ending: ending) { path in
      let whole = try SentenceReader.read(path, tagged: false)
      #expect(whole.map(\.words) == (0..<300).map { ["a\($0)"] })
      #expect(try streamed(path).map(\.words) == whole.map(\.words))
    }
  }

  @Test(arguments: Compressor.allCases)
  func cutAndDamagedFilesAreErrorsOfOneLine(compressor: Compressor) throws {
    let whole = compressor.pack(Array(Self.rows.utf8))
    var damaged = whole
    damaged[whole.count / 2] ^= 0x55
    for (bytes, words) in [
      (Array(whole.dropLast(12)), "cut short"), (damaged, "is damaged"),
      (whole + [1, 2, 3], "fetch it again"),
    ] {
      try withFile(bytes) { path in
        for body in [{ _ = try SentenceReader.read($0) }, { _ = try streamed($0) }]
          as [(String) throws -> Void]
        {
          let error = #expect(throws: FileError.self) { try body(path) }
          #expect(error?.code == .data && error?.path == path)
          #expect(error?.description.contains("\n") == false)
          #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
      }
    }
  }

  @Test func aFileThatFillsTheMemoryIsRefused() throws {
    let lineFeeds = [UInt8](repeating: 0x0A, count: 80 << 20)
    try withFile(Compressor.zstandard.pack(lineFeeds)) { path in
      let error = #expect(throws: FileError.self) { try SentenceReader.read(path) }
      #expect(error?.message.contains("which no text does") == true)
    }
  }
}
