import Corpus
import Foundation
import TestSupport
import Testing

/// Ids equal to those of Hugging Face's `tokenizers`; `Tests/Golden/tokenizer_fixtures.py` makes the fixtures.
@Suite struct TokenizerTests {
  struct Expected: Decodable {
    var lines: [String]
    var ids: [[Int32]]
    var words: [[[Int32]]]
  }

  @Test(arguments: ["wordpiece", "unigram"]) func trickyLinesGiveTheirIDs(kind: String) throws {
    let folder = fixture(kind)
    let tokenizer = try TokenizerLoader.load(folder)
    let data = try Data(contentsOf: URL(filePath: folder + "/expected.json"))
    let expected = try JSONDecoder().decode(Expected.self, from: data)
    for (index, line) in expected.lines.enumerated() {
      let ids = [tokenizer.specials.start] + tokenizer.encode(line) + [tokenizer.specials.end]
      #expect(ids == expected.ids[index], "\(line)")
      let words = line.split { $0.unicodeScalars.allSatisfy { $0.properties.isWhitespace } }
      #expect(tokenizer.encode(words: words.map(String.init)) == expected.words[index], "\(line)")
    }
  }

  @Test(.enabled(if: SharedFiles.isPresent("checkpoints/README.md"), "needs ../shared"))
  func vocabularyAndJSONOfMiniLMAgree() throws {
    let folder = SharedFiles.path("checkpoints/all-minilm-l6-v2")
    let json = try TokenizerLoader.load(folder + "/tokenizer.json")
    let vocabulary = try TokenizerLoader.load(folder + "/vocab.txt")
    #expect(json.vocabularySize == 30522 && json.specials == vocabulary.specials)
    let sentences = try SentenceReader.read(SharedFiles.path("data/ner/conll/de.dev.conll"))
    for sentence in sentences {
      #expect(json.encode(words: sentence.words) == vocabulary.encode(words: sentence.words))
    }
  }

  @Test(.enabled(if: SharedFiles.isPresent, "needs ../shared"))
  func sentencePieceHasTheLayoutOfXLMR() throws {
    let tokenizer = try TokenizerLoader.load(SharedFiles.path("data/tokenizers/sp32k.model"))
    #expect(tokenizer.vocabularySize == 32_002)
    #expect(
      tokenizer.specials == SpecialTokens(start: 0, end: 2, padding: 1, unknown: 3, mask: 32_001))
    let pieces = tokenizer.encode("Hello World").map { tokenizer.piece(of: $0) }
    #expect(pieces.joined() == "▁Hello▁World")
    #expect(
      tokenizer.encode(words: ["Hello", "World"]).flatMap { $0 } == tokenizer.encode("Hello World"))
  }

  @Test func badFilesAreErrorsThatNameThem() throws {
    let folder = NSTemporaryDirectory() + "isogloss-tokenizer-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func expectError(_ name: String, _ text: String, _ fragment: String) throws {
      let path = folder + "/" + name
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      #expect {
        _ = try TokenizerLoader.load(path)
      } throws: { error in
        "\(error)".contains(name) && "\(error)".contains(fragment)
      }
    }
    try expectError("a.json", "{", "JSON")
    try expectError("b.json", "{\"model\": {\"type\": \"BPE\"}}", "BPE")
    try expectError(
      "c.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 7}}}", "an id that is not in")
    try expectError("d.txt", "one\ntwo\n", "[UNK]")
    try expectError("e.model", "not a model", "SentencePiece")
    // A trie that says it is larger than the bytes that hold it.
    let map = Data([0xFF, 0xFF, 0xFF, 0x7F, 0, 0]).base64EncodedString()
    try expectError(
      "f.json",
      """
      {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0]]},
       "normalizer": {"type": "Precompiled", "precompiled_charsmap": "\(map)"}}
      """, "trie")
    #expect(throws: CorpusError.self) { _ = try TokenizerLoader.load(folder + "/none") }
  }
}
