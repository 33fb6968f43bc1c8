import Corpus
import Determinism
import Files
import TestSupport
import Testing

/// Sentences of these tags, given as words of a text with `/` between sentences.
private func sentences(_ text: String) -> [Sentence] {
  var line = 1
  return text.split(separator: "/").map { part in
    let tags = part.split(separator: " ").map(String.init)
    defer { line += tags.count + 1 }
    return Sentence(words: tags.map { _ in "w" }, tags: tags, path: "a", line: line)
  }
}

private func converted(_ text: String) throws -> (tags: String, report: TagReport) {
  var read = sentences(text)
  let report = try TaggedText.convert(&read, path: "a")
  return (read.map { $0.tags.joined(separator: " ") }.joined(separator: " / "), report)
}

/// Entities as (first word, end, type), written in a scheme.
private func spell(_ entities: [(Range<Int>, String)], words: Int, in scheme: TagScheme) -> [String]
{
  var tags = [String](repeating: "O", count: words)
  for (place, (range, type)) in entities.enumerated() {
    let adjacent =
      place > 0
      && entities[place - 1] == (entities[place - 1].0.lowerBound..<range.lowerBound, type)
    for word in range {
      let first = word == range.lowerBound
      let last = word == range.upperBound - 1
      let prefix =
        switch scheme {
        case .io: "I"
        case .iob1: first && adjacent ? "B" : "I"
        case .iob2: first ? "B" : "I"
        case .iobes: first && last ? "S" : first ? "B" : last ? "E" : "I"
        case .bilou: first && last ? "U" : first ? "B" : last ? "L" : "I"
        }
      tags[word] = "\(prefix)-\(type)"
    }
  }
  return tags
}

@Suite struct TagSchemeTests {
  @Test(arguments: TagScheme.allCases)
  func randomEntitiesSurviveEveryScheme(scheme: TagScheme) throws {
    for seed in UInt64(0)..<50 {
      var random = RandomStream(seed: seed, "tags")
      var sentences: [Sentence] = []
      var expected: [[String]] = []
      var entityCount = 0
      // So that no scheme passes for a poorer one: neighbours, a lone word and a long entity.
      var plans: [([(Range<Int>, String)], Int)] = [
        ([(0..<1, "A"), (1..<4, "A"), (4..<5, "B-2")], 6)
      ]
      for _ in 0..<20 {
        let words = 1 + random.below(12)
        var entities: [(Range<Int>, String)] = []
        var place = 0
        while place < words {
          let length = min(1 + random.below(3), words - place)
          if random.below(2) == 0 {
            entities.append((place..<place + length, ["A", "B-2", "C"][random.below(3)]))
          }
          place += length
        }
        plans.append((entities, words))
      }
      for (entities, words) in plans {
        var entities = entities
        if scheme == .io {  // What IO cannot say is left out.
          entities = entities.reduce(into: []) { kept, next in
            if kept.last?.0.upperBound != next.0.lowerBound || kept.last?.1 != next.1 {
              kept.append(next)
            }
          }
        }
        entityCount += entities.count
        sentences.append(
          Sentence(
            words: [String](repeating: "w", count: words),
            tags: spell(entities, words: words, in: scheme)))
        expected.append(spell(entities, words: words, in: .iob2))
      }
      let report = try TaggedText.convert(&sentences, path: "a")
      #expect(sentences.map(\.tags) == expected, "seed \(seed)")
      #expect(report.scheme == scheme, "seed \(seed)")
      #expect(report.repaired == 0 && report.firstRepairedLine == nil, "seed \(seed)")
      #expect(report.entities.reduce(0) { $0 + $1.count } == entityCount)
      #expect(report.prefixes.reduce(0) { $0 + $1.count } == report.words)
      // Once converted, a file is IOB2 and stays as it is.
      let again = try TaggedText.convert(&sentences, path: "a")
      #expect(again.scheme == .iob2 && again.converted == 0 && again.repaired == 0)
      #expect(sentences.map(\.tags) == expected)
    }
  }

  @Test(arguments: [
    // Rule 2: nothing, or `I-` alone.
    ("O O / O", TagScheme.iob2, "O O / O", 0, 0),
    ("I-X I-X O I-Y I-X", .io, "B-X I-X O B-Y B-X", 3, 0),
    // Rule 3.
    ("B-X I-X B-X / B-Y B-X I-X", .iob2, "B-X I-X B-X / B-Y B-X I-X", 0, 0),
    // Rule 4.
    ("I-X I-X B-X I-X O I-Y", .iob1, "B-X I-X B-X I-X O B-Y", 2, 0),
    // Rule 5: one `I-` opens among `B-`, and one needless `B-` among `I-`.
    ("B-X I-X O B-Y O I-X / B-X", .iob2, "B-X I-X O B-Y O B-X / B-X", 1, 1),
    ("I-X O I-Y O I-X I-X B-X O B-Y", .iob1, "B-X O B-Y O B-X I-X B-X O B-Y", 3, 1),
    ("B-X I-Y", .iob2, "B-X B-Y", 1, 1),
    // IOBES and BILOU, whole and broken: not closed, not opened, closed by another type.
    ("B-X E-X S-X S-Y O B-Y I-Y E-Y", .iobes, "B-X I-X B-X B-Y O B-Y I-Y I-Y", 4, 0),
    ("B-X O S-X", .iobes, "B-X O B-X", 1, 1),
    ("O E-X O / S-X I-X E-X", .iobes, "O B-X O / B-X B-X I-X", 4, 2),
    ("B-X E-Y", .iobes, "B-X B-Y", 1, 1),
    ("U-X / O B-X", .bilou, "B-X / O B-X", 1, 1),
    ("U-X B-Y L-Y", .bilou, "B-X B-Y I-Y", 2, 0),
  ])
  func rulesHold(
    tags: String, scheme: TagScheme, expected: String, converted count: Int, repaired: Int
  )
    throws
  {
    let (tags, report) = try converted(tags)
    #expect(tags == expected)
    #expect(report.scheme == scheme)
    #expect(report.converted == count)
    #expect(report.repaired == repaired)
  }

