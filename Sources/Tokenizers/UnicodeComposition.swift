import Foundation

/// Unicode's canonical composition, the last step of the forms NFC and NFKC.
///
/// Foundation on Linux composes some characters above U+FFFF wrongly, so that step is done here. The
/// pairs are those of the primary composites that Unicode 9.0 has.
struct UnicodeComposition: Sendable {
  static let shared = UnicodeComposition()

  private struct Pair: Hashable {
    var first: Unicode.Scalar
    var second: Unicode.Scalar
  }

  private var composites: [Pair: Unicode.Scalar] = [:]

  private init() {
    var decomposed: [(composite: Unicode.Scalar, parts: [Unicode.Scalar])] = []
    // Canonical decompositions lie below U+30000; Hangul syllables are composed by arithmetic.
    for value in UInt32(0xC0)..<0x30000 where !(0xAC00..<0xF900).contains(value) {
      guard let scalar = Unicode.Scalar(value), UnicodeVersions.isKnown(scalar, by: 9),
        !scalar.properties.isFullCompositionExclusion
      else { continue }
      let text = String(Character(scalar)).decomposedStringWithCanonicalMapping
      let parts = Array(text.unicodeScalars)
      if parts.count > 1 { decomposed.append((scalar, parts)) }
    }
    // Of a longer decomposition all but the last part are a composite that is known by then.
    decomposed.sort {
      ($0.parts.count, $0.composite.value) < ($1.parts.count, $1.composite.value)
    }
    for (composite, parts) in decomposed {
      let first = compose(Array(parts.dropLast()))
      if first.count == 1 {
        composites[Pair(first: first[0], second: parts[parts.count - 1])] = composite
      }
    }
  }

  /// Composes text that is decomposed and in canonical order.
  func compose(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(text.count)
    var starter: Int?  // where in `result`
    var lastClass: UInt8 = 0
    for scalar in text {
      let order = UnicodeVersions.combiningClass(scalar)
      let isNext = starter == result.count - 1
      if let place = starter, isNext || (lastClass < order && lastClass != 0),
        let composite = self.composite(result[place], scalar)
      {
        result[place] = composite
        continue
      }
      if order == 0 { starter = result.count }
      lastClass = order
      result.append(scalar)
    }
    return result
  }

  private func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    switch (first.value, second.value) {
    case (0x1100..<0x1113, 0x1161..<0x1176):  // a leading consonant and a vowel
      Unicode.Scalar(0xAC00 + ((first.value - 0x1100) * 21 + second.value - 0x1161) * 28)
    case (0xAC00..<0xD7A4, 0x11A8..<0x11C3) where (first.value - 0xAC00) % 28 == 0:
      Unicode.Scalar(first.value + second.value - 0x11A7)
    default: composites[Pair(first: first, second: second)]
    }
  }
}
