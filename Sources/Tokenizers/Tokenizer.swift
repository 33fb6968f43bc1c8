/// Turns words into the ids of a model's vocabulary.
///
/// A tokenizer is a value that may be used from several threads at once.
public protocol Tokenizer: Sendable {
  /// The number of ids, special tokens included: no id is this or more.
  var vocabularySize: Int { get }
  /// The special tokens that open and close a sequence, pad, stand for what is unknown, and mask.
  var specials: SpecialTokens { get }
  /// The ids of a running text, without special tokens.
  func encode(_ text: String) -> [Int32]
  /// The ids of each word of a sentence split into words, without special tokens; as `transformers`
  /// does with `is_split_into_words=True`. A word without pieces gets an empty list.
  func encode(words: [String]) -> [[Int32]]
  /// The piece of an id, as the vocabulary spells it.
  func piece(of id: Int32) -> String
  /// The files that make this tokenizer in a checkpoint directory: name and bytes, kept as they were read.
  var files: [(name: String, bytes: [UInt8])] { get }
}

/// The ids of a tokenizer's special tokens.
public struct SpecialTokens: Sendable, Equatable {
  /// Opens a sequence: `[CLS]` or `<s>`.
  public var start: Int32
  /// Closes a sequence: `[SEP]` or `</s>`.
  public var end: Int32
  public var padding: Int32
  public var unknown: Int32
  /// `[MASK]` or `<mask>`, if the vocabulary has one.
  public var mask: Int32?

  public init(start: Int32, end: Int32, padding: Int32, unknown: Int32, mask: Int32?) {
    self.start = start
    self.end = end
    self.padding = padding
    self.unknown = unknown
    self.mask = mask
  }
}