  @Test func reportsCountTheEvidence() throws {
    let (_, report) = try converted("I-X I-X B-X O / O I-Y / B-Z")
    #expect(report.prefixes.map(\.name) == ["O", "B", "I"])
    #expect(report.prefixes.map(\.count) == [2, 2, 3])
    #expect(report.openedInside == 2 && report.openedAdjacent == 1 && report.openedApart == 1)
    #expect(report.scheme == .iob1)
    #expect(report.repaired == 1 && report.firstRepairedLine == 9)
    #expect(
      report.entities.map(\.name) == ["X", "Y", "Z"] && report.entities.map(\.count) == [2, 1, 1])
    #expect(
      report.description
        == "a: 3 sentences, 7 words; IOB1 (O 2, B 2, I 3), 2 tags converted to IOB2, 1 repaired "
        + "(first at line 9); entities X 2, Y 1, Z 1")
  }

  @Test(arguments: ["X", "B", "B-", "b-X", "o", "BX", "-X", "M-X", "O-X", "PER", "0"])
  func tagsOfNoSchemeAreErrorsAtTheirLine(tag: String) throws {
    let error = try #require(throws: FileError.self) { try converted("O O / O \(tag)") }
    #expect(error.code == .data && error.line == 5)
    #expect(error.message.contains("'\(tag)'"))
  }

  @Test func messagesStayOnOneShortLine() throws {
    var wrong = [Sentence(words: ["w"], tags: ["B-a\nb" + String(repeating: "c", count: 900)])]
    let error = try #require(throws: FileError.self) {
      try TaggedText.convert(&wrong, path: "a")
    }
    #expect(!error.description.contains("\n") && error.description.count < 250)
  }

  @Test func mixedSchemesAreErrors() throws {
    let error = try #require(throws: FileError.self) { try converted("S-X O / U-X") }
    #expect(error.line == 4)
    #expect(error.message.contains("U-X") && error.message.contains("S-X of line 1"))
  }

  @Test func filesAreReadInOrderUpToALimit() throws {
    try withFile(Array("a\tI-X\nb\tB-X\n\nc\tO\n".utf8)) { first in
      try withFile(Array("d\tS-Y\n".utf8)) { second in
        let all = try TaggedText(reading: [first, second])
        #expect(all.sentences.map(\.tags) == [["B-X", "B-X"], ["O"], ["B-Y"]])
        #expect(all.reports.map(\.scheme) == [.iob1, .iobes])
        let some = try TaggedText(reading: [first, second], maxSentences: 2)
        #expect(some.sentences == Array(all.sentences.prefix(2)))
        #expect(some.reports == all.reports)
      }
    }
  }
}

@Suite struct LabelSetTests {
  @Test func labelsAreSortedByCodePoint() {
    let set = LabelSet(of: sentences("O B-b I-b / B-B B-é B-z I-B O"))
    #expect(set.labels == ["B-B", "B-b", "B-z", "B-é", "I-B", "I-b", "O"])
    for (index, label) in set.labels.enumerated() { #expect(set.id(of: label) == Int32(index)) }
    #expect(set.id(of: "I-z") == nil)
  }

  @Test func policiesShareOrSeparate() {
    let found = [LabelSet(of: sentences("O B-X")), LabelSet(of: sentences("O B-Y I-Y"))]
    #expect(LabelPolicy.perLanguage.labelSets(found) == found)
    let union = LabelSet(ordered: ["B-X", "B-Y", "I-Y", "O"])
    #expect(LabelPolicy.union.labelSets(found) == [union, union])
  }

  @Test func unknownTagsAreErrorsThatNameAllThereIsToKnow() throws {
    let set = LabelSet(of: sentences("O B-X"))
    #expect(try set.ids(of: sentences("O B-X O")[0]) == [1, 0, 1])
    let error = try #require(throws: FileError.self) {
      try set.ids(of: sentences("O O / O I-X")[1])
    }
    #expect(error.path == "a" && error.line == 5 && error.code == .data)
    #expect(error.message.contains("'I-X'") && error.message.contains("B-X, O"))
  }
}
