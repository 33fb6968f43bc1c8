import Corpus
import Files
import Foundation
import Testing

private func file(_ text: String) throws(FileError) -> ScoreFile {
  try ScoreFile(bytes: Array(text.utf8), path: "a.txt")
}

@Test func lastTwoColumnsAreRead() throws {
  let spaces = try file("Ada NN B-PER B-PER\nran  VB O O\n\n-X- - O O\nRome NN B-LOC O\n")
  #expect(spaces.gold == [["B-PER", "O"], [], ["B-LOC"]])
  #expect(spaces.predicted == [["B-PER", "O"], [], ["O"]])
  let tabs = try file("\u{FEFF}New York\tB-LOC\tO\r\n\r\n\tO\tO")
  #expect(tabs.gold == [["B-LOC"], ["O"]])
  #expect(tabs.predicted == [["O"], ["O"]])
}

@Test func wrongFilesAreRefusedWithTheirLine() throws {
  let cases: [(String, Int?, String)] = [
    ("", nil, "no line"), ("\n\n", nil, "no line"), ("a\n", 1, "1 columns"),
    ("a O O\nb O\n", 2, "2 columns"), ("a\tO\tO\nb\t\tO\n", 2, "empty tag"),
  ]
  for (text, line, words) in cases {
    let error = #expect(throws: FileError.self) { try file(text) }
    #expect(error?.code == .data && error?.line == line)
    #expect(error?.message.contains(words) == true, "\(error as Any)")
  }
  let latin = #expect(throws: FileError.self) {
    try ScoreFile(bytes: Array("a O O\n".utf8) + [0xE9, 0x20, 0x4F, 0x20, 0x4F], path: "a.txt")
  }
  #expect(latin?.line == 2)
  let missing = #expect(throws: FileError.self) { try ScoreFile(path: "/nowhere/at/all") }
  #expect(missing?.code == .missing)
  let strict = #expect(throws: FileError.self) {
    try file("a O O\n\nb B-X Q-X\n").scores(mode: .strict(.iob2))
  }
  #expect(strict?.description == "a.txt:3: tag “Q-X” is not a tag of IOB2")
}

@Test func summaryHoldsAllThreeModes() throws {
  let summary = try file("a B-X B-X\nb I-X O\n\nc B-Y B-Y\n").summary()
  #expect(summary.reports.map(\.mode) == ["conlleval", "default", "strict"])
  #expect(summary.reports.allSatisfy { $0.scheme == "IOB2" && $0.number == 2 && $0.correct == 1 })
  #expect(
    summary.text.hasPrefix(
      "conlleval\nprocessed 3 tokens with 2 phrases; found: 2 phrases; correct: 1.\n"))
  let odd = try file("a B-X B-X\nb I-X E-X\n").summary()
  #expect(odd.reports.count == 2)
  #expect(odd.text.hasSuffix("not scored, a.txt:2: tag “E-X” is not a tag of IOB2\n"))
  #expect(odd.missing?.hasPrefix("seqeval, strict: not scored, a.txt:2: ") ?? false)
}

@Test func jsonHasTheAgreedKeysAndReadsBack() throws {
  let scores = try SpanScores.score(
    gold: [["B-X", "I-X", "B-Y"]], predicted: [["B-X", "I-X", "O"]], mode: .strict(.iob2))
  let report = SpanReport(scores, mode: .strict(.iob2), file: "d/a.conll", language: "en")
  #expect(
    report.json == """
      {"correct":1,"file":"d/a.conll","language":"en",\
      "macro":{"f1":0.5,"precision":0.5,"recall":0.5},"mode":"strict","number":2,\
      "overall_accuracy":0.6666666666666666,"overall_f1":0.6666666666666666,\
      "overall_precision":1,"overall_recall":0.5,"predicted":1,"scheme":"IOB2","tokens":3,\
      "types":{"X":{"correct":1,"f1":1,"number":1,"precision":1,"predicted":1,"recall":1},\
      "Y":{"correct":0,"f1":0,"number":1,"precision":0,"predicted":0,"recall":0}},\
      "weighted":{"f1":0.5,"precision":0.5,"recall":0.5}}
      """)
  let back = try JSONDecoder().decode(SpanReport.self, from: Data(report.json.utf8))
  #expect(back == report)
}
