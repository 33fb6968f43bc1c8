package import Corpus
package import Model

extension PackedBatch {
  /// What of the batch is outside of its tables, and the item it is of, where that is known; nil if nothing is.
  ///
  /// Cost: a pass over the batch.
  ///
  /// - Parameter labelCounts: The labels that the words of each language can have.
  package func problem(
    _ limits: BatchLimits, labelCounts: [Int]
  ) -> (message: String, item: Int?)? {
    let tokens = tokenCount
    for (name, count) in [("positions", positions.count), ("token types", tokenTypes.count)]
    where count != tokens {
      return ("\(count) \(name) for \(tokens) tokens", nil)
    }
    for (name, bounds, end) in [
      ("sequence", sequenceBounds, tokens), ("item", itemBounds, sequenceBounds.count - 1),
      ("segment", segmentBounds, itemCount), ("word", wordBounds, wordTokens.count),
    ] {
      guard bounds.first == 0, bounds.last == end,
        zip(bounds, bounds.dropFirst()).allSatisfy({ $0 <= $1 })
      else { return ("\(name) bounds do not rise from 0 to \(end)", nil) }
    }
    guard wordBounds.count == itemBounds.count, items.count == itemCount,
      itemKeys.count == itemCount, wordLabels.count == wordTokens.count
    else { return ("words, sentences or keys of another count than items", nil) }
    for item in 0..<itemCount {
      if let message = problem(ofItem: item, limits, labelCounts) { return (message, item) }
    }
    return nil
  }

  private func problem(
    ofItem item: Int, _ limits: BatchLimits, _ labelCounts: [Int]
  ) -> String? {
    let sequences = itemBounds[item]..<itemBounds[item + 1]
    let first = sequenceBounds[sequences.lowerBound]
    for sequence in sequences {
      let tokens = sequenceBounds[sequence]..<sequenceBounds[sequence + 1]
      if tokens.count > limits.longestSequence {
        return "a sequence of \(tokens.count) tokens, of \(limits.longestSequence) at most"
      }
      for token in tokens {
        let place = "of token \(token - first)"
        if !(0..<limits.vocabulary).contains(Int(tokenIDs[token])) {
          return "id \(tokenIDs[token]) \(place) is outside of the table of \(limits.vocabulary)"
        }
        if !(0..<limits.longestSequence).contains(Int(positions[token])) {
          return "position \(positions[token]) \(place) is outside of \(limits.longestSequence)"
        }
        if !(0..<limits.tokenTypes).contains(Int(tokenTypes[token])) {
          return "token type \(tokenTypes[token]) \(place) is outside of \(limits.tokenTypes)"
        }
      }
    }
    guard labelCounts.indices.contains(items[item].language) else {
      return "language \(items[item].language) of \(labelCounts.count)"
    }
    let labels = labelCounts[items[item].language]
    let own = first..<sequenceBounds[sequences.upperBound]
    for word in wordBounds[item]..<wordBounds[item + 1] {
      if !own.contains(Int(wordTokens[word])) {
        return
          "word \(word - wordBounds[item]) stands on token \(Int(wordTokens[word]) - first) of "
          + "\(own.count)"
      }
      if !(-1..<labels).contains(Int(wordLabels[word])) {
        return
          "label \(wordLabels[word]) of word \(word - wordBounds[item]) is outside of \(labels)"
      }
    }
    return nil
  }
}
