public import Checkpoints

/// How the weights of a new encoder are drawn.
public enum Initializer: String, Sendable, Codable, CaseIterable {
  /// As `transformers` draws them: normal, all of one deviation.
  case normal
  /// Heads of the first block look at neighbouring tokens from the first step on, and matrices of all blocks have a
  /// deviation of one over the root of their inputs.
  case mimetic
}

/// The shape of an encoder: what `config.json` says of it, under shorter names.
public struct EncoderConfiguration: Sendable, Equatable, Codable {
  public var family: EncoderFamily
  public var vocabularySize: Int
  public var hiddenSize: Int
  public var layerCount: Int
  public var headCount: Int
  public var innerSize: Int
  /// Rows of the position table. For RoBERTa and XLM-R the first `paddingID + 1` are never used.
  public var positionCount: Int
  public var tokenTypeCount: Int
  public var layerNormEpsilon: Float
  public var paddingID: Int
  public var hiddenDropout: Float = 0.1
  public var attentionDropout: Float = 0.1
  /// Dropout before the head; nil for ``hiddenDropout``.
  public var classifierDropout: Float?
  public var initializerRange: Float = 0.02
  /// How new weights are drawn; `config.json` has no word for it.
  public var initializer = Initializer.normal
  /// Whether the decoder of a masked language model is the word table.
  public var tiesWordEmbeddings = true

  public init(
    family: EncoderFamily, vocabularySize: Int, hiddenSize: Int, layerCount: Int, headCount: Int,
    innerSize: Int, positionCount: Int, tokenTypeCount: Int, layerNormEpsilon: Float,
    paddingID: Int
  ) {
    self.family = family
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.innerSize = innerSize
    self.positionCount = positionCount
    self.tokenTypeCount = tokenTypeCount
    self.layerNormEpsilon = layerNormEpsilon
    self.paddingID = paddingID
  }

  /// The width of an attention head.
  public var headWidth: Int { hiddenSize / headCount }

  /// The row of the position table that the first token of a sequence takes.
  public var positionOffset: Int { family == .bert ? 0 : paddingID + 1 }

  /// The tokens that a sequence can have at most, special ones included.
  public var longestSequence: Int { positionCount - positionOffset }
}
