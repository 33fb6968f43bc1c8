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
  public init(
    kind: HeadKind, name: String, chainName: String, labelCount: Int, hiddenSize: Int,
    in layout: inout ParameterLayout
  ) {
    self.kind = kind
    self.labelCount = labelCount
    linear = Linear(name, labelCount, hiddenSize, in: &layout)
    chain =
      kind == .softmax
      ? nil
      : CRFParameters(
        start: layout.add("\(chainName).start_transitions", labelCount),
        end: layout.add("\(chainName).end_transitions", labelCount),
        transitions: layout.add("\(chainName).transitions", labelCount, labelCount))
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
public struct TokenClassifier: Sendable {
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
    heads = labelCounts.enumerated().map { index, count in
      TokenHead(
        kind: head, name: languages.isEmpty ? "classifier" : "classifiers.\(languages[index])",
        chainName: languages.isEmpty ? "crf" : "crfs.\(languages[index])", labelCount: count,
        hiddenSize: configuration.hiddenSize, in: &layout)
    }
    self.layout = layout
  }

  public var configuration: EncoderConfiguration { encoder.configuration }

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

  /// How deep an entry of the layout lies: 0 for embeddings, 1 … for blocks from below, and one more
  /// than the last block for heads.
  public func depth(ofEntry index: Int) -> Int {
    let name = layout.entries[index].name
    if name.hasPrefix("embeddings.") { return 0 }
    if name.hasPrefix("encoder.layer.") {
      let digits = name.dropFirst("encoder.layer.".count).prefix { $0.isNumber }
      return 1 + (Int(digits) ?? 0)
    }
    return configuration.layerCount + 1
  }

  /// Whether an entry belongs to a head, and not to the encoder.
  public func isHead(entry index: Int) -> Bool {
    depth(ofEntry: index) > configuration.layerCount
  }

  /// Fills entries with random numbers as `transformers` does: matrices normal with the
  /// configuration's deviation, biases 0, normalisation 1 and 0, the padding id's row 0, chain scores
  /// even in ±0.1.
  ///
  /// An entry's numbers depend on the seed, its name and its shape alone.
  ///
  /// - Parameter tableRows: The only rows of the word table that will be used, if that is known.
  public func initialise(
    _ parameters: inout ParameterSet, entries: [Int], tableRows: [Int32]? = nil, seed: UInt64,
    in workspace: Workspace
  ) {
    for index in entries {
      let entry = layout.entries[index]
      if entry.name.contains("transitions") {
        parameters.fillUniform(entry: index, bound: 0.1, seed: seed)
      } else if entry.shape.count == 2 {
        parameters.fillNormal(
          entry: index, rows: entry.isTable ? tableRows : nil,
          deviation: configuration.initializerRange, seed: seed, in: workspace)
      } else {
        let value: Float = entry.name.hasSuffix("LayerNorm.weight") ? 1 : 0
        parameters.update(entry: index) { span in
          for element in span.indices { span[element] = value }
        }
      }
      if entry.name == "embeddings.word_embeddings.weight" {
        let width = configuration.hiddenSize
        let padding = configuration.paddingID
        if padding >= 0 && padding < configuration.vocabularySize {
          parameters.update(entry: index) { span in
            for column in 0..<width { span[padding * width + column] = 0 }
          }
        }
      }
    }
  }
}
