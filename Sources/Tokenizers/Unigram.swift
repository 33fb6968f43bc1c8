/// The unigram model: a text is cut so that the sum of its pieces' scores is greatest.
///
/// `Score` is the type that scores are added in. It decides between ways to cut that are nearly equal:
/// the Rust `tokenizers` library adds doubles, SentencePiece floats.
struct Unigram<Score: BinaryFloatingPoint & Sendable>: Sendable {
  struct Piece {
    var text: [UInt8]
    var id: Int32
    var score: Score
  }

  let trie: PieceTrie
  /// By the values in the trie.
  let ids: [Int32]
  let scores: [Score]
  let unknown: Int32
  let unknownScore: Score
  /// Whether the best way through a text goes through the places before all marks (U+2581) in it: the
  /// mark is a piece, and no piece has one but at its start.
  let cutsAtMarks: Bool

  /// - Parameters:
  ///   - pieces: Distinct pieces.
  ///   - unknown: The id of what is in no piece.
  ///   - unknownScore: The score of each character that no piece begins with alone.
  init(
    _ pieces: [Piece], unknown: Int32, unknownScore: Score
  ) throws(PieceTrie.Duplicate) {
    trie = try PieceTrie(pieces.indices.map { (pieces[$0].text, Int32($0)) })
    ids = pieces.map(\.id)
    scores = pieces.map(\.score)
    self.unknown = unknown
    self.unknownScore = unknownScore
    let mark: [UInt8] = [0xE2, 0x96, 0x81]
    let isMarkWithin = pieces.contains { piece in
      piece.text.indices.dropFirst().contains { piece.text[$0...].starts(with: mark) }
    }
    cutsAtMarks = trie.value(of: mark) != nil && !isMarkWithin && !ids.contains(unknown)
  }

  /// Appends the ids of `text`, valid UTF-8, to `ids`. A run of unknown characters is one unknown.
  ///
  /// Of paths with equal scores the one whose last piece starts first wins, at each place.
  ///
  /// - Complexity: O(`n` · the longest piece).
  func encode(_ text: [UInt8], into result: inout [Int32]) {
    var best: [Step] = []
    _ = encode(text[...], from: 0, best: &best, into: &result)
  }

  /// The same of a text before which the sum of scores is `start`.
  ///
  /// - Parameter best: Room for the search.
  /// - Returns: The sum of scores behind the text.
  func encode(
    _ text: ArraySlice<UInt8>, from score: Score, best: inout [Step], into result: inout [Int32]
  ) -> Score {
    search(text, from: score, best: &best)
    appendPath(best, of: text, into: &result)
    return best[text.count].score
  }

  /// Finds the best ways to all places of a text.
  private func search(_ slice: ArraySlice<UInt8>, from score: Score, best: inout [Step]) {
    let text = slice.span
    best.removeAll(keepingCapacity: true)
    best.append(Step(score: score))
    best.append(contentsOf: repeatElement(Step(), count: text.count))
    var start = 0
    while start < text.count {
      let soFar = best[start].score
      let next = start + UTF8.width(ofLead: text[start])
      var isCovered = false
      var node = PieceTrie.root
      var end = start
      while end < text.count, let child = trie.step(node, text[end]) {
        node = child
        end += 1
        let piece = Int(trie.value(node))
        guard piece >= 0 else { continue }
        best[end].offer(Step(score: scores[piece] + soFar, start: start, piece: piece))
        if end == next { isCovered = true }
      }
      if !isCovered { best[next].offer(Step(score: unknownScore + soFar, start: start)) }
      start = next
    }
  }

  /// The best way to a place: its score, and its last piece.
  struct Step {
    var score: Score = 0
    var start = -1
    /// −1 for an unknown character.
    var piece = -1

    @inline(__always) mutating func offer(_ other: Step) {
      if start < 0 || other.score > score { self = other }
    }
  }

  private func appendPath(
    _ best: [Step], of text: ArraySlice<UInt8>, into result: inout [Int32]
  ) {
    let before = result.count
    var end = text.count
    var unknownEnd: Int?
    func appendUnknown(from start: Int) {
      guard let end = unknownEnd else { return }
      // Characters that are unknown each may still be a piece together.
      let piece = trie.value(of: text[(text.startIndex + start)..<(text.startIndex + end)])
      result.append(piece.map { ids[Int($0)] } ?? unknown)
      unknownEnd = nil
    }
    while end > 0 {
      let step = best[end]
      if step.piece < 0 || ids[step.piece] == unknown {
        unknownEnd = unknownEnd ?? end
      } else {
        appendUnknown(from: end)
        result.append(ids[step.piece])
      }
      end = step.start
    }
    appendUnknown(from: 0)
    result[before...].reverse()
  }
}

extension UTF8 {
  /// The number of bytes of the character that `byte` leads, in valid UTF-8.
  static func width(ofLead byte: UInt8) -> Int {
    byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
  }
}
