import Determinism
import Files
import Foundation
import TestSupport
import Testing
import Tokenizers

@Suite struct LineEncoderTests {
  /// The lines that `encoder` and `tokenizer` encode differently.
  private func differing(_ lines: [String], _ tokenizer: any Tokenizer) -> [String] {
    var encoder = tokenizer.lineEncoder()
    return lines.filter { line in
      var ids: [Int32] = [7]
      encoder.encode(Array(line.utf8)[...], into: &ids)
      return ids != [7] + tokenizer.encode(line)
    }
  }

  /// Words of few letters and of what normalisation changes, so that many come again, in lines of up to
  /// 40: blanks of many kinds, marks, what composes, what vanishes, what no piece has.
  private func lines(count: Int, seed: UInt64) -> [String] {
    let parts = [
      "a", "e", "n", "t", "s", "the", "ing", "ß", "é", "e\u{301}", "\u{301}", "Å", "ﬁ", "①",
      "\u{200B}",
      "\u{AD}", "\u{A0}", "\u{3000}", "\t", "▁", "▁▁", "\u{FEFF}", "日", "本", "가", "\u{1100}", "क",
      "्",
      "\u{600}", "ا", "я", "й", "и\u{306}", "😀", "👩\u{200D}🔬", "½", "…", "\u{FB2A}", "\u{1}",
      "\u{7F}",
      "\u{FFFD}", "\u{FFFE}", "\u{10FFFF}", "０", "ｱ", "\u{A8}", "~", "～", "<s>", "<unk>", "<mask>",
      "▁the",
    ]
    var random = RandomStream(seed: seed, ["lines"])
    return (0..<count).map { _ in
      var line = ""
      for _ in 0..<random.below(40) {
        for _ in 0...random.below(4) { line += parts[random.below(parts.count)] }
        line += [" ", " ", " ", " ", " ", " ", "  ", ""][random.below(8)]
      }
      return line
    }
  }

  @Test(arguments: ["sentencepiece", "unigram", "xlmr", "uncased", "cased", "bpe"])
  func linesAreEncodedAsByTheTokenizer(name: String) throws {
    try check(TokenizerLoader.load(fixture(name)))
  }

  /// What `isogloss tokenizer train` writes: a mark is put first by a stage of normalisation.
  @Test func marksMayComeFromNormalisation() throws {
    let path = URL(filePath: fixture("xlmr/tokenizer.json"))
    var json = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: path)) as? [String: Any])
    let map = try #require(json["normalizer"] as? [String: Any])
    #expect(map["type"] as? String == "Precompiled")
    func replace(_ kind: String, _ pattern: String, _ content: String) -> [String: Any] {
      ["type": "Replace", "pattern": [kind: pattern], "content": content]
    }
    json["normalizer"] = [
      "type": "Sequence",
      "normalizers": [
        map, ["type": "Prepend", "prepend": " "], replace("Regex", " {2,}", " "),
        replace("String", " ", "▁"),
      ],
    ]
    json["pre_tokenizer"] = [
      "type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true,
    ]
    let directory = try TemporaryDirectory()
    try directory.write(
      Array(JSONSerialization.data(withJSONObject: json)), to: "tokenizer.json")
    try check(TokenizerLoader.load(directory.file("tokenizer.json")))
  }

  private func check(_ tokenizer: any Tokenizer) throws {
    #expect(!"\(type(of: tokenizer.lineEncoder()))".hasPrefix("Plain"))
    #expect(differing(lines(count: 3000, seed: 1), tokenizer) == [])
    #expect(
      differing(["", " ", "\u{0}", "a\u{0}b", "  a  b ", "▁", "a\u{0} the the"], tokenizer) == [])
    // One encoder for all: words that differ in their length or in zero bytes alone, and the ends of places.
    let word = String(repeating: "abcdefgh", count: 5)
    let awkward = [
      "a a\u{0} a\u{0}\u{0} a a\u{0}", "a\r\nb a\r b", "é\r\n é é\r", "the\u{301} the \u{301}the",
      [7, 8, 9, 15, 16, 17, 23, 24, 25, 30, 31, 32, 33].map { String(word.prefix($0)) }
        .joined(separator: " "),
    ]
    #expect(differing(awkward + awkward, tokenizer) == [])
    // The sum of scores grows over a long line, and with it how it is rounded.
    let long = lines(count: 500, seed: 2).joined(separator: " ")
    #expect(differing([long, long], tokenizer) == [])
  }

  @Test(.enabled(if: SharedFiles.isPresent), arguments: ["sp32k", "xlmr"])
  func textsOfManyLanguagesAreEncodedAsByTheTokenizer(name: String) throws {
    let tokenizer =
      name == "sp32k"
      ? try TokenizerLoader.load(SharedFiles.path("data/tokenizers/sp32k.model"))
      : try TokenizerLoader.load(fixture(name))
    let folder = SharedFiles.path("data/text")
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    #expect(files.count > 40)
    for file in files {
      let text = try TextFile(reading: folder + "/" + file)
      var lines: [String] = []
      var ranges = text.lines
      while let range = ranges.next(), lines.count < 300 {
        lines.append(String(decoding: text.bytes[range], as: UTF8.self))
      }
      // Some lines together too: sums of scores are greater there.
      #expect(differing(lines + [lines.joined(separator: " ")], tokenizer) == [], "\(file)")
    }
  }
}
