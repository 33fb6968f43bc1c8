import Corpus
import Foundation
import Testing

/// Answers of seqeval and conlleval; Tests/Golden/scores.py made the file and says what its keys are.
private struct Golden: Decodable {
  struct Answer: Decodable {
    var n: [String: [Int]]
    var v: [Double]?
  }
  struct Chunks: Decodable {
    var n: [String: [Int]]
    var t: [Int]
  }
  struct Case: Decodable, Sendable {
    var g: String
    var p: String
    var k: SpanScheme
    var d: Answer
    var s: Answer?
    var a: Double?
    var c: Chunks
    var rd: String?
    var rs: String?
    var rc: String?
    var auto: SpanScheme?

    var gold: [[String]] { sentences(g) }
    var predicted: [[String]] { sentences(p) }

    private func sentences(_ text: String) -> [[String]] {
      text.split(separator: "|", omittingEmptySubsequences: false).map {
        $0.split(separator: " ").map(String.init)
      }
    }
  }
  var cases: [Case]

  static func load() throws -> [Case] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "scores.json")
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file)).cases
  }
}

private func numbers(_ counts: SpanCounts) -> [String: [Int]] {
  Dictionary(
    uniqueKeysWithValues: counts.types.map { ($0.type, [$0.gold, $0.predicted, $0.correct]) })
}

private func check(_ scores: SpanScores, _ answer: Golden.Answer, _ comment: Comment) {
  #expect(numbers(scores.counts) == answer.n, comment)
  #expect((scores.macro == nil) == (answer.v == nil), comment)
  guard let expected = answer.v, let macro = scores.macro else { return }
  let values = [scores.micro, macro, scores.weighted].flatMap { [$0.precision, $0.recall, $0.f1] }
  #expect(values == expected, comment)  // the last bit included
}

@Test func defaultModeEqualsSeqeval() throws {
  let cases = try Golden.load()
  #expect(cases.count == 1000)
  for (index, one) in cases.enumerated() {
    let scores = try SpanScores.score(gold: one.gold, predicted: one.predicted, mode: .default)
    check(scores, one.d, "case \(index): \(one.g) / \(one.p)")
    #expect(scores.accuracy == one.a ?? 0)
    if let table = one.rd { #expect(scores.table() == table) }
  }
}

@Test func strictModeEqualsSeqeval() throws {
  var refused = 0
  for (index, one) in try Golden.load().enumerated() {
    let comment: Comment = "case \(index), \(one.k): \(one.g) / \(one.p)"
    guard let answer = one.s else {
      refused += 1
      #expect(throws: SpanTagError.self, comment) {
        try SpanCounts(gold: one.gold, predicted: one.predicted, mode: .strict(one.k))
      }
      continue
    }
    let scores = try SpanScores.score(
      gold: one.gold, predicted: one.predicted, mode: .strict(one.k))
    check(scores, answer, comment)
    if let table = one.rs { #expect(scores.table() == table) }
  }
  #expect(refused > 20)
}

@Test func conllevalCountsAndTextEqualTheScript() throws {
  var texts = 0
  for (index, one) in try Golden.load().enumerated() {
    let counts = try SpanCounts(gold: one.gold, predicted: one.predicted, mode: .conlleval)
    #expect(numbers(counts) == one.c.n, "case \(index): \(one.g) / \(one.p)")
    #expect([counts.tokens, counts.correctTokens] == one.c.t)
    if let text = one.rc {
      texts += 1
      #expect(counts.conllevalText == text)
      #expect(SpanScheme.detected(in: one.gold) == one.auto)
    }
  }
  #expect(texts == 25)
}

@Test func countsAddUpOverFilesAndRanks() throws {
  for mode in [SpanMode.default, .conlleval, .strict(.iob2)] {
    var gold: [[String]] = []
    var predicted: [[String]] = []
    var sum = SpanCounts()
    for one in try Golden.load() where one.k == .iob2 && one.s != nil {
      // Prefixes of conlleval's brackets and the like may reach over a sentence's end; spans do not.
      guard (one.g + one.p).allSatisfy({ !"[].X".contains($0) }) else { continue }
      gold += one.gold
      predicted += one.predicted
      sum += try SpanCounts(gold: one.gold, predicted: one.predicted, mode: mode)
    }
    #expect(try SpanCounts(gold: gold, predicted: predicted, mode: mode) == sum)

    let names = sum.types.map(\.type) + ["unseen"]
    let integers = sum.integers(types: names)
    #expect(SpanCounts(integers: integers, types: names) == sum)
    #expect(SpanCounts(integers: zip(integers, integers).map(+), types: names) == sum + sum)
  }
}
