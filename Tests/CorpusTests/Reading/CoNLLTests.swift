import Corpus
import Determinism
import Files
import Foundation
import Testing

/// What every spelling of the two sentences below is read as.
private let words = [["Ada", "visited", "Rome", "."], ["#", "1"]]
private let tags = [["B-PER", "O", "B-LOC", "O"], ["O", "B-MISC"]]

@Suite struct CoNLLTests {
  @Test(arguments: [
    "Ada\tB-PER\nvisited\tO\nRome\tB-LOC\n.\tO\n\n#\tO\n1\tB-MISC\n\n",
    // No final line feed.
    "Ada\tB-PER\nvisited\tO\nRome\tB-LOC\n.\tO\n\n#\tO\n1\tB-MISC",
    // CR LF, byte order mark.
    "\u{FEFF}Ada\tB-PER\r\nvisited\tO\r\nRome\tB-LOC\r\n.\tO\r\n\r\n#\tO\r\n1\tB-MISC\r\n",
    // Runs of blank lines, at both ends too, some with blanks.
    "\n\n  \nAda\tB-PER\nvisited\tO\nRome\tB-LOC\n.\tO\n\n \t \n\n#\tO\n1\tB-MISC\n\n\n",
    // Blanks between columns.
    "Ada B-PER\nvisited  O\nRome B-LOC \n. O\n\n# O\n1 B-MISC\n",
    // Four columns, document marks.
    "-DOCSTART- -X- O O\n\nAda NNP I-NP B-PER\nvisited VBD I-VP O\nRome NNP I-NP B-LOC\n. . O O\n"
      + "-DOCSTART- -X- O O\n# # O O\n1 CD O B-MISC\n",
    // A document mark without other columns.
    "-DOCSTART-\n\nAda\tB-PER\nvisited\tO\nRome\tB-LOC\n.\tO\n\n#\tO\n1\tB-MISC\n",
    // Comments before, between and within sentences; one holds a tab, one has as many blanks as a row.
    "# newdoc\n# id 7\tdomain=en\nAda B-PER\nvisited O\n# a note here\nRome B-LOC\n. O\n\n"
      + "# note\n# O\n1 B-MISC\n# end\n",
    "# id 7\tdomain=en\nAda\tB-PER\nvisited\tO\nRome\tB-LOC\n.\tO\n\n# id 8\tdomain=en\n#\tO\n1\tB-MISC\n",
    "# newdoc\n#\n# text = Ada visited Rome .\nAda\tB-PER\nvisited\tO\nRome\tB-LOC\n.\tO\n\n"
      + "# text = # 1\n#\tO\n1\tB-MISC\n",
  ])
  func everyFormIsReadAlike(text: String) throws {
    let sentences = try read(text)
    #expect(sentences.map(\.words) == words)
    #expect(sentences.map(\.tags) == tags)
    // Each word is found again on the line the sentence says.
    let lines = text.replacing("\u{FEFF}", with: "").replacing("\r\n", with: "\n")
      .split(separator: "\n", omittingEmptySubsequences: false)
    for sentence in sentences {
      for (index, word) in sentence.words.enumerated() {
        #expect(lines[sentence.line(ofWord: index) - 1].hasPrefix(word))
      }
      #expect(sentence.line == sentence.line(ofWord: 0))
    }
  }

  @Test func columnsAreChosenFromEitherEnd() throws {
    let text = "1\tAda\tNNP\tB-PER\t_\n2\truns\tVB\tO\t_\n"
    for columns in [ColumnChoice(token: 1, tag: 3), ColumnChoice(token: -4, tag: -2)] {
      let sentences = try read(text, columns: columns)
      #expect(sentences.map(\.words) == [["Ada", "runs"]])
      #expect(sentences.map(\.tags) == [["B-PER", "O"]])
    }
  }

