package import Files

/// A sentence with the spans of gold and predicted tags, and how they differ.
package struct TaggedPrediction: Sendable {
  package struct Span: Sendable {
    package var type: String
    package var words: ClosedRange<Int>
    package var isGold: Bool
  }

  package var words: [String]
  package var spans: [Span]
  /// In the order of the predicted spans, missed ones last.
  package var errors: [(error: SpanError, words: ClosedRange<Int>)]

  /// The sentences of a CoNLL file whose last two columns are the gold and the predicted tag.
  package static func read(_ path: String) throws(FileError) -> [TaggedPrediction] {
    let gold = try SentenceReader.read(path, columns: ColumnChoice(token: 0, tag: -2))
    let other = try SentenceReader.read(path, columns: ColumnChoice(token: 0, tag: -1))
    var sentences: [TaggedPrediction] = []
    for (left, right) in zip(gold, other) {
      guard let wanted = try? LenientSpans.spans([left.tags]),
        let found = try? LenientSpans.spans([right.tags])
      else { continue }
      let pairs = SpanPairs(gold: wanted, predicted: found)
      var errors: [(error: SpanError, words: ClosedRange<Int>)] = []
      for pair in pairs.pairs {
        if let error = SpanPairs.error(gold: wanted[pair.gold], predicted: found[pair.predicted]) {
          errors.append((error, found[pair.predicted].tokens))
        }
      }
      errors += pairs.spurious.map { (.spurious, found[$0].tokens) }
      errors += pairs.missed.map { (.missed, wanted[$0].tokens) }
      sentences.append(
        TaggedPrediction(
          words: left.words, spans: spans(wanted, isGold: true) + spans(found, isGold: false),
          errors: errors))
    }
    return sentences
  }

  private static func spans(_ spans: [TagSpan], isGold: Bool) -> [Span] {
    spans.map {
      Span(type: String(decoding: $0.type, as: UTF8.self), words: $0.tokens, isGold: isGold)
    }
  }
}

extension Sentence {
  /// The entities of its tags, as seqeval's default mode finds them; none where a tag is not one.
  package var entities: [(type: String, words: ClosedRange<Int>)] {
    let spans = (try? LenientSpans.spans([tags])) ?? []
    return spans.map { (String(decoding: $0.type, as: UTF8.self), $0.tokens) }
  }
}
