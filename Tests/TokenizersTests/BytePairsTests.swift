import Files
import Foundation
import Testing
import Tokenizers

/// Models of byte pairs, read from files of our own; `TokenizerTests` has one of the reference library.
@Suite struct BytePairsTests {
  private func load(_ model: String) throws -> any Tokenizer {
    let path = NSTemporaryDirectory() + "isogloss-bpe-\(UUID().uuidString).json"
    try "{\"model\": {\(model)}}".write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try TokenizerLoader.load(path)
  }

  private func vocabulary(_ pieces: [String]) -> String {
    let all = ["<s>", "<pad>", "</s>", "<unk>"] + pieces
    let members = all.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
    return "\"unk_token\": \"<unk>\", \"vocab\": {\(members)}"
  }

  private func pieces(_ text: String, _ tokenizer: any Tokenizer) -> [String] {
    tokenizer.encode(text).map { tokenizer.piece(of: $0) }
  }

  @Test func theLowestRankGoesFirstAndOfOneRankTheLeft() throws {
    let names = vocabulary(["a", "b", "c", "ab", "bc", "aa", "abc"])
    let first = try load(names + ", \"merges\": [\"b c\", \"a b\", \"a a\", \"ab c\"]")
    #expect(pieces("abc", first) == ["a", "bc"])
    #expect(pieces("ababc", first) == ["ab", "a", "bc"])
    #expect(pieces("aaaaa", first) == ["aa", "aa", "a"])
    let second = try load(
      "\"type\": \"BPE\", " + names
        + ", \"merges\": [[\"a\", \"b\"], [\"b\", \"c\"], [\"ab\", \"c\"]]")
    #expect(pieces("abc", second) == ["abc"])
    #expect(pieces("bcbab", second) == ["bc", "b", "ab"])
    #expect(pieces("", second) == [])
  }

  @Test func unknownCharactersAreOneWhereTheFileSaysSo() throws {
    let names = vocabulary(["a", "b", "ab"]) + ", \"merges\": [\"a b\"]"
    #expect(pieces("xyabxzb", try load(names)).joined() == "<unk><unk>ab<unk><unk>b")
    let fused = try load(names + ", \"fuse_unk\": true")
    #expect(pieces("xyabxzb", fused) == ["<unk>", "ab", "<unk>", "b"])
  }

  @Test func aWordThatIsAPieceStaysOneWhereTheFileSaysSo() throws {
    let names = vocabulary(["a", "b", "c", "ab", "abc"]) + ", \"merges\": [\"a b\"]"
    #expect(pieces("abc", try load(names)) == ["ab", "c"])
    #expect(pieces("abc", try load(names + ", \"ignore_merges\": true")) == ["abc"])
  }

  /// What is quadratic in the word would take minutes.
  @Test func aLongWordTakesLittleTime() throws {
    let names = ["a", "aa", "aaaa", "aaaaaaaa"]
    let merges = zip(names, names).dropLast().map { "\"\($0) \($1)\"" }.joined(separator: ", ")
    let tokenizer = try load(vocabulary(names) + ", \"merges\": [\(merges)]")
    let found = pieces(String(repeating: "a", count: 1_000_003), tokenizer)
    #expect(found.count == 125_002 && found.suffix(3) == ["aaaaaaaa", "aa", "a"])
  }

  @Test(arguments: [
    ("\"merges\": []", "model.vocab"),
    ("V, \"merges\": {}", "model.merges is not a list"),
    ("V, \"merges\": [1]", "model.merges[0] is not two pieces"),
    ("V, \"merges\": [\"a b\", \"ab\"]", "model.merges[1] is not two pieces"),
    ("V, \"merges\": [\"a b c\"]", "model.merges[0] is not two pieces"),
    ("V, \"merges\": [[\"a\", \"b\", \"\"]]", "model.merges[0] is not two pieces"),
    ("V, \"merges\": [[\"a\", 1, \"b\"]]", "model.merges[0] is not two pieces"),
    ("V, \"merges\": [\"b a\"]", "needs \"ba\", which is no piece"),
    ("V, \"merges\": [[\"\", \"x\"]]", "needs \"x\", which is no piece"),
    ("V, \"merges\": [[\"\", \"ab\"]]", "needs \"\", which is no piece"),
    ("V, \"merges\": [], \"dropout\": 0.1", "model.dropout"),
    ("V, \"merges\": [], \"byte_fallback\": true", "model.byte_fallback"),
    ("V, \"merges\": [], \"end_of_word_suffix\": \"</w>\"", "model.end_of_word_suffix"),
    ("V, \"merges\": [], \"continuing_subword_prefix\": \"##\"", "continuing_subword_prefix"),
    ("\"vocab\": {\"a\": 0}, \"merges\": []", "model.unk_token"),
    ("\"vocab\": {\"a\": 0}, \"unk_token\": \"b\", \"merges\": []", "model.unk_token"),
    ("\"vocab\": {\"a\": 0, \"b\": 0}, \"unk_token\": \"b\", \"merges\": []", "the id 0"),
    ("\"vocab\": {\"a\": -1}, \"unk_token\": \"a\", \"merges\": []", "an id that is not in"),
    ("\"type\": \"BPE\", V", "model.merges is not a list"),
    ("\"type\": \"BPE\", \"vocab\": [], \"merges\": []", "model.vocab"),
  ])
  func whatIsNoModelIsAnErrorThatNamesThePlace(model: String, fragment: String) throws {
    let model = model.replacingOccurrences(of: "V", with: vocabulary(["a", "b", "ab"]))
    let error = try #require(throws: FileError.self) { try load(model) }
    #expect(error.code == .data && error.description.contains(fragment), "\(error)")
  }
}
