import Determinism

/// Makes of a JSON text what somebody who means harm, or a bad disk, might.
public struct JSONMutator {
  private var random: RandomStream

  public init(seed: Int) { random = RandomStream(seed: UInt64(seed), "mutations") }

  private static let numbers = [
    "-1", "0", "1", "9223372036854775807", "9223372036854775808", "18446744073709551616", "1e999",
    "-0", "1.5", "4294967296", "2147483648", "1e18", "00", "0x10", "NaN", "100000000000",
  ]
  private static let strings = [
    "", "..", "../../etc/passwd", "/etc/passwd", "a/../../b", ".", "\\u0000", "\\ud800", "\u{202e}",
    "\\n\\u001b[2J", "F32", "I64", "F8_E4M3", "__metadata__", "model.safetensors", "link",
    "isogloss.json", "\\", "C:\\\\x", "gelu", "xlm-roberta",
  ]

  /// The text after one to four changes.
  public mutating func mutate(_ text: [UInt8]) -> [UInt8] {
    var bytes = text
    for _ in 0...random.below(4) where !bytes.isEmpty { change(&bytes) }
    return bytes
  }

  private mutating func change(_ bytes: inout [UInt8]) {
    let place = random.below(bytes.count)
    let end = min(bytes.count, place + 1 + random.below(40))
    switch random.below(12) {
    case 0: bytes[place] = UInt8(random.below(256))
    case 1: bytes[place] ^= 1 << UInt8(random.below(8))
    case 2: bytes.removeSubrange(place..<end)
    case 3: bytes.insert(contentsOf: Array(bytes[place..<end]), at: random.below(bytes.count))
    case 4: bytes.removeSubrange(place...)
    case 5, 6:
      replace(&bytes, from: place, Self.numbers[random.below(Self.numbers.count)], isNumber)
    case 7, 8:
      var word = Self.strings[random.below(Self.strings.count)]
      if random.below(8) == 0 { word = String(repeating: "a", count: 1 << random.below(17)) }
      replace(&bytes, from: place, word) { !"\"{}[],:".utf8.contains($0) }
    case 9:
      let depth = 1 << random.below(12)
      let open: UInt8 = random.below(2) == 0 ? UInt8(ascii: "[") : UInt8(ascii: "{")
      bytes.insert(contentsOf: [UInt8](repeating: open, count: depth), at: place)
    case 10:
      // A member twice, or many times.
      guard let start = bytes[place...].firstIndex(of: UInt8(ascii: "\"")),
        let stop = bytes[start...].firstIndex(of: UInt8(ascii: ","))
      else { return }
      let member = Array(bytes[start...stop])
      for _ in 0..<(1 << random.below(6)) { bytes.insert(contentsOf: member, at: start) }
    default: bytes.insert(UInt8(random.below(256)), at: place)
    }
  }

  private func isNumber(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || byte == 0x2D }

  /// Puts `word` in the place of the next run of bytes of a kind.
  private func replace(
    _ bytes: inout [UInt8], from place: Int, _ word: String, _ isKind: (UInt8) -> Bool
  ) {
    guard let start = bytes[place...].firstIndex(where: isKind) else { return }
    let stop = bytes[start...].firstIndex { !isKind($0) } ?? bytes.endIndex
    bytes.replaceSubrange(start..<stop, with: Array(word.utf8))
  }
}
