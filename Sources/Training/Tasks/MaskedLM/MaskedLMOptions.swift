public import Configuration
public import Corpus

/// The own keys of masked language modelling.
public struct MaskedLMOptions: TaskOptions {
  /// What the bias of a decoder is before it has learnt anything.
  public enum DecoderBias: String, Sendable, Codable, ConfigChoice { case zero, unigram }

  /// The share of tokens, or of words, that are hidden and guessed.
  public var mlmProbability = 0.15
  /// Of those hidden, the share that becomes the mask.
  public var maskReplaceProb = 0.8
  /// Of those hidden, the share that becomes a random token; the rest stay as they are.
  public var randomReplaceProb = 0.1
  public var wholeWordMask = false
  public var fillAcross = SequenceShape.Filling.language
  public var attendWithin = SequenceShape.Attention.sequence
  /// Of a decoder that no checkpoint brings.
  public var lmHeadBias = DecoderBias.zero

  public init() {}

  public static let keys: [TaskKey<MaskedLMOptions>] = [
    TaskKey(
      "mlm_probability", \.mlmProbability,
      must: Requirement(text: "above 0.0 and below 1.0") { $0 > 0 && $0 < 1 },
      "Share of tokens that are hidden and guessed."),
    TaskKey(
      "mask_replace_prob", \.maskReplaceProb, must: .inside(0...1),
      "Of the hidden, the share that becomes the mask."),
    TaskKey(
      "random_replace_prob", \.randomReplaceProb, must: .inside(0...1),
      "Of the hidden, the share that becomes a random token; the rest stay."),
    TaskKey(
      "whole_word_mask", \.wholeWordMask, "Whether all pieces of a word are hidden together."),
    TaskKey(
      "fill_across", \.fillAcross,
      "Whether a sequence is filled with text of one language, or of one document."),
    TaskKey(
      "attend_within", \.attendWithin,
      "Whether tokens attend to their whole sequence, or to their document's part of it."),
    TaskKey(
      "lm_head_bias", \.lmHeadBias,
      "The first bias of a new decoder: zero, or unigram, the logarithm of each token's share of the text."
    ),
  ]

  public func check(_ own: OwnKeys) throws(ConfigError) {
    guard maskReplaceProb + randomReplaceProb > 1 else { return }
    throw own.error(
      at: own.has("random_replace_prob") ? "random_replace_prob" : "mask_replace_prob",
      "random_replace_prob: with mask_replace_prob it is more than 1")
  }
}

extension SequenceShape.Filling: ConfigChoice {}
extension SequenceShape.Attention: ConfigChoice {}
