/// Where words of few bytes lie in a table of a fixed size: each word has one place, which it takes from
/// the word that had it.
struct WordSlots {
  /// Longer words have no place.
  static let byteLimit = 31
  static let bits = 16
  static let count = 1 << bits

  /// By place: the bytes of its word, zeros, and in the last byte their number.
  private var keys = [SIMD4<UInt64>](repeating: .zero, count: count)

  /// The place of a word of 1 to ``byteLimit`` bytes, and whether the word had it.
  mutating func place(of word: Span<UInt8>) -> (place: Int, isKnown: Bool) {
    let key = WordSlots.key(of: word)
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

  private static func key(of word: Span<UInt8>) -> SIMD4<UInt64> {
    var key = SIMD4<UInt64>(0, 0, 0, UInt64(word.count) << 56)
    let bytes = unsafe word.bytes
    var (offset, lane) = (0, 0)
    while offset + 8 <= word.count {
      let eight = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
      key[lane] |= eight
      offset += 8
      lane += 1
    }
    var shift: UInt64 = 0
    while offset < word.count {
      key[lane] |= UInt64(word[offset]) << shift
      shift += 8
      offset += 1
    }
    return key
  }
}
