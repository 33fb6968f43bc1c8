public import Determinism
public import Files
public import Tokenizers

/// Which tokens of a sequence are hidden, and by what (Devlin et al., 2019): each is chosen with a probability of its
/// own; of those chosen most become the mask, some a random token, the rest stay as they are. All chosen are guessed.
public struct Masking: Sendable {
  public struct Rates: Sendable, Equatable {
    /// The share of tokens, or of whole words, that are chosen.
    public var chosen: Double
    /// Of those chosen, the share that becomes the mask.
    public var masked: Double
    /// Of those chosen, the share that becomes a random token.
    public var random: Double
    /// Whether all pieces of a word are chosen together.
    public var byWord: Bool

    public init(
      chosen: Double = 0.15, masked: Double = 0.8, random: Double = 0.1, byWord: Bool = false
    ) {
      self.chosen = chosen
      self.masked = masked
      self.random = random
      self.byWord = byWord
    }
  }

  public let rates: Rates
  private let maskID: Int32
  /// Whether each id is a piece of text, and no special token.
  private let isText: [Bool]
  /// The ids that are.
  private let textIDs: [Int32]
  /// Whether each id opens a word.
  private let opensWord: [Bool]

  /// - Throws: ``FileError`` naming `path` if the vocabulary has no mask, or nothing but special tokens.
  public init(_ rates: Rates, tokenizer: some Tokenizer, path: String) throws(FileError) {
    guard let mask = tokenizer.specials.mask else {
      throw FileError(
        .data, path,
        "has no mask token, which masked language modelling needs; use a tokenizer that has one")
    }
    self.rates = rates
    maskID = mask
    let specials = tokenizer.specials
    let special: Set<Int32> = [
      specials.start, specials.end, specials.padding, specials.unknown, mask,
    ]
    let ids = 0..<Int32(tokenizer.vocabularySize)
    let pieces = ids.map { tokenizer.piece(of: $0) }
    isText = ids.map { !special.contains($0) }
    textIDs = ids.filter { !special.contains($0) }
    // SentencePiece marks what opens a word, WordPiece what does not.
    let marks = pieces.contains { $0.hasPrefix("\u{2581}") }
    opensWord = pieces.map { marks ? $0.hasPrefix("\u{2581}") : !$0.hasPrefix("##") }
    guard !textIDs.isEmpty else {
      throw FileError(.data, path, "has no pieces but special tokens; train it anew")
    }
  }

  /// Hides tokens of a sequence, in place.
  ///
  /// - Returns: The places of those chosen, ascending, and the ids that were there.
  public func hide(
    _ ids: inout [Int32], random: inout RandomStream
  ) -> (places: [Int32], wanted: [Int32]) {
    var places: [Int32] = []
    var wanted: [Int32] = []
    var isChosen = false
    var before: Int32?
    for (place, id) in ids.enumerated() {
      defer { before = id }
      guard isText[Int(id)] else { continue }
      let follows = before.map { isText[Int($0)] } ?? false
      if !(rates.byWord && follows && !opensWord[Int(id)]) {
        isChosen = random.unit() < rates.chosen
      }
      guard isChosen else { continue }
      places.append(Int32(place))
      wanted.append(id)
      let kind = random.unit()
      if kind < rates.masked {
        ids[place] = maskID
      } else if kind < rates.masked + rates.random {
        ids[place] = textIDs[random.below(textIDs.count)]
      }
    }
    return (places, wanted)
  }
}
