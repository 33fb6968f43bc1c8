/// A stage that cuts normalised text into the words that the model encodes.
indirect enum WordSplitter: Sendable {
  case sequence([WordSplitter])
  /// White space and punctuation, as BERT does.
  case bert
  case whiteSpace
  case metaspace(Metaspace)

  /// A part of a text.
  struct Part {
    var text: ArraySlice<Unicode.Scalar>
    /// Whether the part is of the beginning of the text, before which no added token was found.
    var opensText: Bool
  }

  func split(_ part: Part) -> [Part] {
    switch self {
    case .sequence(let stages):
      return stages.reduce([part]) { parts, stage in parts.flatMap(stage.split) }
    case .bert: return cut(part, into: BertNormalizer.split(part.text))
    case .whiteSpace:
      return cut(part, into: part.text.split { $0.isWhiteSpace })
    case .metaspace(let metaspace): return metaspace.split(part)
    }
  }

  /// Whether a mark is put before the first part of a text only.
  var marksFirst: Bool {
    switch self {
    case .sequence(let stages): stages.contains(where: \.marksFirst)
    case .metaspace(let metaspace): metaspace.prepending == .first
    case .bert, .whiteSpace: false
    }
  }

  private func cut(_ part: Part, into words: [ArraySlice<Unicode.Scalar>]) -> [Part] {
    words.map { Part(text: $0, opensText: part.opensText) }
  }
}

/// Writes a mark for each blank and cuts before each mark.
struct Metaspace: Sendable {
  /// Where a mark is put before a part that has none: before each, the first of a text, or none.
  enum Prepending: String { case always, first, never }

  var mark: Unicode.Scalar = "▁"
  var prepending = Prepending.always
  var splits = true

  func split(_ part: WordSplitter.Part) -> [WordSplitter.Part] {
    guard let first = part.text.first else { return [] }
    var text: [Unicode.Scalar] = []
    text.reserveCapacity(part.text.count + 1)
    let isMarked = first == mark || first == " "
    if !isMarked, prepending == .always || (prepending == .first && part.opensText) {
      text.append(mark)
    }
    for scalar in part.text { text.append(scalar == " " ? mark : scalar) }
    guard splits else { return [WordSplitter.Part(text: text[...], opensText: part.opensText)] }
    var parts: [WordSplitter.Part] = []
    var start = 0
    for index in 1...text.count where index == text.count || text[index] == mark {
      parts.append(
        WordSplitter.Part(text: text[start..<index], opensText: part.opensText))
      start = index
    }
    return parts
  }
}
