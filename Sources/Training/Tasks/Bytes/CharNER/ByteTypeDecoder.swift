import Glibc

/// The best types of a sentence's words from scores of types for its bytes.
///
/// From one byte to the next the type may change only in front of a space, which then is `O`, and behind a space that is `O`
/// (Viterbi over bytes with transitions of 0 and −∞). So a word has one type, and a space has that of both its words or is
/// `O`; the search goes from word to word.
package struct ByteTypeDecoder: Sendable {
  private let types: Int
  private let scores: ByteScores

  /// - Parameter types: How many there are; the first one is `O`.
  package init(types: Int, scores: ByteScores) {
    self.types = types
    self.scores = scores
  }

  /// A word's type, and whether it continues the entity of the word before.
  package struct Word: Equatable, Sendable {
    package var type: Int
    package var continues: Bool

    package init(type: Int, continues: Bool) {
      self.type = type
      self.continues = continues
    }
  }

  /// What each type adds to the sum of a sentence at each word. Shape `[words, types]`.
  package struct Scores: Sendable {
    /// At the bytes of the word.
    package var words: [Double] = []
    /// At the space before it; 0 at the first word.
    package var spaces: [Double] = []
  }

  /// Cost: bytes × types.
  ///
  /// - Parameters:
  ///   - logits: Shape `[bytes, types]`.
  ///   - wordBounds: Byte bounds of the words; each but the first begins with its space. A word without bytes can only be `O`.
  package func scores(_ logits: [Float], wordBounds: ArraySlice<Int>) -> Scores {
    var scores = Scores()
    for (word, bounds) in zip(wordBounds, wordBounds.dropFirst()).enumerated() {
      var bytes = bounds.0..<bounds.1
      if word == 0 {
        scores.spaces += [Double](repeating: 0, count: types)
      } else {
        scores.spaces += self.scores(logits, byte: bytes.lowerBound)
        bytes = bytes.dropFirst()
      }
      var sums = [Double](repeating: bytes.isEmpty ? -.infinity : 0, count: types)
      sums[0] = 0
      for byte in bytes {
        for (type, score) in self.scores(logits, byte: byte).enumerated() { sums[type] += score }
      }
      scores.words += sums
    }
    return scores
  }

  /// Of equal sums the one with more `O` spaces is taken, then the one with the lower types.
  ///
  /// Cost: words × types.
  package func decode(_ scores: Scores) -> [Word] {
    let count = scores.words.count / types
    if count == 0 { return [] }
    /// Of each type: the best sum of the words so far if the last one has it.
    var sums = Array(scores.words.prefix(types))
    /// Of each word and type: the type of the word before.
    var before = [Int](repeating: 0, count: count * types)
    var continues = [Bool](repeating: false, count: count * types)
    for word in 1..<count {
      let best = Self.best(sums)
      let open = sums[best] + scores.spaces[word * types]
      for type in 0..<types {
        let place = word * types + type
        let continued = sums[type] + scores.spaces[place]
        continues[place] = type > 0 && continued > open
        before[place] = continues[place] ? type : best
        sums[type] = (continues[place] ? continued : open) + scores.words[place]
      }
    }
    var found = [Word](repeating: Word(type: 0, continues: false), count: count)
    var type = Self.best(sums)
    for word in (0..<count).reversed() {
      found[word] = Word(type: type, continues: continues[word * types + type])
      type = before[word * types + type]
    }
    return found
  }

  /// The first of the highest.
  private static func best(_ sums: [Double]) -> Int {
    sums.indices.reduce(0) { sums[$1] > sums[$0] ? $1 : $0 }
  }

  /// What each type adds at a byte.
  private func scores(_ logits: [Float], byte: Int) -> [Double] {
    let row = logits[byte * types..<(byte + 1) * types].map(Double.init)
    let largest = row.max() ?? 0
    let logSum = largest + log(row.reduce(0) { $0 + exp($1 - largest) })
    return row.map { scores == .probabilities ? exp($0 - logSum) : $0 - logSum }
  }
}
