import Corpus
import Determinism
import Files
import TestSupport
import Testing
import Tokenizers

private let tokenizer = LetterTokenizer()

@Suite struct WindowTests {
  @Test func aShortSentenceIsOneWindow() {
    let encoded = EncodedSentence(
      words: ["ab", "c", "_", "?d"], tokenizer: tokenizer,
      shape: WindowShape(maxLength: 8, overlap: 2))
    #expect(encoded.tokens == [0, 4, 5, 6, 3, 3, 7, 1])
    #expect(encoded.windowBounds == [0, 8])
    #expect(encoded.wordTokens == [1, 3, 4, 5])
    #expect(encoded.unknownWords == 2 && encoded.cutWords == 0)
  }

  @Test func aWordLongerThanAWindowIsCut() {
    let encoded = EncodedSentence(
      words: ["a", "abcdefgh", "b"], tokenizer: tokenizer,
      shape: WindowShape(maxLength: 6, overlap: 3))
    #expect(encoded.tokens == [0, 4, 1, 0, 4, 5, 6, 7, 1, 0, 5, 1])
    #expect(encoded.wordTokens == [1, 4, 10])
    #expect(encoded.cutWords == 1)
  }

  @Test func eachWordIsScoredWhereItHasMostContext() {
    // Six words a window, four of them again in the next: words 0…5, 2…7, 4…9.
    let encoded = EncodedSentence(
      words: "abcdefghij".map(String.init), tokenizer: tokenizer,
      shape: WindowShape(maxLength: 8, overlap: 4))
    #expect(encoded.windowBounds == [0, 8, 16, 24])
    // Word 3 has 2 words to its right in the first window and 1 to its left in the second: first. Word 4
    // has 1 in the first, 2 (of 2 and 3) in the second, 0 in the third: second. Word 5 has 2 in the
    // second and 1 in the third: second. Word 6 has 1 in the second, 2 in the third: third.
    let expected: [Int32] = [1, 2, 3, 4, 11, 12, 19, 20, 21, 22]
    #expect(encoded.wordTokens == expected)
  }

  /// The rules of `EncodedSentence`, checked on random sentences one by one.
  @Test func everyWordIsScoredOnceAndWindowsOverlapAsAsked() {
    for seed in UInt64(0)..<400 {
      var random = RandomStream(seed: seed, "windows")
      let maxLength = 3 + random.below(20)
      let shape = WindowShape(maxLength: maxLength, overlap: random.below(maxLength - 2))
      // Each piece says which word it is of, and which piece of it.
      var pieces: [[Int32]] = []
      for word in 0..<random.below(40) {
        let count = random.below(random.below(10) == 0 ? 30 : 5)
        pieces.append((0..<count).map { Int32(100 + word * 100 + $0) })
      }
      let specials = SpecialTokens(start: 0, end: 1, padding: 2, unknown: 3, mask: nil)
      let encoded = EncodedSentence(pieces: pieces, specials: specials, shape: shape)
      let filled = pieces.map { $0.isEmpty ? [3] : Array($0.prefix(shape.capacity)) }

      #expect(encoded.wordTokens.count == pieces.count, "seed \(seed)")
      #expect(encoded.wordTokens == encoded.wordTokens.sorted(), "seed \(seed)")
      #expect(Set(encoded.wordTokens).count == pieces.count, "seed \(seed)")
      #expect(encoded.cutWords == pieces.count { $0.count > shape.capacity }, "seed \(seed)")
      #expect(encoded.unknownWords == pieces.count { $0.isEmpty }, "seed \(seed)")
      for (word, token) in encoded.wordTokens.enumerated() {
        #expect(encoded.tokens[Int(token)] == filled[word][0], "seed \(seed)")
      }

      var end = 0
      var start = -1
      for window in 0..<encoded.windowCount {
        let bounds = encoded.windowBounds[window]..<encoded.windowBounds[window + 1]
        let ids = Array(encoded.tokens[bounds])
        #expect(ids.count <= maxLength && ids.first == 0 && ids.last == 1, "seed \(seed)")
        // The window is a run of whole words that starts after the last one did and ends beyond it.
        let inner = Array(ids[1..<ids.count - 1])
        let run = runs(of: inner, in: filled).first {
          $0.lowerBound > start && $0.upperBound > end
        }
        guard let run else {
          Issue.record("seed \(seed): window \(window) is no run of words")
          break
        }
        #expect(run.lowerBound <= end, "seed \(seed): words are missing before \(run)")
        if run.lowerBound < end {
          #expect(filled[run.lowerBound..<end].joined().count <= shape.overlap, "seed \(seed)")
        }
        // Full: one more word would not fit.
        if run.upperBound < filled.count {
          #expect(inner.count + filled[run.upperBound].count > shape.capacity, "seed \(seed)")
        }
        (start, end) = (run.lowerBound, run.upperBound)
      }
      #expect(end == pieces.count, "seed \(seed): words are missing at the end")
    }
  }

  /// The ranges of words whose pieces are `ids`.
  private func runs(of ids: [Int32], in words: [[Int32]]) -> [Range<Int>] {
    words.indices.compactMap { first in
      var last = first
      var pieces: [Int32] = []
      while last < words.count, pieces.count < ids.count {
        pieces += words[last]
        last += 1
      }
      return pieces == ids ? first..<last : nil
    }
  }

  @Test func aSplitHoldsWhatItsSentencesHold() throws {
    let shape = WindowShape(maxLength: 6, overlap: 2)
    let sentences = [
      Sentence(words: ["ab", "c"], tags: ["B-X", "O"], path: "one", line: 3),
      Sentence(
        words: ["abc", "de", "?", "abcde"], tags: ["O", "O", "B-X", "I-X"], path: "two", line: 9),
    ]
    let labels = LabelSet(of: sentences)
    let split = try Split(sentences, labels: labels, tokenizer: tokenizer, shape: shape)
    #expect(split.count == 2)
    #expect(split.place(of: 0) == ("one", 3) && split.place(of: 1) == ("two", 9))
    #expect(split.wordCount(of: 1) == 4 && Array(split.labels(of: 1)) == [2, 2, 0, 1])
    for (index, sentence) in sentences.enumerated() {
      let encoded = EncodedSentence(words: sentence.words, tokenizer: tokenizer, shape: shape)
      #expect(split.tokenCount(of: index) == encoded.tokens.count)
      #expect(
        split.windowLengths(of: index)
          == zip(encoded.windowBounds.dropFirst(), encoded.windowBounds).map(-))
    }
    var facts = Split.Facts()
    facts.sentences = 2
    facts.words = 6
    // ab c | abc, de ?, abcd: with the special tokens 5, 5, 5 and 6.
    facts.tokens = 21
    facts.windows = 4
    facts.cutWords = 1
    facts.unknownWords = 1
    #expect(split.facts == facts)
    #expect(split.tokenCounts == [5, 16])

    let unlabelled = try Split(sentences, labels: nil, tokenizer: tokenizer, shape: shape)
    #expect(Array(unlabelled.labels(of: 1)) == [-1, -1, -1, -1])
    let error = #expect(throws: FileError.self) {
      try Split(
        sentences, labels: LabelSet(ordered: ["B-X", "O"]), tokenizer: tokenizer, shape: shape)
    }
    #expect(error?.path == "two" && error?.line == 12)
  }
}
