import Foundation

/// The classes of characters that BERT's tokenizer tells apart.
enum CharacterClass {
  /// A blank as Rust's `char::is_whitespace` has it.
  static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x80 {
      return scalar.value == 0x20 || (0x09...0x0D).contains(scalar.value)
    }
    return scalar.properties.isWhitespace
  }

  /// A character of the categories Cc, Cf, Cn, Co, Cs other than tab, line feed and carriage return.
  static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0A, 0x0D: return false
    case 0x20..<0x7F: return false
    default: break
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .unassigned, .privateUse, .surrogate: return true
    default: return false
    }
  }

  /// All ASCII that is neither letter, digit, blank nor control, and Unicode's punctuation.
  static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 33...47, 58...64, 91...96, 123...126: return true
    case 0..<0x80: return false
    default: break
    }
    switch scalar.properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
      .initialPunctuation, .finalPunctuation, .otherPunctuation:
      return true
    default: return false
    }
  }

  /// An ideograph of the blocks that BERT splits.
  static func isChinese(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F,
      0x2B740...0x2B81F, 0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
      return true
    default: return false
    }
  }
}

/// Canonical decomposition (NFD).
enum Decomposition {
  static func canonical(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    return Array(String(text).decomposedStringWithCanonicalMapping.unicodeScalars)
  }
}

/// Special tokens written out in a text: they are found before anything else is done to it.
struct AddedTokens: Sendable {
  enum Part {
    case token(Int32)
    case text(String)
  }

  private let tokens: [(text: String, id: Int32)]

  init(_ tokens: [(String, Int32)]) { self.tokens = tokens.map { (text: $0.0, id: $0.1) } }

  /// The parts of a text, in order: the first token in it, the longest of those that begin there.
  func split(_ text: String, _ body: (Part) -> Void) {
    var rest = Substring(text)
    while !rest.isEmpty {
      var first: (range: Range<Substring.Index>, id: Int32)?
      for (token, id) in tokens {
        guard let range = rest.firstRange(of: token) else { continue }
        if first.map({ range.lowerBound < $0.range.lowerBound }) ?? true { first = (range, id) }
      }
      guard let first else { break }
      if first.range.lowerBound > rest.startIndex {
        body(.text(String(rest[..<first.range.lowerBound])))
      }
      body(.token(first.id))
      rest = rest[first.range.upperBound...]
    }
    if !rest.isEmpty { body(.text(String(rest))) }
  }
}
