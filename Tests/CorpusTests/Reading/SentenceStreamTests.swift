import Corpus
import Files
import Foundation
import Testing

/// A stream gives the sentences of a whole read, whatever the size of its parts.
@Suite struct SentenceStreamTests {
  private func withFile(_ name: String, _ text: String, _ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "isogloss-stream-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Data(text.utf8).write(to: URL(filePath: folder + "/" + name))
    try body(folder + "/" + name)
  }

  private func streamed(_ path: String, partBytes: Int) throws -> [Sentence] {
    var stream = try SentenceStream(path, partBytes: partBytes)
    var all: [Sentence] = []
    while let part = try stream.next() {
      #expect(!part.isEmpty)
      all += part
    }
    return all
  }

  private static let sentences = (0..<50).map { index in
    (0..<1 + index % 5).map { "w\(index)é\($0)\tB-PER" }.joined(separator: "\n")
  }

  @Test(arguments: ["\n\n", "\n \n\n", "\r\n\r\n", "\n\n# a comment\n"])
  func partsAddUpToTheFile(separator: String) throws {
    let text =
      "\u{FEFF}-DOCSTART- O\n\n" + Self.sentences.joined(separator: separator) + "\n"
    try withFile("a.conll", text) { path in
      let whole = try SentenceReader.read(path, tagged: false)
      #expect(whole.count == 50)
      for bytes in [16, 40, 100, 1 << 20] {
        let parts = try streamed(path, partBytes: bytes)
        #expect(parts.map(\.words) == whole.map(\.words))
        #expect(parts.map(\.line) == whole.map(\.line))
      }
    }
  }

  /// Tags are brought to IOB2 part by part as they are in a whole read.
  @Test(arguments: ["O I-A I-A B-A I-B", "S-A B-A I-A E-A O", "B-A L-A U-B O", "B-A I-A I-B O B-B"])
  func taggedPartsAddUpToTheFile(sentence: String) throws {
    let rows = sentence.split(separator: " ").map { "w\t\($0)\n" }.joined()
    try withFile("a.conll", (0..<30).map { _ in rows + "\n" }.joined()) { path in
      let whole = try TaggedText(reading: [path]).sentences
      for bytes in [16, 100, 1 << 20] {
        var stream = try TaggedStream(path, partBytes: bytes)
        var all: [Sentence] = []
        while let part = try stream.next() { all += part }
        #expect(all.map(\.tags) == whole.map(\.tags) && all.map(\.line) == whole.map(\.line))
      }
    }
  }

  @Test func aSchemeThatPartsDisagreeAboutIsAnErrorAtTheEnd() throws {
    let text = "a\tS-A\n\n" + String(repeating: "b\tO\n\n", count: 100) + "c\tU-A\n\n"
    try withFile("a.conll", text) { path in
      let wanted = #expect(throws: FileError.self) { _ = try TaggedText(reading: [path]) }
      let found = #expect(throws: FileError.self) {
        var stream = try TaggedStream(path, partBytes: 32)
        while try stream.next() != nil {}
      }
      #expect(found?.description == wanted?.description)
    }
  }

  @Test func gzipAndJSONLinesAreStreamed() throws {
    let lines = (0..<40).map { "{\"words\": [\"a\($0)\", \"b\"]}" }.joined(separator: "\n")
    try withFile("a.jsonl", lines) { path in
      let whole = try SentenceReader.read(path, tagged: false)
      #expect(try streamed(path, partBytes: 30).map(\.words) == whole.map(\.words))
      let gzip = Process()
      gzip.executableURL = URL(filePath: "/usr/bin/env")
      gzip.arguments = ["gzip", path]
      try gzip.run()
      gzip.waitUntilExit()
      #expect(try streamed(path + ".gz", partBytes: 30).map(\.words) == whole.map(\.words))
      let bytes = try #require(FileManager.default.contents(atPath: path + ".gz"))
      try bytes.dropLast(12).write(to: URL(filePath: path + ".gz"))
      #expect(throws: FileError.self) { _ = try streamed(path + ".gz", partBytes: 30) }
    }
  }

  @Test func errorsNameTheLineOfTheFile() throws {
    func message(_ text: String) throws -> String {
      var found = ""
      try withFile("a.conll", text) { path in
        do {
          _ = try streamed(path, partBytes: 32)
        } catch {
          found = "\(error)"
        }
      }
      return found
    }
    let good = Self.sentences.joined(separator: "\n\n") + "\n\n"
    let count = good.utf8.count { $0 == 0x0A }
    #expect(try message(good + "\tO\n").contains("a.conll:\(count + 1)"))
    #expect(try message("").contains("empty"))
    #expect(try message("\n\n# nothing\n\n").isEmpty == false)
    let long = (0..<1000).map { "w\($0)\tO" }.joined(separator: "\n")
    #expect(try message(long).contains("blank lines"))
    #expect(throws: FileError.self) {
      var stream = try SentenceStream("/none/at/all")
      _ = try stream.next()
    }
  }
}
