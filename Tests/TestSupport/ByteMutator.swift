import Determinism

/// Makes of a binary file what somebody who means harm, or a bad disk, might.
public struct ByteMutator {
  private var random: RandomStream

  public init(seed: Int) { random = RandomStream(seed: UInt64(seed), "byte mutations") }

  /// Lengths and numbers at the ends of what varints, words and floats take.
  private static let words: [[UInt8]] = [
    [0x00], [0x7F], [0x80], [0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0x80, 0x80, 0x80, 0x80, 0x08],
    [UInt8](repeating: 0xFF, count: 9) + [0x01], [UInt8](repeating: 0xFF, count: 12),
    [0x00, 0x00, 0xC0, 0x7F], [0x00, 0x00, 0x80, 0xFF], [0xFF, 0xFF, 0x7F, 0x7F],
    [0x00, 0x00, 0x00, 0x80],
  ]

  /// The bytes after one to four changes.
  public mutating func mutate(_ whole: [UInt8]) -> [UInt8] {
    var bytes = whole
    for _ in 0...random.below(4) where !bytes.isEmpty {
      let place = random.below(bytes.count)
      let end = min(bytes.count, place + 1 + random.below(64))
      switch random.below(7) {
      case 0: bytes[place] = UInt8(random.below(256))
      case 1: bytes[place] ^= 1 << UInt8(random.below(8))
      case 2: bytes.removeSubrange(place..<end)
      case 3: bytes.insert(contentsOf: Array(bytes[place..<end]), at: random.below(bytes.count))
      case 4: bytes.removeSubrange(place...)
      default:
        let word = Self.words[random.below(Self.words.count)]
        bytes.replaceSubrange(place..<min(bytes.count, place + word.count), with: word)
      }
    }
    return bytes
  }
}
