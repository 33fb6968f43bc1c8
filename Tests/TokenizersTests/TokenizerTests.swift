import Determinism
import Files
import Foundation
import TestSupport
import Testing
import Tokenizers

/// Ids equal to those of Hugging Face's `tokenizers`; `Tests/Golden/tokenizer_fixtures.py` makes the fixtures.
@Suite struct TokenizerTests {
  @Test(arguments: [
    ("uncased", "uncased"), ("uncased/vocab.txt", "uncased"), ("cased", "cased"),
    ("cased/tokenizer.json", "cased"), ("unigram", "unigram"), ("bpe", "bpe"),
    ("xlmr", "xlmr"),
    ("sentencepiece", "sentencepiece"), ("sentencepiece/sentencepiece.bpe.model", "sentencepiece"),
  ])
  func awkwardLinesGiveTheReferencesIDs(tokenizer: String, reference: String) throws {
    try compare(TokenizerLoader.load(fixture(tokenizer)), reference)
  }

  @Test(
    .enabled(if: SharedFiles.isPresent, "needs ../shared"),
    arguments: [
      ("checkpoints/all-minilm-l6-v2", "minilm", 30522),
      ("checkpoints/all-minilm-l6-v2/vocab.txt", "minilm", 30522),
      ("checkpoints/all-minilm-l6-v2/tokenizer.json", "minilm", 30522),
      ("data/tokenizers/sp32k.model", "sp32k", 32002),
    ])
  func sharedTokenizersGiveTheReferencesIDs(path: String, reference: String, size: Int) throws {
    let tokenizer = try TokenizerLoader.load(SharedFiles.path(path))
    #expect(tokenizer.vocabularySize == size)
    try compare(tokenizer, reference)
  }

  private func compare(_ tokenizer: any Tokenizer, _ reference: String) throws {
    let text = try String(contentsOfFile: fixture(reference + ".ids"), encoding: .utf8)
    let expected = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    let list = try String(contentsOfFile: fixture("lines.jsonl"), encoding: .utf8)
    let lines = try JSONDecoder().decode(
      [String].self, from: Data("[\(list.split(separator: "\n").joined(separator: ","))]".utf8))
    #expect(lines.count == expected.count && lines.count > 90)
    let specials = tokenizer.specials
    for (line, expected) in zip(lines, expected) {
      // Bytes, since a carriage return and what follows may be one Character.
      let words = line.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        .map { String(Substring($0)) }
      let ids = [specials.start] + tokenizer.encode(line) + [specials.end]
      let idsOfWords = tokenizer.encode(words: words)
      let found = joined(ids) + "\t" + idsOfWords.map(joined).joined(separator: "|")
      #expect(found == expected, "\(line.debugDescription)")
      #expect((ids + idsOfWords.joined()).allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
    }
  }

  private func joined(_ ids: [Int32]) -> String { ids.map(String.init).joined(separator: " ") }

  /// A SentencePiece model, and the tokenizer.json that transformers makes of it, name the same ids.
  @Test func sentencePieceIsInTheLayoutOfXLMR() throws {
    let model = try TokenizerLoader.load(fixture("sentencepiece"))
    let last = Int32(model.vocabularySize - 1)
    #expect(
      model.specials == SpecialTokens(start: 0, end: 2, padding: 1, unknown: 3, mask: last))
    let made = try TokenizerLoader.load(fixture("xlmr"))
    #expect(made.vocabularySize == model.vocabularySize && made.specials == model.specials)
    for id in 0...last { #expect(made.piece(of: id) == model.piece(of: id)) }
  }

