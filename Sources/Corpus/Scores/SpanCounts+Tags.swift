/// Whose rules say what is a span.
public enum SpanMode: Sendable, Equatable {
  /// seqeval's default: lenient with broken tags, so that an I- after O opens a span.
  case `default`
  /// seqeval's strict mode: only what the scheme allows is a span.
  case strict(SpanScheme)
  /// The conlleval script of 26 January 2004.
  case conlleval

  /// `default`, `strict` or `conlleval`.
  public var name: String {
    switch self {
    case .default: "default"
    case .strict: "strict"
    case .conlleval: "conlleval"
    }
  }
}

/// A tag that a mode has no meaning for.
public struct SpanTagError: Error, Equatable, CustomStringConvertible {
  /// The sentence and the token in it, from 0.
  public var sentence: Int
  public var token: Int
  public var tag: String
  public var message: String

  public var description: String {
    "sentence \(sentence + 1), token \(token + 1): tag “\(tag)” \(message)"
  }
}

/// A span: its type and its tokens, counted over all sentences.
struct TagSpan: Hashable {
  var type: [UInt8]
  var tokens: ClosedRange<Int>
}

extension SpanCounts {
  /// Counts the spans of `predicted` against those of `gold`.
  ///
  /// Counts of several calls may be added, as long as a sentence is never cut in two.
  ///
  /// - Parameters:
  ///   - gold: The tags of each sentence. A sentence may be empty.
  ///   - predicted: As many sentences of the same lengths.
  /// - Throws: ``SpanTagError`` for a tag that seqeval would refuse: an empty one, and in strict mode
  ///   one whose first letter the scheme does not know. conlleval takes any.
  /// - Complexity: O(tokens), but for a search among the types of each span.
  public init(gold: [[String]], predicted: [[String]], mode: SpanMode) throws(SpanTagError) {
    precondition(
      gold.count == predicted.count,
      "\(gold.count) gold sentences and \(predicted.count) predicted ones")
    for (sentence, (left, right)) in zip(gold, predicted).enumerated() {
      precondition(
        left.count == right.count,
        "sentence \(sentence) has \(left.count) gold tags and \(right.count) predicted ones")
    }
    self.init()
    switch mode {
    case .conlleval:
      countAsConlleval(gold: gold, predicted: predicted)
      return
    case .default:
      add(gold: try LenientSpans.spans(gold), predicted: try LenientSpans.spans(predicted))
    case .strict(let scheme):
      add(gold: try scheme.spans(gold), predicted: try scheme.spans(predicted))
    }
    for (left, right) in zip(gold, predicted) {
      tokens += left.count
      correctTokens += zip(left, right).count { $0.sameBytes(as: $1) }
    }
  }

  private mutating func add(gold: [TagSpan], predicted: [TagSpan]) {
    let wanted = Set(gold)
    for span in gold { self[String(decoding: span.type, as: UTF8.self)].gold += 1 }
    for span in predicted {
      let type = String(decoding: span.type, as: UTF8.self)
      self[type].predicted += 1
      if wanted.contains(span) { self[type].correct += 1 }
    }
  }
}

extension SpanScores {
  /// The scores of `predicted` against `gold`: ``SpanCounts/init(gold:predicted:mode:)`` and then the rates.
  public static func score(
    gold: [[String]], predicted: [[String]], mode: SpanMode
  ) throws(SpanTagError) -> SpanScores {
    SpanScores(try SpanCounts(gold: gold, predicted: predicted, mode: mode))
  }
}
