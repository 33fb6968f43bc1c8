import Determinism
public import Files
public import Tokenizers

/// The encoded sentences of one language's train, dev or test files, in a few flat arrays.
public struct Split: Sendable {
  /// What a ledger says about the sentences.
  public struct Facts: Sendable, Equatable, Codable {
    public var sentences = 0
    public var words = 0
    /// Tokens of all windows, special tokens included.
    public var tokens = 0
    public var windows = 0
    /// Words of which pieces were left out because they do not fit in a window.
    public var cutWords = 0
    /// Words with a piece that the tokenizer does not know, or without pieces.
    public var unknownWords = 0

    public init() {}
  }

  public private(set) var facts = Facts()
  /// The token ids of all sentences. Shape `[tokens]`.
  package private(set) var tokens: [Int32] = []
  /// Token bounds of all windows. Shape `[windows + 1]`.
  package private(set) var windowBounds: [Int] = [0]
  /// Window bounds of the sentences. Shape `[sentences + 1]`.
  package private(set) var sentenceBounds: [Int] = [0]
  /// The scored token of each word, counted from the first token of its sentence. Shape `[words]`.
  package private(set) var wordTokens: [Int32] = []
  /// The label of each word, −1 without labels. Shape `[words]`.
  package private(set) var labels: [Int32] = []
  /// Word bounds of the sentences. Shape `[sentences + 1]`.
  package private(set) var wordBounds: [Int] = [0]
  private var paths: [String] = []
  private var pathOfSentence: [Int32] = []
  private var lineOfSentence: [Int32] = []

  /// Encodes sentences.
  ///
  /// - Parameters:
  ///   - sentences: With tags in IOB2 if there are `labels`.
  ///   - labels: The labels the tags must be of; nil scores nothing (every label is −1).
  /// - Throws: ``FileError`` with the line of a tag that is not in `labels`.
  /// - Complexity: One pass of the tokenizer, on the calling thread.
  public init(
    _ sentences: [Sentence], labels labelSet: LabelSet?, tokenizer: some Tokenizer,
    shape: WindowShape
  ) throws(FileError) {
    for sentence in sentences {
      let encoded = EncodedSentence(words: sentence.words, tokenizer: tokenizer, shape: shape)
      precondition(
        encoded.wordTokens.count == sentence.words.count,
        "the tokenizer gave \(encoded.wordTokens.count) words for \(sentence.words.count)")
      if let labelSet {
        precondition(
          sentence.tags.count == sentence.words.count,
          "\(sentence.path):\(sentence.line) was read without tags")
        labels += try labelSet.ids(of: sentence)
      } else {
        labels.append(contentsOf: repeatElement(-1, count: sentence.words.count))
      }
      append(encoded, of: sentence)
    }
  }

  /// No sentence.
  public static let none = Split()

  private init() {}

  private mutating func append(_ encoded: EncodedSentence, of sentence: Sentence) {
    let start = tokens.count
    tokens += encoded.tokens
    for bound in encoded.windowBounds.dropFirst() { windowBounds.append(start + bound) }
    sentenceBounds.append(windowBounds.count - 1)
    wordTokens += encoded.wordTokens
    wordBounds.append(wordTokens.count)
    if paths.last != sentence.path { paths.append(sentence.path) }
    pathOfSentence.append(Int32(paths.count - 1))
    lineOfSentence.append(Int32(clamping: sentence.line))
    facts.sentences += 1
    facts.words += sentence.words.count
    facts.tokens += encoded.tokens.count
    facts.windows += encoded.windowCount
    facts.cutWords += encoded.cutWords
    facts.unknownWords += encoded.unknownWords
  }

  /// The number of sentences.
  public var count: Int { sentenceBounds.count - 1 }

  /// Where a sentence stands: its file, and the line of its first word.
  public func place(of sentence: Int) -> (path: String, line: Int) {
    (paths[Int(pathOfSentence[sentence])], Int(lineOfSentence[sentence]))
  }

  /// The tokens of a sentence over all its windows.
  public func tokenCount(of sentence: Int) -> Int {
    windowBounds[sentenceBounds[sentence + 1]] - windowBounds[sentenceBounds[sentence]]
  }

  /// The words of a sentence.
  public func wordCount(of sentence: Int) -> Int {
    wordBounds[sentence + 1] - wordBounds[sentence]
  }

  /// The tokens of every sentence. Shape `[sentences]`.
  public var tokenCounts: [Int32] { (0..<count).map { Int32(clamping: tokenCount(of: $0)) } }

  /// A hash of all that is trained on. Equal splits have equal ones, wherever their files are.
  public var fingerprint: UInt64 {
    var hash = FNV1a()
    for numbers in [tokens, wordTokens, labels] {
      hash.add(word: UInt64(numbers.count))
      for number in numbers { hash.add(word: UInt64(bitPattern: Int64(number))) }
    }
    for bounds in [windowBounds, sentenceBounds, wordBounds] {
      for bound in bounds { hash.add(word: UInt64(bitPattern: Int64(bound))) }
    }
    return hash.value
  }

  /// The words of a sentence among those of the split.
  public func words(of sentence: Int) -> Range<Int> {
    wordBounds[sentence]..<wordBounds[sentence + 1]
  }

  /// The labels of a sentence's words. Shape `[words]`.
  public func labels(of sentence: Int) -> ArraySlice<Int32> {
    labels[wordBounds[sentence]..<wordBounds[sentence + 1]]
  }

  /// The lengths of a sentence's windows. Shape `[windows]`.
  public func windowLengths(of sentence: Int) -> [Int] {
    (sentenceBounds[sentence]..<sentenceBounds[sentence + 1]).map {
      windowBounds[$0 + 1] - windowBounds[$0]
    }
  }
}

/// One language of a run: its code, its labels and its encoded sentences.
public struct LanguageCorpus: Sendable {
  /// The code by which the config names it, such as `de`.
  public var code: String
  public var labels: LabelSet
  public var train: Split?
  public var dev: Split?
  public var test: Split?

  public init(
    code: String, labels: LabelSet, train: Split? = nil, dev: Split? = nil, test: Split? = nil
  ) {
    self.code = code
    self.labels = labels
    self.train = train
    self.dev = dev
    self.test = test
  }

  /// A line for each split, equal for equal data: `de train: 1200 sentences, 5f00c2a1`.
  public var fingerprints: [String] {
    [("train", train), ("dev", dev), ("test", test)].compactMap { name, split in
      split.map {
        "\(code) \(name): \($0.count) sentences, \(String($0.fingerprint, radix: 16))"
      }
    }
  }
}
