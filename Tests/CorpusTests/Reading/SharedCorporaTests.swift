import Corpus
import Foundation
import TestSupport
import Testing

@Suite struct SharedCorporaTests {
  /// Sentences, tokens and entities of every file are those that the folder's README lists.
  @Test(.enabled(if: SharedFiles.isPresent)) func countsAreThoseListed() throws {
    let table = try String(contentsOfFile: SharedFiles.path("data/README.md"), encoding: .utf8)
    var files = 0
    for line in table.split(separator: "\n") where line.hasPrefix("| `ner/") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      let path = SharedFiles.path("data/" + cells[0].trimmingCharacters(in: ["`"]))
      let text = try TaggedText(reading: [path])
      let report = try #require(text.reports.first)
      #expect(report.scheme == .iob2 && report.converted == 0 && report.repaired == 0, "\(path)")
      #expect(String(report.sentences) == cells[1], "\(path)")
      #expect(String(report.words) == cells[2], "\(path)")
      #expect(String(report.entities.reduce(0) { $0 + $1.count }) == cells[3], "\(path)")
      let listed = cells[4].components(separatedBy: ", ").sorted()
      #expect(report.entities.map { "\($0.name) \($0.count)" } == listed, "\(path)")
      // Words read without tags are the same words.
      let words = try SentenceReader.read(path, tagged: false)
      #expect(words.map(\.words) == text.sentences.map(\.words), "\(path)")
      files += 1
    }
    #expect(files >= 24)
  }
}
