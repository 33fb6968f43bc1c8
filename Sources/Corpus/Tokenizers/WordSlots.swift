/// Where words of few bytes lie in a table of a fixed size: each word has one place, which it takes from
/// the word that had it.
struct WordSlots {
  /// Longer words have no place.
  static let byteLimit = 32
  static let bits = 16
  static let count = 1 << bits

  /// By place: the bytes of its word, zeros behind them.
  private var keys = [SIMD4<UInt64>](repeating: .zero, count: count)

  /// The place of a word of at most ``byteLimit`` bytes, none of them zero, and whether the word had it.
  mutating func place(of word: ArraySlice<UInt8>) -> (place: Int, isKnown: Bool) {
    var key = SIMD4<UInt64>.zero
    var shift: UInt64 = 0
    var lane = 0
    for byte in word {
      key[lane] |= UInt64(byte) << shift
      shift += 8
      if shift == 64 { (shift, lane) = (0, lane + 1) }
    }
    var hash = key[0] &* 0x9E37_79B9_7F4A_7C15
    for lane in 1..<4 {
      hash = (hash ^ (hash >> 29) ^ key[lane]) &* 0xBF58_476D_1CE4_E5B9
    }
    hash ^= hash >> 32
    let place = Int((hash &* 0x94D0_49BB_1331_11EB) >> UInt64(64 - WordSlots.bits))
    if keys[place] == key { return (place, true) }
    keys[place] = key
    return (place, false)
  }
}
