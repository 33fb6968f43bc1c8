import Corpus
import Determinism
import Files
import TestSupport
import Testing
import Tokenizers

/// Ids in memory.
private struct Ids: TokenSource {
  var ids: [Int32]
  let documentEnd: Int32 = 2
  var count: Int { ids.count }
  subscript(_ index: Int) -> Int32 { ids[index] }
}

/// Documents of the given lengths, their ends included; the last one goes on elsewhere if `isOpen`.
private func documents(_ lengths: [Int], isOpen: Bool = false) -> Ids {
  var ids: [Int32] = []
  for length in lengths {
    for place in 1..<length { ids.append(Int32(10 + (ids.count + place) % 80)) }
    ids.append(2)
  }
  if isOpen { ids.removeLast() }
  return Ids(ids: ids)
}

/// The tokens that a range takes with its special ones, by the rules as they are told.
private func cost(_ ids: ArraySlice<Int32>, _ shape: SequenceShape) -> Int {
  if shape.attention == .sequence { return ids.count + 1 + (ids.last == 2 ? 0 : 1) }
  var parts = 0
  var isOpen = false
  for id in ids {
    if !isOpen { parts += 1 }
    isOpen = id != 2
  }
  return ids.count + parts + (isOpen ? 1 : 0)
}

@Suite struct SequenceTests {
  @Test(
    arguments: SequenceShape.Filling.allCases, SequenceShape.Attention.allCases)
  func sequencesCoverAllAndFit(
    filling: SequenceShape.Filling, attention: SequenceShape.Attention
  ) {
    var random = RandomStream(seed: 6, "documents")
    for length in [3, 4, 5, 16, 33] {
      for _ in 0..<40 {
        let lengths = (0..<1 + random.below(12)).map { _ in 2 + random.below(30) }
        let source = documents(lengths, isOpen: random.below(2) == 0)
        let shape = SequenceShape(maxLength: length, filling: filling, attention: attention)
        let starts = shape.starts(in: source)
        #expect(starts.first == 0)
        for (index, start) in starts.enumerated() {
          let end = index + 1 < starts.count ? starts[index + 1] : source.count
          #expect(end > start)
          let ids = source.ids[start..<end]
          #expect(cost(ids, shape) <= length, "\(lengths) at \(start) of \(length)")
          if filling == .document {
            // A document ends nowhere but at a sequence's end.
            #expect(ids.dropLast().allSatisfy { $0 != 2 })
          } else if end < source.count {
            // No part of two tokens more would have fitted.
            #expect(
              cost(source.ids[start..<min(end + 3, source.count)], shape) > length
                || end + 3 > source.count)
          }
        }
      }
    }
  }

  @Test func sequencesAreFullButForTheLast() {
    let source = documents([100, 60, 41])
    let shape = SequenceShape(maxLength: 32)
    let starts = shape.starts(in: source)
    #expect(starts == Array(stride(from: 0, to: 201, by: 30)))
  }
}

/// A vocabulary of letters, some of which open words.
private struct Letters: Tokenizer {
  let vocabularySize = 100
  let specials = SpecialTokens(start: 0, end: 2, padding: 1, unknown: 3, mask: 99)
  let files: [(name: String, bytes: [UInt8])] = []
  func encode(_ text: String) -> [Int32] { [] }
  func encode(words: [String]) -> [[Int32]] { words.map { _ in [] } }
  func piece(of id: Int32) -> String { id % 3 == 0 ? "\u{2581}w\(id)" : "p\(id)" }
}

@Suite struct MaskingTests {
  private func hide(
    _ rates: Masking.Rates, _ ids: [Int32], times: Int
  ) throws -> (chosen: Int, masked: Int, random: Int, kept: Int, lists: [[Int32]]) {
    let masking = try Masking(rates, tokenizer: Letters(), path: "letters")
    var counts = (chosen: 0, masked: 0, random: 0, kept: 0, lists: [[Int32]]())
    for time in 0..<times {
      var hidden = ids
      var random = RandomStream(seed: 8, "mask", .number(time))
      let (places, wanted) = masking.hide(&hidden, random: &random)
      #expect(places.map { ids[Int($0)] } == wanted && places == places.sorted())
      #expect(wanted.allSatisfy { $0 > 3 && $0 < 99 })
      for (place, id) in hidden.enumerated() where !places.contains(Int32(place)) {
        #expect(id == ids[place])
      }
      counts.chosen += places.count
      counts.lists.append(places)
      for place in places {
        switch hidden[Int(place)] {
        case 99: counts.masked += 1
        case ids[Int(place)]: counts.kept += 1
        default: counts.random += 1
        }
      }
    }
    return counts
  }

  /// Of 20,000 × 40 maskable tokens: shares within five standard deviations.
  @Test func sharesAreThoseAskedFor() throws {
    let ids: [Int32] = [0] + (0..<40).map { 4 + $0 } + [2]
    let counts = try hide(.init(), ids, times: 20_000)
    let tokens = 800_000.0
    #expect(abs(Double(counts.chosen) / tokens - 0.15) < 5 * (0.15 * 0.85 / tokens).squareRoot())
    let chosen = Double(counts.chosen)
    #expect(abs(Double(counts.masked) / chosen - 0.8) < 5 * (0.8 * 0.2 / chosen).squareRoot())
    // A random token is the one that was there once in 95 times.
    let random = 0.1 * 94 / 95
    #expect(
      abs(Double(counts.random) / chosen - random) < 5 * (random * 0.9 / chosen).squareRoot())
  }

  @Test func wordsAreHiddenWhole() throws {
    // 6, 9 … open words; 3 does not: it is a special token.
    let ids: [Int32] = [0, 6, 7, 8, 9, 10, 12, 13, 14, 16, 2, 19, 20, 21]
    let words: [[Int32]] = [[1, 2, 3], [4, 5], [6, 7, 8, 9], [11, 12], [13]]
    let counts = try hide(.init(chosen: 0.4, byWord: true), ids, times: 300)
    for list in counts.lists {
      for word in words {
        let hidden = word.filter(list.contains)
        #expect(hidden.isEmpty || hidden == word, "\(list)")
      }
    }
    #expect(counts.chosen > 0)
  }

  @Test func aVocabularyWithoutAMaskIsRefused() {
    struct Blind: Tokenizer {
      let vocabularySize = 10
      let specials = SpecialTokens(start: 0, end: 2, padding: 1, unknown: 3, mask: nil)
      let files: [(name: String, bytes: [UInt8])] = []
      func encode(_ text: String) -> [Int32] { [] }
      func encode(words: [String]) -> [[Int32]] { [] }
      func piece(of id: Int32) -> String { "" }
    }
    #expect(throws: FileError.self) {
      _ = try Masking(.init(), tokenizer: Blind(), path: "blind")
    }
  }
}
