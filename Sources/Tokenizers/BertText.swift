/// BERT's preparation of text: what is dropped, spaced out, unaccented and put in lower case.
struct BertNormalizer: Sendable {
  /// Drops control characters and makes each white space a blank.
  var cleansText = true
  /// Puts a blank on both sides of each CJK ideograph.
  var spacesIdeographs = true
  /// Decomposes the text and drops nonspacing marks.
  var stripsAccents = true
  var lowercases = true

  func normalize(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(text.count)
    for scalar in text {
      if cleansText, BertNormalizer.isDropped(scalar) { continue }
      if cleansText, scalar.isWhiteSpace {
        result.append(" ")
      } else if spacesIdeographs, BertNormalizer.isIdeograph(scalar) {
        result += [" ", scalar, " "]
      } else {
        result.append(scalar)
      }
    }
    if stripsAccents {
      result = UnicodeVersions.normalize(result, .nfd)
      result.removeAll(where: UnicodeVersions.isNonspacingMark)
    }
    return lowercases ? BertNormalizer.lowercase(result) : result
  }

  /// Each scalar's lower case by itself, whatever its neighbours.
  static func lowercase(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(text.count)
    for scalar in text {
      switch scalar.value {
      case 0x41...0x5A: result.append(Unicode.Scalar(UInt8(scalar.value) | 0x20))
      case 0..<0x80: result.append(scalar)
      default: result += scalar.properties.lowercaseMapping.unicodeScalars
      }
    }
    return result
  }

  private static func isDropped(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\t", "\n", "\r": false
    case "\u{FFFD}": true
    default: UnicodeVersions.isOther(scalar)
    }
  }

  private static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x3400: false
    // The gap before U+2B920 is in the library's list too.
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B81F, 0x2B920...0x2CEAF,
      0xF900...0xFAFF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }

  /// Cuts at white space, which is dropped, and around each punctuation mark.
  static func split(_ text: ArraySlice<Unicode.Scalar>) -> [ArraySlice<Unicode.Scalar>] {
    var words: [ArraySlice<Unicode.Scalar>] = []
    var start = text.startIndex
    for index in text.indices {
      let scalar = text[index]
      let isSpace = scalar.isWhiteSpace
      guard isSpace || UnicodeVersions.isPunctuation(scalar) else { continue }
      if start < index { words.append(text[start..<index]) }
      if !isSpace { words.append(text[index...index]) }
      start = index + 1
    }
    if start < text.endIndex { words.append(text[start...]) }
    return words
  }
}
