/// The spans that seqeval's `get_entities` finds.
///
/// All sentences are one stream with an outside tag after each. Whether a span starts or ends between
/// two tags depends on their first letters and types alone; a span runs from the last start to the end.
enum LenientSpans {
  /// A tag cut in its first letter and its type, which is what follows the first hyphen after that letter,
  /// or all that follows the letter, or `_`.
  private struct Tag {
    /// The first letter if it is an ASCII one; 0 stands for every other letter.
    var letter: UInt8
    var type: [UInt8]

    static let outside = Tag(letter: UInt8(ascii: "O"), type: [UInt8(ascii: "_")])

    init(letter: UInt8, type: [UInt8]) {
      self.letter = letter
      self.type = type
    }

    /// The cut `text`, or nil if there is nothing to cut.
    init?(_ text: String) {
      guard let first = text.unicodeScalars.first else { return nil }
      letter = first.isASCII ? UInt8(first.value) : 0
      let rest = text.unicodeScalars.dropFirst()
      let kind = rest.firstIndex(of: "-").map { rest[rest.index(after: $0)...] } ?? rest
      type = kind.isEmpty ? Tag.outside.type : Array(String(kind).utf8)
    }
  }

  static func spans(_ sentences: [[String]]) throws(SpanTagError) -> [TagSpan] {
    var spans: [TagSpan] = []
    var previous = Tag(letter: Tag.outside.letter, type: [])
    var start = 0
    var position = 0

    func step(to tag: Tag) {
      if ends(previous, tag) {
        spans.append(TagSpan(type: previous.type, tokens: start...(position - 1)))
      }
      if starts(previous, tag) { start = position }
      previous = tag
      position += 1
    }
    for (sentence, tags) in sentences.enumerated() {
      for (token, text) in tags.enumerated() {
        guard let tag = Tag(text) else {
          throw SpanTagError(sentence: sentence, token: token, tag: text, message: "is empty")
        }
        step(to: tag)
      }
      step(to: .outside)
    }
    step(to: .outside)
    return spans
  }

  private static func ends(_ before: Tag, _ after: Tag) -> Bool {
    switch (Character(.init(before.letter)), Character(.init(after.letter))) {
    case ("E", _), ("S", _), ("B", "B"), ("B", "S"), ("B", "O"), ("I", "B"), ("I", "S"), ("I", "O"):
      true
    case ("O", _), (".", _): false
    default: before.type != after.type
    }
  }

  private static func starts(_ before: Tag, _ after: Tag) -> Bool {
    switch (Character(.init(before.letter)), Character(.init(after.letter))) {
    case (_, "B"), (_, "S"), ("E", "E"), ("E", "I"), ("S", "E"), ("S", "I"), ("O", "E"), ("O", "I"):
      true
    case (_, "O"), (_, "."): false
    default: before.type != after.type
    }
  }
}
