import Corpus
import Files
import Foundation
import Testing
import Tokenizers

@Suite struct PackingTests {
  /// Packs texts, each a file, and gives the directory to `body`.
  private func packing<Result>(
    _ texts: [String], devEvery: Int = 0, dropDuplicates: Bool = false,
    shardTokens: Int = 100, threads: Int = 1, _ body: (String, PackingResult) throws -> Result
  ) throws -> Result {
    try withFolder { folder in
      var inputs: [String] = []
      for (index, text) in texts.enumerated() {
        inputs.append("\(folder)/\(index).txt")
        try Data(text.utf8).write(to: URL(filePath: inputs[index]))
      }
      let plan = smallPlan(
        inputs, to: folder + "/out", devEvery: devEvery, dropDuplicates: dropDuplicates,
        shardTokens: shardTokens, threads: threads)
      return try body(folder + "/out/xx", try TextPacker.pack(plan))
    }
  }

  @Test(arguments: [0, 7], [false, true])
  func shardsHoldTheIdsOfTheLines(devEvery: Int, dropDuplicates: Bool) throws {
    let texts = [someText(lines: 300), "", someText(lines: 40, seed: 2) + "no line feed"]
    let expected = expectedIds(
      texts, tokenizer: LetterTokenizer(), devEvery: devEvery, dropDuplicates: dropDuplicates)
    #expect(dropDuplicates == (expected.duplicates > 20))
    try packing(texts, devEvery: devEvery, dropDuplicates: dropDuplicates) { directory, result in
      let found = try ids(of: directory + "/train")
      #expect(found == expected.train)
      #expect(result.train.counts.tokens == expected.train.count)
      #expect(result.train.counts.duplicateLines == expected.duplicates)
      #expect(result.train.shards.count > 5)
      if devEvery > 0 {
        let found = try ids(of: directory + "/dev")
        #expect(found == expected.dev)
      }
      #expect((result.dev != nil) == (devEvery > 0))
    }
  }

  @Test func countsAreThoseOfTheText() throws {
    // Three documents, of which the second has no piece.
    let text = "ab c\r\n\r\n_ _\n\n\u{C9}a\tb\nabc"
    try packing([text]) { _, result in
      let counts = result.train.counts
      #expect(counts.lines == 4)
      #expect(counts.documents == 3)
      #expect(counts.words == 2 + 2 + 2 + 1)
      // LetterTokenizer has unknown pieces for blanks, tabs and É.
      #expect(counts.unknownTokens == 1 + 1 + 2)
      #expect(counts.tokens == 4 + 1 + 1 + 1 + 4 + 3 + 1)
      #expect(counts.bytes == 4 + 3 + 5 + 3)
    }
  }

  @Test(arguments: [2, 3, 4])
  func filesDoNotDependOnThreads(threads: Int) throws {
    let texts = [someText(lines: 500, seed: 3)]
    let one = try packing(texts, devEvery: 5, dropDuplicates: true) { directory, _ in
      try files(in: directory)
    }
    let several = try packing(texts, devEvery: 5, dropDuplicates: true, threads: threads) {
      directory, _ in try files(in: directory)
    }
    #expect(one == several)
    #expect(one.count > 8)
    #expect(!one.keys.contains { $0.contains("/.") || $0.hasPrefix(".") })
  }

  @Test(arguments: [1, 10, 1000, 1 << 30])
  func shardsOfAnySizeHoldTheSameStream(shardTokens: Int) throws {
    let texts = [someText(lines: 300, seed: 4)]
    let expected = expectedIds(texts, tokenizer: LetterTokenizer()).train
    try packing(texts, shardTokens: shardTokens) { directory, result in
      let found = try ids(of: directory + "/train")
      #expect(found == expected)
      for shard in result.train.shards.dropLast() { #expect(shard.tokens >= shardTokens) }
    }
  }

  @Test func linesLongerThanABlockAreWhole() throws {
    let texts = [
      String(repeating: "abc ", count: 500) + "\nab\n" + String(repeating: "c", count: 999)
    ]
    try packing(texts) { directory, _ in
      let found = try ids(of: directory + "/train")
      #expect(found == expectedIds(texts, tokenizer: LetterTokenizer()).train)
    }
  }

  @Test func aMarkOfByteOrderIsNoText() throws {
    try packing(["\u{FEFF}ab\n", "\u{FEFF}"]) { directory, _ in
      let found = try ids(of: directory + "/train")
      #expect(found == [4, 5, 1])
    }
  }

  @Test func aTextWithoutLinesHasNoShards() throws {
    try packing(["", "\n \n"]) { directory, result in
      #expect(result.train.shards.isEmpty)
      let found = try ids(of: directory + "/train")
      #expect(found == [])
    }
  }

  @Test func largeVocabulariesHaveWideIds() throws {
    struct Wide: Tokenizer {
      var vocabularySize: Int { 70_000 }
      var specials: SpecialTokens {
        SpecialTokens(start: 0, end: 1, padding: 2, unknown: 3, mask: nil)
      }
      var files: [(name: String, bytes: [UInt8])] { [] }
      func encode(_ text: String) -> [Int32] {
        text.unicodeScalars.map { Int32($0.value) + 60_000 }
      }
      func encode(words: [String]) -> [[Int32]] { words.map(encode) }
      func piece(of id: Int32) -> String { "\(id)" }
    }
    try withFolder { folder in
      let input = folder + "/a.txt"
      try Data("héllo ඇ\n".utf8).write(to: URL(filePath: input))
      _ = try TextPacker.pack(smallPlan([input], to: folder, tokenizer: Wide()))
      #expect(try ids(of: folder + "/xx/train") == Wide().encode("héllo ඇ") + [1])
      let shard = try PackedCorpus(directory: folder + "/xx/train").shard(0)
      #expect((0..<shard.count).map { shard[$0] } == Wide().encode("héllo ඇ") + [1])
    }
  }

  @Test func aCompleteDirectoryIsLeftAndAnotherPlanRefused() throws {
    try withFolder { folder in
      let input = folder + "/a.txt"
      try Data(someText(lines: 50).utf8).write(to: URL(filePath: input))
      let plan = smallPlan([input], to: folder + "/out")
      _ = try TextPacker.pack(plan)
      let before = try files(in: folder + "/out")
      #expect(try TextPacker.pack(plan).wasComplete)
      var other = plan
      other.threads = 3
      #expect(try TextPacker.pack(other).wasComplete)
      func refusal(_ change: (inout PackingPlan) -> Void) throws -> String {
        var other = plan
        change(&other)
        let error = try #require(throws: FileError.self) { try TextPacker.pack(other) }
        #expect(error.code == .data)
        return error.message
      }
      #expect(try refusal { $0.devEvery = 4 }.contains("--dev-every 0, and now it is 4"))
      #expect(try refusal { $0.dropDuplicates = true }.contains("--drop-duplicates"))
      #expect(try refusal { $0.shardTokens = 7 }.contains("--shard-tokens 100, and now it is 7"))
      #expect(try refusal { $0.inputs += $0.inputs }.contains("the inputs"))
      try Data(someText(lines: 51).utf8).write(to: URL(filePath: input))
      #expect(try refusal { _ in }.contains("a.txt of bytes"))
      #expect(try files(in: folder + "/out") == before)
    }
  }
}
