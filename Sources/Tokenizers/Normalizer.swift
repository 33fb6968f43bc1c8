/// A stage that rewrites text before it is cut into words.
indirect enum Normalizer: Sendable {
  case sequence([Normalizer])
  case bert(BertNormalizer)
  case form(UnicodeVersions.Form)
  case lowercase
  /// Drops marks, of text that is decomposed already.
  case stripAccents
  /// Drops white space at the ends.
  case strip(left: Bool, right: Bool)
  case replace(pattern: [Unicode.Scalar], content: [Unicode.Scalar])
  /// Makes runs of two or more blanks one `content`.
  case replaceBlanks(content: [Unicode.Scalar])
  /// Drops the last scalar if it is a blank.
  case dropFinalBlank
  case prepend([Unicode.Scalar])
  case characterMap(CharacterMap)

  func normalize(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
    switch self {
    case .sequence(let stages): return stages.reduce(text) { $1.normalize($0) }
    case .bert(let normalizer): return normalizer.normalize(text)
    case .form(let form): return UnicodeVersions.normalize(text, form)
    case .lowercase: return BertNormalizer.lowercase(text)
    case .stripAccents: return text.filter { !UnicodeVersions.isMark($0) }
    case .strip(let left, let right):
      var rest = text[...]
      if left { rest = rest.drop { $0.isWhiteSpace } }
      if right { while rest.last?.isWhiteSpace == true { rest.removeLast() } }
      return Array(rest)
    case .replace(let pattern, let content): return replace(pattern, by: content, in: text)
    case .replaceBlanks(let content): return replaceBlanks(by: content, in: text)
    case .dropFinalBlank: return text.last == " " ? text.dropLast() : text
    case .prepend(let content): return text.isEmpty ? text : content + text
    case .characterMap(let map): return map.normalize(text)
    }
  }

  /// Whether the start of a text may be dropped as white space.
  var stripsLeft: Bool {
    switch self {
    case .sequence(let stages): stages.contains(where: \.stripsLeft)
    case .strip(let left, _): left
    default: false
    }
  }

  private func replace(
    _ pattern: [Unicode.Scalar], by content: [Unicode.Scalar], in text: [Unicode.Scalar]
  ) -> [Unicode.Scalar] {
    guard let first = pattern.first, text.contains(first) else { return text }
    var result: [Unicode.Scalar] = []
    var index = 0
    while index < text.count {
      if text[index] == first, text[index...].starts(with: pattern) {
        result += content
        index += pattern.count
      } else {
        result.append(text[index])
        index += 1
      }
    }
    return result
  }

  private func replaceBlanks(
    by content: [Unicode.Scalar], in text: [Unicode.Scalar]
  ) -> [Unicode.Scalar] {
    guard text.contains(" ") else { return text }
    var result: [Unicode.Scalar] = []
    var index = 0
    while index < text.count {
      let run = text[index...].prefix { $0 == " " }
      if run.count >= 2 {
        result += content
        index = run.endIndex
      } else {
        result.append(text[index])
        index += 1
      }
    }
    return result
  }
}
