public import Tensors

/// How labels are scored over the words of a sentence.
public enum HeadKind: String, Sendable, Codable, CaseIterable {
  /// Each word alone.
  case softmax
  /// A linear-chain CRF over the sentence.
  case crf
}

/// A linear layer over hidden states, and the chain over its scores where the kind is ``HeadKind/crf``.
public struct TokenHead: Sendable {
  public let kind: HeadKind
  public let labelCount: Int
  let linear: Linear  // [labels, D]
  let chain: CRFParameters?

  /// - Parameters:
  ///   - name: What its parameters' names begin with: `classifier` is where `transformers` looks.
  ///   - weight: The first value of the linear layer's matrix. Those of the chain are even in ±0.1.
  ///   - hasEnds: Whether a chain scores its first and its last label.
  public init(
    kind: HeadKind, name: String, chainName: String, labelCount: Int, hiddenSize: Int,
    weight: FirstValue, hasEnds: Bool = true, in layout: inout ParameterLayout
  ) {
    self.kind = kind
    self.labelCount = labelCount
    linear = Linear(name, labelCount, hiddenSize, first: weight, in: &layout)
    let first = FirstValue.uniform(bound: 0.1)
    chain =
      kind == .softmax
      ? nil
      : CRFParameters(
        start: hasEnds
          ? layout.add("\(chainName).start_transitions", labelCount, first: first) : nil,
        end: hasEnds ? layout.add("\(chainName).end_transitions", labelCount, first: first) : nil,
        transitions: layout.add(
          "\(chainName).transitions", labelCount, labelCount, first: first))
  }

  /// The score of each label for each word, `[words, labels]`, from their hidden states, `[words, D]`.
  public func logits(_ words: Tensor, on tape: Tape) -> Tensor {
    tape.linear(words, linear.weight, linear.bias)
  }

  /// The loss of the labels, as a term: of words under softmax, of sentences under a chain.
  ///
  /// - Parameters:
  ///   - sentenceBounds: Word bounds of the sentences.
  public func loss(
    _ logits: Tensor, targets: [Int32], sentenceBounds: [Int], labelSmoothing: Float, on tape: Tape
  ) {
    if let chain {
      tape.conditionalRandomField(
        logits, targets: targets, sentenceBounds: sentenceBounds, chain)
    } else {
      tape.crossEntropy(logits, targets: targets, smoothing: labelSmoothing)
    }
  }

  /// The label of the highest score of each word, or the best labelling of each sentence.
  ///
  /// Ties go to the lower label. The order is that of the words.
  public func predictions(_ logits: Tensor, sentenceBounds: [Int], on tape: Tape) -> [Int32] {
    if let chain { return tape.viterbi(logits, sentenceBounds: sentenceBounds, chain) }
    return logits.withSpan { scores in
      (0..<logits.rows).map { word in
        var best = 0
        for label in 1..<max(labelCount, 1)
        where scores[word * labelCount + label] > scores[word * labelCount + best] {
          best = label
        }
        return Int32(best)
      }
    }
  }
}

/// An encoder with one head for all languages, or one a language.
public struct TokenClassifier: EncoderNetwork {
  public let layout: ParameterLayout
  public let encoder: Encoder
  /// One head, or one for each of ``headLanguages``.
  public let heads: [TokenHead]
  public let headLanguages: [String]

  /// - Parameters:
  ///   - languages: The codes of the languages that have a head of their own; empty for one shared head.
  ///   - labelCounts: The labels of each head.
  public init(
    _ configuration: EncoderConfiguration, head: HeadKind, languages: [String] = [],
    labelCounts: [Int]
  ) {
    precondition(labelCounts.count == max(languages.count, 1), "a label count for each head")
    var layout = ParameterLayout()
    encoder = Encoder(configuration, in: &layout)
    headLanguages = languages
    heads = layout.at(depth: configuration.layerCount + 1, group: .head) { layout in
      labelCounts.enumerated().map { index, count in
        TokenHead(
          kind: head, name: languages.isEmpty ? "classifier" : "classifiers.\(languages[index])",
          chainName: languages.isEmpty ? "crf" : "crfs.\(languages[index])", labelCount: count,
          hiddenSize: configuration.hiddenSize,
          weight: .normal(deviation: configuration.initializerRange), in: &layout)
      }
    }
    self.layout = layout
  }

  /// The last hidden state of the tokens `rows`, as the rows of `space`, after the head's dropout.
  public func wordStates(
    _ input: EncoderInput, rows: [(tokens: [Int32], space: RowSpace)], on tape: Tape
  ) -> [Tensor] {
    let states = encoder.hiddenStates(input, on: tape)
    let rate = configuration.classifierDropout ?? configuration.hiddenDropout
    return rows.map {
      tape.dropout(tape.gather(states[states.count - 1], rows: $0.tokens, as: $0.space), rate: rate)
    }
  }
}
