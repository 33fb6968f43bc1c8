import Determinism
import Files
import Foundation
import TestSupport
import Testing
import Tokenizers

@Suite struct TokenizerTrainingTests {
  // MARK: What is trained

  @Test(arguments: SentencePieceKind.allCases)
  func theFilesNameTheSameIDsAndComeOutTheSameTwice(kind: SentencePieceKind) throws {
    try withFolder { folder in
      var training = TokenizerTraining(texts: try inventedTexts(in: folder))
      training.kind = kind
      training.vocabularySize = 200
      let report = try training.run(to: folder + "/a")
      #expect(try training.run(to: folder + "/b") == report)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/a").sorted()
      #expect(
        names == [
          "sentencepiece.bpe.model", "special_tokens_map.json", "tokenizer.json",
          "tokenizer_config.json",
        ])
      for name in names {
        #expect(
          FileManager.default.contents(atPath: "\(folder)/a/\(name)")
            == FileManager.default.contents(atPath: "\(folder)/b/\(name)"), "\(name)")
      }

      let json = try TokenizerLoader.load(folder + "/a")
      let model = try TokenizerLoader.load(folder + "/a/sentencepiece.bpe.model")
      #expect(json.files.map(\.name).contains("tokenizer.json"))
      let specials = SpecialTokens(start: 0, end: 2, padding: 1, unknown: 3, mask: 199)
      #expect(json.specials == specials && model.specials == specials)
      #expect(json.vocabularySize == 200 && model.vocabularySize == 200)
      for id in 0..<Int32(200) { #expect(json.piece(of: id) == model.piece(of: id)) }
      for line in awkwardLines + (0..<200).map({ inventedLine(Script.allCases[$0 % 3], $0) }) {
        #expect(json.encode(line) == model.encode(line), "\(line.debugDescription)")
        let words = line.split(separator: " ").map(String.init)
        #expect(json.encode(words: words) == model.encode(words: words))
      }
      #expect(
        json.encode("<mask>") == [199] && json.encode("中") == [json.encode("a")[0], 3].suffix(2))
    }
  }

  @Test func theSeedAndTheLinesDecideTheModel() throws {
    try withFolder { folder in
      var training = TokenizerTraining(texts: try inventedTexts(in: folder))
      training.vocabularySize = 150
      training.lineLimit = 300
      func model(_ name: String) throws -> Data? {
        _ = try training.run(to: folder + "/" + name)
        return FileManager.default.contents(atPath: "\(folder)/\(name)/sentencepiece.bpe.model")
      }
      let first = try model("first")
      #expect(try model("same") == first)
      training.seed = 2
      #expect(try model("seed") != first)
    }
  }

  /// What is given in another order, in other files, or as gzip, is the same text.
  @Test func theOrderOfLanguagesAndTheFilesAreNoMatter() throws {
    try withFolder { folder in
      let texts = try inventedTexts(in: folder)
      var training = TokenizerTraining(texts: texts)
      training.vocabularySize = 200
      let report = try training.run(to: folder + "/a")
      var other = TokenizerTraining(texts: texts.reversed())
      other.vocabularySize = 200
      #expect(try other.run(to: folder + "/b") == report)
      let names = ["/a", "/b"].map { folder + $0 + "/tokenizer.json" }
      #expect(
        FileManager.default.contents(atPath: names[0])
          == FileManager.default.contents(atPath: names[1]))
    }
  }

  @Test func theReportCountsWordsPiecesAndUnknowns() throws {
    try withFolder { folder in
      let path = folder + "/en.txt"
      // Of each block 3 lines count and 6 words; the last line has a character that the coverage leaves out.
      let block = "aba abb\n\n  \t\naba abb abc\r\n abba\u{3000}aba \n"
      let text = String(repeating: block, count: 10) + "abc abb ж"
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      var training = TokenizerTraining(texts: [TrainingText(language: "en", files: [path])])
      training.vocabularySize = 12
      training.characterCoverage = 0.98
      let report = try training.run(to: folder + "/out")
      #expect(report.rows.map(\.language) == ["en", "all"])
      let row = report.rows[0]
      #expect(row.lines == 31 && row.drawn == 31 && row.words == 63 && row.unknown == 1)
      let tokenizer = try TokenizerLoader.load(folder + "/out")
      let lines = ["aba abb", "aba abb abc", " abba\u{3000}aba "]
      let pieces =
        10 * lines.reduce(0) { $0 + tokenizer.encode($1).count }
        + tokenizer.encode("abc abb ж").count
      #expect(row.pieces == pieces)
      #expect(row.piecesPerWord == Double(pieces) / 63 && row.unknownRate == 1 / Double(pieces))
      #expect(report.text.contains("pieces/word"))
    }
  }

  // MARK: What is drawn

  @Test(arguments: [0, 0.3, 0.7, 1], [1, 100, 999, 1110, 5000])
  func sharesFollowTheExponent(alpha: Double, limit: Int) {
    let counts = [1000, 100, 10]
    let draw = TrainingDraw(seed: 3, lineCounts: counts, limit: limit, alpha: alpha)
    let total = min(limit, 1110)
    #expect(draw.quotas.reduce(0, +) == total)
    let weights = counts.map { pow(Double($0), alpha) }
    for (quota, weight) in zip(draw.quotas, weights) {
      // Largest remainder is off by less than one line.
      #expect(abs(Double(quota) - Double(total) * weight / weights.reduce(0, +)) < 1 + 1e-9)
    }
    if alpha == 1, limit >= 1110 { #expect(draw.quotas == counts) }
    for (index, count) in counts.enumerated() {
      var repeats = draw.repeats(ofLanguage: index, named: "l\(index)")
      let times = (0..<count).map { _ in repeats.next() }
      #expect(times.reduce(0, +) == draw.quotas[index])
      let whole = draw.quotas[index] / count
      #expect(times.allSatisfy { $0 == whole || $0 == whole + 1 })
      #expect(repeats.next() == 0)
    }
  }

  /// Over many seeds each line is chosen about equally often.
  @Test func aChoiceOfLinesFavoursNone() {
    var chosen = [Int](repeating: 0, count: 8)
    for seed in 0..<2000 {
      let draw = TrainingDraw(seed: UInt64(seed), lineCounts: [8], limit: 3, alpha: 1)
      var repeats = draw.repeats(ofLanguage: 0, named: "en")
      for line in 0..<8 { chosen[line] += repeats.next() }
    }
    #expect(chosen.reduce(0, +) == 6000)
    // Binomial of 2000 and 3/8: a deviation of 21.7, of which six are allowed.
    for count in chosen { #expect(abs(count - 750) < 131, "\(chosen)") }
  }

  // MARK: What is refused

  @Test func whatCannotBeTrainedIsAnErrorOfOneLine() throws {
    try withFolder { folder in
      let texts = try inventedTexts(in: folder)
      func expectError(
        _ code: FileError.Code, _ fragment: String, texts: [TrainingText], ids: Int = 300,
        out: String = "/out", kind: SentencePieceKind = .unigram
      ) throws {
        var training = TokenizerTraining(texts: texts)
        training.vocabularySize = ids
        training.kind = kind
        let before = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        let error = try #require(throws: FileError.self) { try training.run(to: folder + out) }
        #expect(error.code == code && error.description.contains(fragment), "\(error)")
        #expect(!error.description.contains("\n"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == before)
      }
      func text(_ name: String, _ content: String) throws -> [TrainingText] {
        let path = folder + "/" + name
        try Data(content.utf8).write(to: URL(filePath: path))
        return [TrainingText(language: "xx", files: [path])]
      }
      for kind in SentencePieceKind.allCases {
        try expectError(.data, "ids at most", texts: texts, ids: 1_000_000, kind: kind)
        try expectError(.data, "ask for more", texts: texts, ids: 20, kind: kind)
        // Nothing that is left by normalisation.
        let controls = try text("controls", "\u{1}\u{2}\n\u{200B}\n\u{2581}\n")
        try expectError(.data, "no letter or digit", texts: controls, kind: kind)
      }
      try expectError(.data, "no line", texts: try text("blank", "\n \n\t\r\n"))
      let long = try text("long", String(repeating: "a", count: 16 << 20 | 1))
      try expectError(.data, "long:1: is longer", texts: long)
      let bad = TrainingText(language: "xx", files: [folder + "/bad"])
      try Data([0x61, 0x0A, 0x0A, 0xFF, 0x0A]).write(to: URL(filePath: bad.files[0]))
      try expectError(.data, "bad:3: is not UTF-8", texts: [bad])
      let none = TrainingText(language: "xx", files: [folder + "/none"])
      try expectError(.missing, "no such file", texts: [none])
      try expectError(
        .missing, "is no regular file", texts: [.init(language: "xx", files: [folder])])
      try expectError(.io, "is a file", texts: texts, out: "/bad")
      try expectError(.io, "is not empty", texts: texts, out: "")
    }
  }

  /// The library ends the process over long words, and leaves out lines with the block U+2585.
  @Test(arguments: SentencePieceKind.allCases)
  func wordsOfManyCharactersAndReservedOnesAreTaken(kind: SentencePieceKind) throws {
    try withFolder { folder in
      var random = RandomStream(seed: 5, "long")
      let letters = (0..<100_000).map { _ in "abcdefgh".randomElement(using: &random) ?? "a" }
      let path = folder + "/x.txt"
      let names = "<mask> <pad>x <s> a</s> <unk>\n"
      let text = String(letters) + "\n" + String(repeating: names, count: 50) + "xyz ▅▅ xyz\n"
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      var training = TokenizerTraining(texts: [TrainingText(language: "xx", files: [path])])
      training.vocabularySize = 120
      training.kind = kind
      training.characterCoverage = 1
      _ = try training.run(to: folder + "/out")
      let tokenizer = try TokenizerLoader.load(folder + "/out")
      #expect(!tokenizer.encode("xyz").contains(3))
      #expect(tokenizer.encode("▅").contains(3))
      #expect(tokenizer.encode("a <mask>").last == 119)
    }
  }

  @Test(
    .enabled(if: SharedFiles.isPresent, "needs ../shared"), arguments: SentencePieceKind.allCases)
  func realTextGivesTheSameIDsByBothFiles(kind: SentencePieceKind) throws {
    try withFolder { folder in
      let texts = ["sv", "amh"].map {
        TrainingText(language: $0, files: [SharedFiles.path("data/text/\($0).txt.gz")])
      }
      var training = TokenizerTraining(texts: texts)
      training.kind = kind
      training.vocabularySize = 2000
      let report = try training.run(to: folder + "/out")
      #expect(report.rows.allSatisfy { $0.unknownRate < 0.005 && $0.piecesPerWord < 4 })
      let json = try TokenizerLoader.load(folder + "/out")
      let model = try TokenizerLoader.load(folder + "/out/sentencepiece.bpe.model")
      for text in texts {
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: text.files[0])))
        let whole = try Compression.gzip.inflate(bytes, path: text.files[0])
        for line in whole.split(separator: 0x0A) {
          let line = String(decoding: line, as: UTF8.self)
          #expect(json.encode(line) == model.encode(line), "\(line)")
        }
      }
    }
  }

  // MARK: Invented text

  private enum Script: String, CaseIterable {
    case latin = "aa"
    case cyrillic = "bb"
    case ethiopic = "cc"
  }

  private let awkwardLines = [
    "", " ", "   ", "\t", "a", " a", "a ", "  a  b  ", "a\tb\r", "▁", "▁▁", " ▁ ", "a▁b", "a ▁▁b▁",
    "\u{3000}a\u{A0}b", "中", "中中", "a中b", "中 中 a", "😀", "a\u{200B}b", "\u{85}", "a\u{85}b",
    "ＡＢＣ", "ﬁ", "½", "\u{1}", "a\u{7F}b", "e\u{301}", "\u{301}", "q\u{301}\u{323}", "Ж-а, б!",
    "<unk", "ሀ ለ", "...", "\u{FFFD}", "🇸🇪🇸🇪", "\u{1112}\u{1161}\u{11AB}",
    String(repeating: "ab", count: 200),
  ]

  /// The words of a script: of syllables, the early ones more often.
  private func inventedLine(_ script: Script, _ number: Int) -> String {
    let letters: ([Int], [Int])
    switch script {
    case .latin: letters = ([0x62, 0x64, 0x6B, 0x6D, 0x73, 0x74], [0x61, 0x65, 0x69, 0x6F])
    case .cyrillic: letters = ([0x431, 0x434, 0x43A, 0x43C, 0x43B], [0x430, 0x435, 0x438])
    case .ethiopic: letters = (Array(0x1200...0x1206), Array(0x1208...0x120E))
    }
    var random = RandomStream(seed: 11, .text(script.rawValue), .number(number))
    let words = (0..<3 + random.below(8)).map { _ in
      var word = RandomStream(seed: 12, .number(Int(60 * random.unit() * random.unit())))
      let syllables = (0..<1 + word.below(4)).flatMap { _ in
        [letters.0[word.below(letters.0.count)], letters.1[word.below(letters.1.count)]]
      }
      return String(String.UnicodeScalarView(syllables.compactMap(Unicode.Scalar.init)))
    }
    return words.joined(separator: " ") + (number % 3 == 0 ? "." : "")
  }

  /// Texts of 400, 200 and 50 lines, of which one is in two files.
  private func inventedTexts(in folder: String) throws -> [TrainingText] {
    try zip(Script.allCases, [400, 200, 50]).map { script, count in
      let lines = (0..<count).map { inventedLine(script, $0) + "\n" }
      let parts = script == .latin ? [lines[..<100], lines[100...]] : [lines[...]]
      let files = parts.indices.map { "\(folder)/\(script.rawValue).\($0).txt" }
      for (part, file) in zip(parts, files) {
        try part.joined().write(toFile: file, atomically: true, encoding: .utf8)
      }
      return TrainingText(language: script.rawValue, files: files)
    }
  }

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "isogloss-training-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }
}
