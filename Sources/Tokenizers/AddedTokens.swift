/// A token that is found in running text before the model sees it, such as `[MASK]`.
struct AddedToken: Sendable {
  var content: [Unicode.Scalar]
  var id: Int32
  /// Found only between characters that are not of a word.
  var isSingleWord = false
  /// Takes the white space before it, or after it, along.
  var stripsLeft = false
  var stripsRight = false
}

/// The added tokens that are looked for together.
struct AddedTokens: Sendable {
  /// By their first scalar, the longest first.
  private let byFirst: [Unicode.Scalar: [AddedToken]]
  /// Whether a token begins with an ASCII character.
  private let beginsASCII: [Bool]
  /// Whether a token begins with any other.
  private let beginsElsewhere: Bool

  init(_ tokens: [AddedToken]) {
    let named = tokens.filter { !$0.content.isEmpty }
    byFirst = Dictionary(grouping: named) { $0.content[0] }
      .mapValues { $0.sorted { $0.content.count > $1.content.count } }
    let firsts = byFirst.keys
    beginsASCII = (0..<128).map { firsts.contains(Unicode.Scalar($0)) }
    beginsElsewhere = firsts.contains { !$0.isASCII }
  }

  var isEmpty: Bool { byFirst.isEmpty }

  /// Whether ``segments(of:)`` finds a token.
  func isAny(in text: [Unicode.Scalar]) -> Bool {
    guard text.contains(where: mayBegin) else { return false }
    return segments(of: text).contains { segment in
      if case .token = segment { true } else { false }
    }
  }

  private func mayBegin(with scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII ? beginsASCII[Int(scalar.value)] : beginsElsewhere
  }

  /// Whether no token has white space in it.
  var haveNoSpace: Bool {
    byFirst.values.allSatisfy { tokens in
      tokens.allSatisfy { !$0.content.contains(where: \.isWhiteSpace) }
    }
  }

  enum Segment {
    case token(Int32)
    case text(Range<Int>)
  }

  /// Cuts `text` at the tokens in it: the leftmost, and of those at one place the longest.
  func segments(of text: [Unicode.Scalar]) -> [Segment] {
    guard text.contains(where: mayBegin) else { return text.isEmpty ? [] : [.text(text.indices)] }
    var segments: [Segment] = []
    var done = 0
    var index = 0
    while index < text.count {
      let tail = text[index...]
      guard let token = byFirst[text[index]]?.first(where: { tail.starts(with: $0.content) }) else {
        index += 1
        continue
      }
      var start = index
      var end = index + token.content.count
      index = end
      if token.isSingleWord {
        let opens = start == 0 || !AddedTokens.isOfWord(text[start - 1])
        let closes = end == text.count || !AddedTokens.isOfWord(text[end])
        guard opens, closes else { continue }
      }
      if token.stripsLeft {
        while start > done, text[start - 1].isWhiteSpace { start -= 1 }
      }
      if token.stripsRight {
        while end < text.count, text[end].isWhiteSpace { end += 1 }
      }
      if done < start { segments.append(.text(done..<start)) }
      segments.append(.token(token.id))
      done = end
      index = max(index, end)
    }
    if done < text.count { segments.append(.text(done..<text.count)) }
    return segments
  }

  /// What `\w` of the Rust library's regular expressions matches, which know Unicode 16.0.
  private static func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
    let properties = scalar.properties
    guard UnicodeVersions.isKnown(scalar, by: 16) else { return false }
    if properties.isAlphabetic || properties.isJoinControl { return true }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation:
      return true
    default: return false
    }
  }
}
