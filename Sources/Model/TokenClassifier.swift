public import Determinism
public import Tensors

/// How labels are scored over the words of a sentence.
public enum HeadKind: String, Sendable, Codable, CaseIterable {
  /// Each word alone.
  case softmax
  /// A linear-chain CRF over the sentence.
  case crf
}

/// What stands between the words of an encoder and their labels.
public struct HeadShape: Sendable, Equatable {
  public var kind: HeadKind
  /// How many of the encoder's last layers a word is read from; their states stand beside each other.
  public var encoderLayers = 1
  /// Units of a direction of a bidirectional LSTM over the words of a sentence; 0 for none.
  public var sentenceUnits = 0
  /// Whether a chain scores its first and its last label.
  public var hasEnds = true

  public init(_ kind: HeadKind) { self.kind = kind }

  public static let softmax = HeadShape(.softmax)
  public static let crf = HeadShape(.crf)

  /// Whether `transformers` has a head of this shape.
  public var isLinear: Bool { encoderLayers == 1 && sentenceUnits == 0 }
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

extension TokenHead {
  /// Labels drawn with the probability that the logits give them: those of a sentence together under a chain, those of a
  /// word by themselves under softmax. The order is that of the words.
  public func sampledLabels(
    _ logits: Tensor, sentenceBounds: [Int], using random: inout RandomStream, on tape: Tape
  ) -> [Int32] {
    tape.sampledLabels(logits, sentenceBounds: sentenceBounds, chain, using: &random)
  }
}

/// An encoder with one head for all languages, or one a language.
///
/// With ``HeadShape/sentenceUnits`` the words of a sentence go through a bidirectional LSTM first; over four layers of the
/// encoder and under a chain this is the mBERT-CRF of Mueller, Andrews and Dredze (2020).
public struct TokenClassifier: EncoderNetwork {
  public let layout: ParameterLayout
  public let encoder: Encoder
  /// One head, or one for each of ``headLanguages``.
  public let heads: [TokenHead]
  public let headLanguages: [String]
  private let shape: HeadShape
  /// Under each head, if the shape has them.
  private let sentenceStacks: [RecurrentStack]

  /// - Parameters:
  ///   - languages: The codes of the languages that have a head of their own; empty for one shared head.
  ///   - labelCounts: The labels of each head.
  public init(
    _ configuration: EncoderConfiguration, head shape: HeadShape, languages: [String] = [],
    labelCounts: [Int]
  ) {
    precondition(labelCounts.count == max(languages.count, 1), "a label count for each head")
    var layout = ParameterLayout()
    encoder = Encoder(configuration, in: &layout)
    headLanguages = languages
    self.shape = shape
    let wordColumns = shape.encoderLayers * configuration.hiddenSize
    sentenceStacks =
      shape.sentenceUnits == 0
      ? []
      : labelCounts.indices.map { index in
        RecurrentStack(
          languages.isEmpty ? "sentence_lstm" : "sentence_lstms.\(languages[index])",
          inputs: wordColumns, units: shape.sentenceUnits, layers: 1, isBidirectional: true,
          depth: configuration.layerCount + 1, group: .head, in: &layout)
      }
    let columns = shape.sentenceUnits == 0 ? wordColumns : 2 * shape.sentenceUnits
    heads = layout.at(depth: configuration.layerCount + 1, group: .head) { layout in
      labelCounts.enumerated().map { index, count in
        TokenHead(
          kind: shape.kind,
          name: languages.isEmpty ? "classifier" : "classifiers.\(languages[index])",
          chainName: languages.isEmpty ? "crf" : "crfs.\(languages[index])", labelCount: count,
          hiddenSize: columns, weight: .normal(deviation: configuration.initializerRange),
          hasEnds: shape.hasEnds, in: &layout)
      }
    }
    self.layout = layout
  }

  /// What each head reads of its words, after dropout: their hidden states, or those of the LSTM over them.
  public func wordStates(_ input: EncoderInput, of words: [WordRows], on tape: Tape) -> [Tensor] {
    let states = encoder.hiddenStates(input, on: tape).suffix(shape.encoderLayers)
    let rate = configuration.classifierDropout ?? configuration.hiddenDropout
    return words.enumerated().map { head, words in
      let x = tape.beside(states.map { tape.gather($0, rows: words.tokens, as: words.space) })
      if sentenceStacks.isEmpty { return tape.dropout(x, rate: rate) }
      let sentence = sentenceStacks[head](
        x, sequenceBounds: words.sentenceBounds, in: words.sentences, dropout: rate, on: tape)
      return tape.dropout(sentence[0].all, rate: rate)  // [words, 2 × sentence units]
    }
  }

  public func activationFloats(ofTokens tokens: Int) -> Int {
    // Words are about half of the tokens.
    let word = 2 * shape.encoderLayers * configuration.hiddenSize + 2 * 7 * shape.sentenceUnits
    return encoderFloats(ofTokens: tokens) + (shape.isLinear ? 0 : tokens * word / 2)
  }
}

/// The words of a batch that one head scores.
public struct WordRows: Sendable {
  /// The token that stands for each word.
  public var tokens: [Int32]
  /// Of the words, a row each.
  public var space: RowSpace
  /// Word bounds of the sentences.
  public var sentenceBounds: [Int]
  /// Of the sentences, a row each.
  public var sentences: RowSpace

  public init(
    tokens: [Int32], space: RowSpace, sentenceBounds: [Int], sentences: RowSpace
  ) {
    self.tokens = tokens
    self.space = space
    self.sentenceBounds = sentenceBounds
    self.sentences = sentences
  }
}
