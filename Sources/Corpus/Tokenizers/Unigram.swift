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

  private let trie: PieceTrie
  /// By the values in the trie.
  private let ids: [Int32]
  private let scores: [Score]
  private let unknown: Int32
  private let unknownScore: Score

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
  }

  /// Appends the ids of `text`, valid UTF-8, to `ids`. A run of unknown characters is one unknown.
  ///
  /// Of paths with equal scores the one whose last piece starts first wins, at each place.
  ///
  /// - Complexity: O(`n` · the longest piece).
  func encode(_ text: [UInt8], into result: inout [Int32]) {
    var best = [Step](repeating: Step(), count: text.count + 1)
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
    appendPath(best, of: text, into: &result)
  }

  /// The best way to a place: its score, and its last piece.
  private struct Step {
    var score: Score = 0
    var start = -1
    /// −1 for an unknown character.
    var piece = -1

    @inline(__always) mutating func offer(_ other: Step) {
      if start < 0 || other.score > score { self = other }
    }
  }

  private func appendPath(_ best: [Step], of text: [UInt8], into result: inout [Int32]) {
    let before = result.count
    var end = text.count
    var unknownEnd: Int?
    func appendUnknown(from start: Int) {
      guard let end = unknownEnd else { return }
      // Characters that are unknown each may still be a piece together.
      let piece = trie.value(of: text[start..<end])
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
