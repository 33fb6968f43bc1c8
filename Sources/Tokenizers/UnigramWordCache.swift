/// The best ways to cut words that were seen before, in bounded memory; for one thread.
///
/// A search adds scores from the beginning of the text on, rounding each sum, so what a word is cut into
/// can depend on the sum before it. A word is kept with how far the best way leads at each place of it:
/// where that is more than all roundings together can be, the search would find the kept way.
struct UnigramWordCache {
  private static let pieceLimit = 10

  private let unigram: Unigram<Float>
  private var slots = WordSlots()
  /// By place.
  private var pieceCounts: [UInt8]
  private var pieces: [Int32]
  /// The sum before the word has to be less than this, without sign; −1 if no sum is.
  private var reaches: [Float]
  private var best: [Unigram<Float>.Step] = []
  private var ways: [Way] = []

  /// Nil if words are not searched each alone: a piece has a mark within, or the mark is no piece.
  init?(_ unigram: Unigram<Float>) {
    guard unigram.cutsAtMarks else { return nil }
    self.unigram = unigram
    pieceCounts = .init(repeating: 0, count: WordSlots.count)
    pieces = .init(repeating: 0, count: WordSlots.count * UnigramWordCache.pieceLimit)
    reaches = .init(repeating: 0, count: WordSlots.count)
  }

  /// Appends the ids of a text, as ``Unigram/encode(_:into:)`` does.
  mutating func encode(_ text: [UInt8], into ids: inout [Int32]) {
    var score: Float = 0
    var start = 0
    while start < text.count {
      var end = start + 1
      while end < text.count, !UnigramWordCache.isMark(text, end) { end += 1 }
      score = encode(word: text[start..<end], from: score, into: &ids)
      start = end
    }
  }

  @inline(__always) private static func isMark(_ text: [UInt8], _ place: Int) -> Bool {
    text[place] == 0xE2 && place + 2 < text.count && text[place + 1] == 0x96
      && text[place + 2] == 0x81
  }

  /// Appends the ids of a word before which the sum of scores is `score`; returns the sum behind it.
  private mutating func encode(
    word: ArraySlice<UInt8>, from score: Float, into ids: inout [Int32]
  ) -> Float {
    guard word.count <= WordSlots.byteLimit else {
      return unigram.encode(word, from: score, best: &best, into: &ids)
    }
    let (slot, isKnown) = slots.place(of: word.span)
    if !isKnown { keep(word, in: slot) }
    guard abs(score) < reaches[slot] else {
      return unigram.encode(word, from: score, best: &best, into: &ids)
    }
    var sum = score
    let first = slot * UnigramWordCache.pieceLimit
    for place in first..<(first + Int(pieceCounts[slot])) {
      let piece = Int(pieces[place])
      ids.append(unigram.ids[piece])
      sum = unigram.scores[piece] + sum
    }
    return sum
  }

  /// The best way to a place of a word, its sum exact but for the roundings of doubles.
  private struct Way {
    var score = -Double.infinity
    /// Of the next best way.
    var second = -Double.infinity
    var start = -1
    var piece = -1

    mutating func offer(_ other: Double, start: Int, piece: Int) {
      if other > score {
        (second, score) = (score, other)
        self.start = start
        self.piece = piece
      } else if other > second {
        second = other
      }
    }
  }

  /// Searches a word with the sum 0 before it, and keeps the way and where it holds.
  private mutating func keep(_ word: ArraySlice<UInt8>, in slot: Int) {
    reaches[slot] = -1
    ways.removeAll(keepingCapacity: true)
    for _ in 0...word.count { ways.append(Way()) }
    ways[0].score = 0
    let text = word.span
    var (start, characters) = (0, 0)
    while start < text.count {
      let soFar = ways[start].score
      let next = start + UTF8.width(ofLead: text[start])
      var isCovered = false
      var node = PieceTrie.root
      var end = start
      while end < text.count, let child = unigram.trie.step(node, text[end]) {
        node = child
        end += 1
        let piece = Int(unigram.trie.value(node))
        guard piece >= 0 else { continue }
        ways[end].offer(soFar + Double(unigram.scores[piece]), start: start, piece: piece)
        if end == next { isCovered = true }
      }
      if !isCovered {
        ways[next].offer(soFar + Double(unigram.unknownScore), start: start, piece: -1)
      }
      start = next
      characters += 1
    }
    // Back along the best way.
    var (place, lead) = (text.count, Double.infinity)
    var path: [Int32] = []
    while place > 0 {
      let way = ways[place]
      guard way.piece >= 0, path.count < UnigramWordCache.pieceLimit else { return }
      path.append(Int32(way.piece))
      lead = min(lead, way.score - way.second)
      place = way.start
    }
    for (index, piece) in path.reversed().enumerated() {
      pieces[slot * UnigramWordCache.pieceLimit + index] = piece
    }
    pieceCounts[slot] = UInt8(path.count)
    // A sum within the word is of at most `characters` additions, each of which rounds by at most 2⁻²⁴ of
    // a sum that is at most `|score| + greatest`. Two ways can so come nearer by twice that; once more
    // for the roundings of the ways themselves and of this sum.
    let greatest = ways.reduce(0) { $1.score.isFinite ? max($0, abs($1.score)) : $0 }
    let roundings = 4 * Double(characters + 1) * 0x1p-24
    let reach = min(lead / roundings, 1e30) - greatest
    reaches[slot] = reach > 0 ? Float(reach * 0.99) : -1
  }
}
