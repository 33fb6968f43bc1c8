/// How the token stream of packed text becomes sequences for a model.
public struct SequenceShape: Sendable, Equatable {
  /// What a sequence may be filled across.
  public enum Filling: String, Sendable, Codable, CaseIterable {
    /// All text of a language: every sequence is full but for a shard's last.
    case language
    /// The sentences of one document.
    case document
  }

  /// What the tokens of a sequence attend to.
  public enum Attention: String, Sendable, Codable, CaseIterable {
    /// The whole sequence.
    case sequence
    /// Their own document's part of it, which has its own positions and special tokens.
    case document
  }

  /// The most tokens of a sequence, special tokens included.
  public let maxLength: Int
  public let filling: Filling
  public let attention: Attention

  /// - Precondition: `maxLength ≥ 3`.
  public init(maxLength: Int, filling: Filling = .language, attention: Attention = .sequence) {
    precondition(maxLength >= 3, "a sequence of \(maxLength) tokens has no room for a word")
    self.maxLength = maxLength
    self.filling = filling
    self.attention = attention
  }

  /// Where the sequences of a shard begin in its ids. They follow each other and cover all.
  ///
  /// Cost: a pass over the ids, unless sequences are filled and attend without regard to documents.
  public func starts(in shard: some TokenSource) -> [Int] {
    if filling == .language, attention == .sequence {
      return Array(stride(from: 0, to: shard.count, by: maxLength - 2))
    }
    var starts: [Int] = []
    var start = 0
    while start < shard.count {
      starts.append(start)
      start = end(ofSequenceAt: start, in: shard)
    }
    return starts
  }

  /// Where the sequence that begins at `start` ends.
  private func end(ofSequenceAt start: Int, in shard: some TokenSource) -> Int {
    var room = maxLength
    var place = start
    // A part takes an opening token, at least one of the text, and a closing one, its document's or its own.
    while place < shard.count, room >= 3 {
      let limit = min(shard.count, place + room - 1)
      var stop = place
      while stop < limit, shard[stop] != shard.documentEnd { stop += 1 }
      if stop < limit {
        room -= stop + 1 - place + 1
        place = stop + 1
        if filling == .document { return place }
      } else {
        return min(shard.count, place + room - 2)
      }
    }
    return place
  }
}
