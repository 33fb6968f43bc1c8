/// A way of writing spans as tags, as seqeval's strict mode knows it.
public enum SpanScheme: String, Sendable, CaseIterable, Codable {
  case iob1 = "IOB1"
  case iob2 = "IOB2"
  case ioe1 = "IOE1"
  case ioe2 = "IOE2"
  case iobes = "IOBES"
  case bilou = "BILOU"

  /// The scheme that seqeval's `auto_detect` finds in gold tags: IOB2, IOE2, IOBES or BILOU by the first
  /// letters used, or nil where it gives up (only O, or only I and O, among others).
  public static func detected(in sentences: [[String]]) -> SpanScheme? {
    var letters = SchemeLetters()
    for tag in sentences.joined() {
      guard let letter = SchemeLetters(firstOf: tag) else { return nil }
      letters.formUnion(letter)
    }
    switch letters {
    case [.i, .o, .b], [.i, .b], [.b, .o], [.b]: return .iob2
    case [.i, .o, .e], [.i, .e], [.e, .o], [.e]: return .ioe2
    case [.s]: return .iobes
    case [.u]: return .bilou
    default: break
    }
    switch letters.subtracting([.o]) {
    case [.i, .b, .e, .s], [.i, .b, .e], [.b, .e, .s], [.b, .e]: return .iobes
    case [.i, .b, .l, .u], [.i, .b, .l], [.b, .l, .u], [.b, .l]: return .bilou
    default: return nil
    }
  }

  /// The spans that are written as the scheme demands; all else counts for nothing.
  ///
  /// A span opens where a start pattern holds, grows while an inside pattern holds, and counts if then an
  /// end pattern holds. Sentences do not touch.
  func spans(_ sentences: [[String]]) throws(SpanTagError) -> [TagSpan] {
    var spans: [TagSpan] = []
    var offset = 0
    for (sentence, texts) in sentences.enumerated() {
      var tags: [SchemeTag] = []
      tags.reserveCapacity(texts.count + 1)
      for (token, text) in texts.enumerated() {
        guard let letter = SchemeLetters(firstOf: text), letters.contains(letter) else {
          throw SpanTagError(
            sentence: sentence, token: token, tag: text, message: "is not a tag of \(rawValue)")
        }
        tags.append(SchemeTag(letter: letter, text: text))
      }
      tags.append(.outside)
      var index = 0
      var previous = SchemeTag.outside
      while index < tags.count {
        if holds(starts, previous, tags[index]) {
          var end = index + 1
          while holds(insides, tags[end - 1], tags[end]) { end += 1 }
          if holds(ends, tags[end - 1], tags[end]) {
            spans.append(
              TagSpan(type: tags[index].type, tokens: (offset + index)...(offset + end - 1)))
          }
          index = end
        } else {
          index += 1
        }
        previous = tags[index - 1]
      }
      offset += texts.count
    }
    return spans
  }
}

/// A set of first letters of tags.
private struct SchemeLetters: OptionSet {
  var rawValue: UInt8
  static let i = SchemeLetters(rawValue: 1)
  static let o = SchemeLetters(rawValue: 2)
  static let b = SchemeLetters(rawValue: 4)
  static let e = SchemeLetters(rawValue: 8)
  static let s = SchemeLetters(rawValue: 16)
  static let u = SchemeLetters(rawValue: 32)
  static let l = SchemeLetters(rawValue: 64)
  static let any = SchemeLetters(rawValue: 127)

  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The first letter of `tag`, or nil if it is none of these.
  init?(firstOf tag: String) {
    switch tag.unicodeScalars.first {
    case "I": self = .i
    case "O": self = .o
    case "B": self = .b
    case "E": self = .e
    case "S": self = .s
    case "U": self = .u
    case "L": self = .l
    default: return nil
    }
  }
}

/// A tag cut in its first letter and its type: the rest without hyphens at either end, or `_`.
private struct SchemeTag {
  var letter: SchemeLetters
  var type: [UInt8]

  static let outside = SchemeTag(letter: .o, text: "O")

  init(letter: SchemeLetters, text: String) {
    let hyphen = UInt8(ascii: "-")
    let rest = text.utf8.dropFirst().drop { $0 == hyphen }
    let end = rest.lastIndex { $0 != hyphen }.map { rest.index(after: $0) } ?? rest.startIndex
    self.letter = letter
    type = rest.startIndex == end ? [UInt8(ascii: "_")] : Array(rest[..<end])
  }
}

/// What two neighbouring tags must be: their first letters, and whether their types agree.
private struct SchemePattern {
  enum Types { case same, different, any }
  var before: SchemeLetters
  var after: SchemeLetters
  var types: Types

  init(_ before: SchemeLetters, _ after: SchemeLetters, _ types: Types) {
    self.before = before
    self.after = after
    self.types = types
  }

  func holds(_ previous: SchemeTag, _ tag: SchemeTag) -> Bool {
    guard before.contains(previous.letter), after.contains(tag.letter) else { return false }
    return switch types {
    case .any: true
    case .same: previous.type == tag.type
    case .different: previous.type != tag.type
    }
  }
}

private func holds(_ patterns: [SchemePattern], _ previous: SchemeTag, _ tag: SchemeTag) -> Bool {
  patterns.contains { $0.holds(previous, tag) }
}

extension SpanScheme {
  private var letters: SchemeLetters {
    switch self {
    case .iob1, .iob2: [.i, .o, .b]
    case .ioe1, .ioe2: [.i, .o, .e]
    case .iobes: [.i, .o, .b, .e, .s]
    case .bilou: [.i, .o, .b, .l, .u]
    }
  }

  private var starts: [SchemePattern] {
    switch self {
    case .iob1:
      [
        .init(.o, .i, .any), .init(.i, .i, .different), .init(.b, .i, .any),
        .init([.i, .b], .b, .same),
      ]
    case .iob2: [.init(.any, .b, .any)]
    case .ioe1:
      [
        .init([.o, .e], .i, .any), .init(.i, .i, .different), .init(.e, .e, .same),
      ]
    case .ioe2:
      [.init([.o, .e], [.i, .e], .any), .init(.i, [.i, .e], .different)]
    case .iobes: [.init(.any, [.b, .s], .any)]
    case .bilou: [.init(.any, [.b, .u], .any)]
    }
  }

  private var insides: [SchemePattern] {
    switch self {
    case .iob1, .iob2: [.init([.b, .i], .i, .same)]
    case .ioe1, .ioe2: [.init(.i, [.i, .e], .same)]
    case .iobes: [.init([.b, .i], [.i, .e], .same)]
    case .bilou: [.init([.b, .i], [.i, .l], .same)]
    }
  }

  private var ends: [SchemePattern] {
    switch self {
    case .iob1:
      [
        .init([.i, .b], .i, .different), .init([.i, .b], .o, .any), .init(.i, .b, .any),
        .init(.b, .b, .same),
      ]
    case .iob2:
      [.init([.i, .b], [.o, .b], .any), .init([.i, .b], .i, .different)]
    case .ioe1:
      [
        .init(.i, [.i, .e], .different), .init(.i, .o, .any), .init(.e, [.i, .e], .same),
      ]
    case .ioe2: [.init(.e, .any, .any)]
    case .iobes: [.init([.s, .e], .any, .any)]
    case .bilou: [.init([.u, .l], .any, .any)]
    }
  }
}