  @Test func specialTokensComeFromTheVocabulary() throws {
    let tokenizer = try TokenizerLoader.load(fixture("cased"))
    #expect(
      tokenizer.specials == SpecialTokens(start: 2, end: 3, padding: 0, unknown: 1, mask: 4))
    #expect(tokenizer.piece(of: 4) == "[MASK]")
    #expect(tokenizer.encode("[MASK]") == [4])
  }

  /// A tokenizer hands on the files it was read from, byte for byte.
  @Test func filesAreThoseRead() throws {
    for (path, names) in [
      ("uncased", ["tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]),
      ("uncased/vocab.txt", ["tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]),
      ("sentencepiece", ["sentencepiece.bpe.model"]), ("xlmr", ["tokenizer.json"]),
    ] {
      let tokenizer = try TokenizerLoader.load(fixture(path))
      #expect(tokenizer.files.map(\.name) == names)
      let folder = fixture(path.split(separator: "/").first.map(String.init) ?? path)
      for file in tokenizer.files {
        #expect(FileManager.default.contents(atPath: "\(folder)/\(file.name)") == Data(file.bytes))
      }
    }
  }

  /// No prefix of a model, and no model with a byte changed, ends the process.
  @Test func aDamagedModelIsAnErrorOrATokenizer() throws {
    let path = fixture("sentencepiece/sentencepiece.bpe.model")
    let whole = [UInt8](try #require(FileManager.default.contents(atPath: path)))
    let folder = NSTemporaryDirectory() + "isogloss-model-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func tryLoading(_ bytes: [UInt8]) throws -> Bool {
      let path = folder + "/x.model"
      try Data(bytes).write(to: URL(filePath: path))
      do throws(FileError) {
        let tokenizer = try TokenizerLoader.load(path)
        let ids = tokenizer.encode("The quick brown fox")
        #expect(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
        return true
      } catch {
        #expect("\(error)".contains("x.model"))
        return false
      }
    }
    for count in stride(from: 0, to: whole.count, by: 97) {
      #expect(try !tryLoading(Array(whole[..<count])) || count > 0)
    }
    var random = RandomStream(seed: 7, "bytes")
    for _ in 0..<400 {
      var bytes = whole
      bytes[random.below(bytes.count)] = UInt8(random.below(256))
      _ = try tryLoading(bytes)
    }
  }

  @Test(.enabled(if: SharedFiles.isPresent("checkpoints/README.md"), "needs ../shared"))
  func vocabularyAndJSONOfMiniLMAgree() throws {
    let folder = SharedFiles.path("checkpoints/all-minilm-l6-v2")
    let json = try TokenizerLoader.load(folder + "/tokenizer.json")
    let vocabulary = try TokenizerLoader.load(folder + "/vocab.txt")
    #expect(json.vocabularySize == 30522 && json.specials == vocabulary.specials)
    let path = SharedFiles.path("data/ner/conll/de.dev.conll")
    let text = try String(contentsOfFile: path, encoding: .utf8)
    for sentence in text.split(separator: "\n\n") {
      let words = sentence.split(separator: "\n").compactMap { row in
        row.split { $0.isWhitespace }.first.map(String.init)
      }
      #expect(json.encode(words: words) == vocabulary.encode(words: words))
    }
  }

  /// Places in the vocabulary with no, few and dozens of ways on: words are cut as by looking at all pieces.
  @Test(arguments: [3, 9, 40, 100])
  func wordsAreCutIntoTheLongestPieces(letters count: Int) throws {
    let letters = (UInt32(0x400)..<0x482).prefix(count).map { String(Unicode.Scalar($0)!) }
    var random = RandomStream(seed: 5, "pieces")
    func word(_ longest: Int) -> String {
      (0...random.below(longest)).map { _ in letters[random.below(count)] }.joined()
    }
    var pieces: [String] = []
    for _ in 0..<2000 {
      let piece = (random.below(2) == 0 ? "##" : "") + word(4)
      if !pieces.contains(piece) { pieces.append(piece) }
    }
    let folder = NSTemporaryDirectory() + "isogloss-tokenizer-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let specials = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    try (specials + pieces).joined(separator: "\n").write(
      toFile: folder + "/vocab.txt", atomically: true, encoding: .utf8)
    try #"{"do_lower_case": false}"#.write(
      toFile: folder + "/tokenizer_config.json", atomically: true, encoding: .utf8)
    let tokenizer = try TokenizerLoader.load(folder)
    let known = Set(pieces)
    for _ in 0..<2000 {
      let word = word(8)
      var expected: [String] = []
      var rest = Substring(word)
      while !rest.isEmpty {
        let prefix = expected.isEmpty ? "" : "##"
        let lengths = (1...rest.count).reversed()
        guard let length = lengths.first(where: { known.contains(prefix + rest.prefix($0)) }) else {
          expected = ["[UNK]"]
          break
        }
        expected.append(prefix + rest.prefix(length))
        rest = rest.dropFirst(length)
      }
      #expect(tokenizer.encode(word).map(tokenizer.piece) == expected)
    }
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
    try expectError("b.json", "{\"model\": {\"type\": \"WordLevel\"}}", "WordLevel")
    try expectError(
      "c.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 7}}}",
      "an id that is not in")
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
    #expect(throws: FileError.self) { _ = try TokenizerLoader.load(folder + "/none") }
  }
}
