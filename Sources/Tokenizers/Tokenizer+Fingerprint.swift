import Determinism

extension Tokenizer {
  /// A number that another vocabulary is not likely to have: of the size, the special tokens and every
  /// piece.
  ///
  /// - Complexity: O(the vocabulary's bytes).
  public var fingerprint: UInt64 {
    var hash = FNV1a()
    hash.add(word: UInt64(vocabularySize))
    let specials = specials
    for id in [
      specials.start, specials.end, specials.padding, specials.unknown, specials.mask ?? -1,
    ] {
      hash.add(word: UInt64(bitPattern: Int64(id)))
    }
    for id in 0..<vocabularySize {
      let piece = piece(of: Int32(id))
      hash.add(word: UInt64(piece.utf8.count))
      for byte in piece.utf8 { hash.add(byte: byte) }
    }
    return hash.value
  }
}