  @Test func tokensKeepTheirLettersAndBlanksWithinTabs() throws {
    let sentences = try read("e\u{301}\tO\n a b \tO\n\u{A0}\tO\n-DOCSTART-x\tO\n#tag\tB-MISC\n")
    #expect(
      sentences.first?.words.map { Array($0.unicodeScalars) } == [
        ["e", "\u{301}"], ["a", " ", "b"], ["\u{A0}"],
        Array("-DOCSTART-x".unicodeScalars), Array("#tag".unicodeScalars),
      ])
  }

  @Test func aFileOfHashRowsAloneIsRead() throws {
    #expect(try read("# c\n#\tO\n").map(\.words) == [["#"]])
  }

  @Test func wordsAreReadWithoutTags() throws {
    let expected = [["Ada", "#", "#runs"], ["."]]
    for text in [
      "Ada\n#\n#runs\n\n.\n", "# a comment\nAda\n#\n#runs\n\n-DOCSTART-\n\n.\n",
      "Ada\tO\n#\tO\n#runs\tO\n\n.\tO\n", "Ada\tX\n#\tO\n#runs\t9\n\n.\n",
    ] {
      let sentences = try read(text, tagged: false)
      #expect(sentences.map(\.words) == expected)
      #expect(sentences.allSatisfy { $0.tags.isEmpty })
    }
    #expect(try failure("Ada runs home\nto Rome\n", tagged: false).line == 2)
  }

  @Test func rowsWithoutTagAreErrorsAtTheirLine() throws {
    for (text, line) in [
      ("Ada\tO\nruns\n", 2), ("Ada\n", 1), ("Ada\tO\nruns\t\n", 2), ("Ada O\nruns\n", 2),
      ("Ada NNP O\nruns O\n", 2), ("a O\n\nb O\nc\tO\n", 1), ("x\n\ny\tO\n", 1),
    ] {
      let error = try failure(text)
      #expect(error.code == .data && error.line == line, "\(text): \(error)")
      #expect(error.message.contains("without a tag"), "\(error)")
    }
    #expect(try failure("Ada\tO\n\tO\n").message.contains("token is empty"))
    #expect(try failure("Ada O\nNew York B-LOC\n").message.contains("separate columns by tabs"))
    #expect(
      try failure("Ada\tO\n", columns: ColumnChoice(token: 4)).message.contains("no token column 4")
    )
    #expect(
      try failure("Ada\tO\n", columns: ColumnChoice(tag: 2)).message.contains("without a tag"))
  }

  @Test func emptyFilesAreErrors() throws {
    #expect(try failure("").message.contains("is empty"))
    for text in ["\n\n", "# only a comment here\n", "\u{FEFF}", "-DOCSTART- O\n\n", " \t\n"] {
      let error = try failure(text)
      #expect(error.code == .data && error.line == nil)
    }
  }

  @Test func missingFilesAndFoldersAreErrors() {
    let missing = #expect(throws: FileError.self) {
      try SentenceReader.read("/nonexistent/a.conll")
    }
    #expect(missing?.code == .missing)
    let folder = #expect(throws: FileError.self) {
      try SentenceReader.read(FileManager.default.temporaryDirectory.path)
    }
    #expect(folder?.code == .missing)
  }

  @Test func invalidUTF8IsAnErrorAtItsLine() throws {
    for bad: [UInt8] in [[0xFF], [0xC3], [0xE2, 0x82], [0xC0, 0x80], [0xED, 0xA0, 0x80]] {
      let error = try failure(Array("Ada\tO\nR".utf8) + bad + Array("me\tO\n".utf8))
      #expect(error.code == .data && error.line == 2, "\(bad)")
      #expect(error.message.contains("not UTF-8"))
    }
    #expect(try failure(Array("a\tO\n".utf8) + [0xC3]).line == 2)
  }

  @Test func noBytesMakeTheReaderTrap() throws {
    let pieces: [[UInt8]] =
      [
        "#", " ", "\t", "\n", "\r\n", "\r", "O", "B-X", "-DOCSTART-", "é", "{", "\"words\":[\"a\"]",
        ",",
        "\"tags\":[\"O\"]", "}", "\u{FEFF}", "word",
      ].map { Array($0.utf8) } + [[0xFF], [0x1F, 0x8B], [0]]
    var random = RandomStream(seed: 11, "bytes")
    var readable = 0
    for round in 0..<3000 {
      // The last three pieces are rare, so that most texts are UTF-8.
      let bytes = (0..<random.below(40)).flatMap { _ in
        pieces[random.below(random.below(60) == 0 ? pieces.count : pieces.count - 3)]
      }
      for tagged in [true, false] {
        do throws(FileError) {
          let file = try TextFile(path: "a", bytes: bytes)
          let sentences =
            round % 3 == 0
            ? try SentenceReader.jsonLines(file, tagged: tagged)
            : try SentenceReader.conll(file, columns: ColumnChoice(), tagged: tagged)
          readable += 1
          for sentence in sentences {
            #expect(!sentence.words.isEmpty && sentence.words.allSatisfy { !$0.isEmpty })
            #expect(sentence.tags.count == (tagged ? sentence.words.count : 0))
          }
        } catch {
          #expect(error.code == .data && !error.message.contains("\n"), "\(error)")
        }
      }
    }
    #expect(readable > 100)
  }
}
