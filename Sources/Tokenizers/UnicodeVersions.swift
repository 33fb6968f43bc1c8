import Foundation

/// Unicode as the Rust `tokenizers` library sees it.
///
/// The library's tables are older than those of Swift: categories are Unicode 8.0's and normal forms
/// 9.0's. A character that is newer has no category and is left alone by normal forms. Lower case, white
/// space and letters follow current tables in both.
enum UnicodeVersions {
  /// Whether a scalar is in the nonspacing marks (Mn) of Unicode 8.0.
  static func isNonspacingMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x300: false
    case 0x1885, 0x1886, 0xA9BD, 0x111C9: false  // became marks later
    case 0x1734, 0x1171E: true  // became spacing marks later
    default: scalar.properties.generalCategory == .nonspacingMark && isKnown(scalar, by: 8)
    }
  }

  /// Whether a scalar is in the marks (M) of Unicode 9.0.
  static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x300, 0x111C9: return false
    case 0x1CF2, 0x1CF3: return true  // became letters later
    default: break
    }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: return isKnown(scalar, by: 9)
    default: return false
    }
  }

  /// Whether a scalar is in the controls, formats and private characters (Cc, Cf, Co) of Unicode 8.0.
  static func isOther(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7F { return scalar.value < 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .privateUse: return true
    case .format: return isKnown(scalar, by: 8)
    default: return false
    }
  }

  /// Whether a scalar is ASCII punctuation in BERT's sense or in the punctuation (P) of Unicode 8.0.
  static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: return true
    case 0..<0x80: return false
    case 0x166D, 0x111C9: return true  // became a symbol and a mark later
    default: break
    }
    switch scalar.properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
      .initialPunctuation, .finalPunctuation, .otherPunctuation:
      return isKnown(scalar, by: 8)
    default: return false
    }
  }

  /// Whether Unicode of that major version has the scalar.
  static func isKnown(_ scalar: Unicode.Scalar, by version: Int) -> Bool {
    guard let age = scalar.properties.age else { return false }
    return age.major < version || (age.major == version && age.minor == 0)
  }

  /// A Unicode normal form.
  enum Form: Sendable { case nfc, nfd, nfkc, nfkd }

  /// The canonical combining class of a scalar in Unicode 9.0.
  static func combiningClass(_ scalar: Unicode.Scalar) -> UInt8 {
    let current = scalar.value < 0x300 ? 0 : scalar.properties.canonicalCombiningClass.rawValue
    return current != 0 && isKnown(scalar, by: 9) ? current : 0
  }

  /// `text` in a normal form, as of Unicode 9.0.
  static func normalize(_ text: [Unicode.Scalar], _ form: Form) -> [Unicode.Scalar] {
    guard text.contains(where: { $0.value >= 0x80 }) else { return text }
    var result: [Unicode.Scalar] = []
    var run = ""
    for scalar in text {
      if scalar.value < 0x80 || isKnown(scalar, by: 9) {
        run.unicodeScalars.append(scalar)
      } else {
        result += decomposed(run, form).unicodeScalars
        result.append(scalar)
        run = ""
      }
    }
    result += decomposed(run, form).unicodeScalars
    sortMarks(&result)
    switch form {
    case .nfd, .nfkd: return result
    case .nfc, .nfkc: return UnicodeComposition.shared.compose(result)
    }
  }

  private static func decomposed(_ text: String, _ form: Form) -> String {
    switch form {
    case .nfd, .nfc: text.decomposedStringWithCanonicalMapping
    case .nfkd, .nfkc: text.decomposedStringWithCompatibilityMapping
    }
  }

  /// Puts each run of marks in the order of their classes; Foundation leaves some out of order.
  private static func sortMarks(_ text: inout [Unicode.Scalar]) {
    var start = 0
    while start < text.count {
      if combiningClass(text[start]) == 0 {
        start += 1
        continue
      }
      let end = text[start...].firstIndex { combiningClass($0) == 0 } ?? text.count
      if end - start > 1 {
        let marks = text[start..<end].enumerated().sorted {
          (combiningClass($0.element), $0.offset) < (combiningClass($1.element), $1.offset)
        }
        text.replaceSubrange(start..<end, with: marks.map(\.element))
      }
      start = end
    }
  }
}
