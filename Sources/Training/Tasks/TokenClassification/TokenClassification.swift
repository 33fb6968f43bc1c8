public import Corpus
import Determinism
public import Model
public import Tensors

/// Labels for words: the loss of the first piece of each word, over one head or one a language.
public struct TokenClassification: TrainingMethod {
  public let model: TokenClassifier
  public let labelSmoothing: Float
  /// The head of each language of the corpus.
  public let headOfLanguage: [Int]

  public init(model: TokenClassifier, headOfLanguage: [Int], labelSmoothing: Float = 0) {
    precondition(
      headOfLanguage.allSatisfy { model.heads.indices.contains($0) }, "a language without a head")
    self.model = model
    self.headOfLanguage = headOfLanguage
    self.labelSmoothing = labelSmoothing
  }

  public var terms: [MethodTerm] {
    [MethodTerm(model.heads[0].kind == .crf ? "crf" : "cross_entropy")]
  }

  public func weights(of batch: PackedBatch) -> [[Double]] {
    var weights = [Double](repeating: 0, count: batch.segmentCount)
    for segment in 0..<batch.segmentCount {
      for item in batch.segmentBounds[segment]..<batch.segmentBounds[segment + 1] {
        let words = batch.wordBounds[item]..<batch.wordBounds[item + 1]
        let scored = words.count { batch.wordLabels[$0] >= 0 }
        weights[segment] += model.heads[0].kind == .crf ? (scored > 0 ? 1 : 0) : Double(scored)
      }
    }
    return [weights]
  }

  public func tableRows(of batch: PackedBatch) -> [[Int32]] {
    // The word table is the only one.
    model.layout.tables.map { _ in Set(batch.tokenIDs).sorted() }
  }

  public func record(_ batch: PackedBatch, bySegment: Bool, on tape: Tape) {
    let (states, words) = wordStates(batch, bySegment: bySegment, on: tape)
    for (head, words) in words.enumerated() {
      let logits = model.heads[head].logits(states[head], on: tape)
      model.heads[head].loss(
        logits, targets: words.targets, sentenceBounds: words.sentenceBounds,
        labelSmoothing: labelSmoothing, on: tape)
    }
  }

  /// Records the loss of labels that are drawn from what the model makes of the batch.
  func recordSample(_ batch: PackedBatch, using random: inout RandomStream, on tape: Tape) {
    let (states, words) = wordStates(batch, bySegment: false, on: tape)
    for (head, words) in words.enumerated() where !words.indices.isEmpty {
      let logits = model.heads[head].logits(states[head], on: tape)
      let labels = model.heads[head].sampledLabels(
        logits, sentenceBounds: words.sentenceBounds, using: &random, on: tape)
      model.heads[head].loss(
        logits, targets: labels, sentenceBounds: words.sentenceBounds, labelSmoothing: 0, on: tape)
    }
  }

  /// The predicted label of each word of a batch, and the logits where they are asked for.
  ///
  /// - Returns: `labels`, one a word in the batch's order; `logits`, for each word its head's scores.
  public func predict(
    _ batch: PackedBatch, logits wantLogits: Bool = false, on tape: Tape
  ) -> (labels: [Int32], logits: [[Float]]) {
    let (states, words) = wordStates(batch, bySegment: false, on: tape)
    var labels = [Int32](repeating: 0, count: batch.wordTokens.count)
    var scores = [[Float]](repeating: [], count: wantLogits ? batch.wordTokens.count : 0)
    for (head, words) in words.enumerated() where !words.indices.isEmpty {
      let logits = model.heads[head].logits(states[head], on: tape)
      let best = model.heads[head].predictions(
        logits, sentenceBounds: words.sentenceBounds, on: tape)
      for (row, word) in words.indices.enumerated() { labels[word] = best[row] }
      if wantLogits {
        logits.withSpan { span in
          let columns = logits.columns
          for (row, word) in words.indices.enumerated() {
            scores[word] = (row * columns..<(row + 1) * columns).map { span[$0] }
          }
        }
      }
    }
    return (labels, scores)
  }

  private func wordStates(
    _ batch: PackedBatch, bySegment: Bool, on tape: Tape
  ) -> (states: [Tensor], words: [HeadWords]) {
    let input = EncoderInput(batch, bySegment: bySegment)
    let words = model.heads.indices.map { head in
      HeadWords(
        of: batch, tokens: input.space, bySegment: bySegment,
        where: { headOfLanguage[$0.language] == head })
    }
    return (model.wordStates(input, of: words.map(\.rows), on: tape), words)
  }
}

/// The words of a batch that one head scores.
private struct HeadWords {
  /// Their indices in the batch.
  var indices: [Int] = []
  var targets: [Int32] = []
  let rows: WordRows
  /// Bounds of the sentences, in words of this head.
  var sentenceBounds: [Int] { rows.sentenceBounds }

  init(
    of batch: PackedBatch, tokens tokenSpace: RowSpace, bySegment: Bool,
    where belongs: (ItemReference) -> Bool
  ) {
    var tokens: [Int32] = []
    var sentenceBounds = [0]
    var sentenceKeys: [UInt32] = []
    var bounds = (words: [0], sentences: [0])
    for segment in 0..<batch.segmentCount {
      for item in batch.segmentBounds[segment]..<batch.segmentBounds[segment + 1]
      where belongs(batch.items[item]) {
        for word in batch.wordBounds[item]..<batch.wordBounds[item + 1] {
          indices.append(word)
          tokens.append(batch.wordTokens[word])
          targets.append(batch.wordLabels[word])
        }
        sentenceBounds.append(tokens.count)
        sentenceKeys.append(batch.itemKeys[item])
      }
      bounds.words.append(tokens.count)
      bounds.sentences.append(sentenceKeys.count)
    }
    if !bySegment { bounds = ([0, tokens.count], [0, sentenceKeys.count]) }
    rows = WordRows(
      tokens: tokens, space: tokenSpace.gathering(tokens, segmentBounds: bounds.words),
      sentenceBounds: sentenceBounds,
      sentences: RowSpace(
        segmentBounds: bounds.sentences, items: sentenceKeys,
        tokens: [UInt32](repeating: 0, count: sentenceKeys.count)))
  }
}

extension EncoderInput {
  /// The tokens of a batch, one row each.
  ///
  /// - Parameter bySegment: Whether the rows keep the batch's segments, or form one.
  init(_ batch: PackedBatch, bySegment: Bool) {
    var items: [UInt32] = []
    var places: [UInt32] = []
    items.reserveCapacity(batch.tokenCount)
    places.reserveCapacity(batch.tokenCount)
    for item in 0..<batch.itemCount {
      let first = batch.sequenceBounds[batch.itemBounds[item]]
      for token in first..<batch.sequenceBounds[batch.itemBounds[item + 1]] {
        items.append(batch.itemKeys[item])
        places.append(UInt32(token - first))
      }
    }
    let bounds = batch.segmentBounds.map { batch.sequenceBounds[batch.itemBounds[$0]] }
    self.init(
      space: RowSpace(
        segmentBounds: bySegment ? bounds : [0, batch.tokenCount], items: items, tokens: places),
      tokenIDs: batch.tokenIDs, positions: batch.positions, tokenTypes: batch.tokenTypes,
      sequenceBounds: batch.sequenceBounds)
  }
}
