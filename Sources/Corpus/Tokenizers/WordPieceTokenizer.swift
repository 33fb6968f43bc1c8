/// BERT's tokenizer: clean-up, splitting at blanks, punctuation and Chinese characters, then the longest
/// piece first.
///
/// Equal to `BertTokenizer` of `transformers`, piece for piece.
public struct WordPieceTokenizer: Tokenizer {
  /// What happens to text before it is cut into pieces.
  public struct Normalisation: Sendable, Equatable {
    /// Drops control characters and makes every kind of blank a space.
    public var cleansText = true
    /// Puts blanks around CJK ideographs.
    public var splitsChinese = true
    public var stripsAccents = false
    public var lowercases = false

    public init() {}
  }

  let normalisation: Normalisation
  private let pieces: [String]
  private let ids: [[UInt8]: Int32]
  private let continuation: [UInt8]
  private let longestWord: Int
  private let added: AddedTokens
  public let specials: SpecialTokens
  public let files: [(name: String, bytes: [UInt8])]
  public var vocabularySize: Int { pieces.count }

  /// - Parameters:
  ///   - pieces: By id.
  ///   - special: The texts of the special tokens.
  ///   - longestWord: Words of more scalars become unknown.
  /// - Throws: ``CorpusError`` if a special token is not among the pieces.
  init(
    pieces: [String], normalisation: Normalisation, continuation: String = "##",
    longestWord: Int = 100, special: SpecialNames, path: String,
    files: [(name: String, bytes: [UInt8])]
  ) throws(CorpusError) {
    self.pieces = pieces
    self.normalisation = normalisation
    self.continuation = Array(continuation.utf8)
    self.longestWord = longestWord
    self.files = files
    var ids: [[UInt8]: Int32] = [:]
    ids.reserveCapacity(pieces.count)
    for (id, piece) in pieces.enumerated() { ids[Array(piece.utf8)] = Int32(id) }
    self.ids = ids
    func id(_ name: String) throws(CorpusError) -> Int32 {
      guard let id = ids[Array(name.utf8)] else {
        throw CorpusError(
          .data, path, "has no piece \(name); is this a WordPiece vocabulary of BERT's kind?")
      }
      return id
    }
    specials = SpecialTokens(
      start: try id(special.start), end: try id(special.end), padding: try id(special.padding),
      unknown: try id(special.unknown), mask: ids[Array(special.mask.utf8)])
    added = AddedTokens(
      [special.start, special.end, special.padding, special.unknown, special.mask].compactMap {
        name in ids[Array(name.utf8)].map { (name, $0) }
      })
  }

  /// The texts of the special tokens.
  struct SpecialNames {
    var start = "[CLS]"
    var end = "[SEP]"
    var padding = "[PAD]"
    var unknown = "[UNK]"
    var mask = "[MASK]"
  }

  public func encode(_ text: String) -> [Int32] {
    var result: [Int32] = []
    added.split(text) { part in
      switch part {
      case .token(let id): result.append(id)
      case .text(let text): encode(Array(text.unicodeScalars), into: &result)
      }
    }
    return result
  }

  public func encode(words: [String]) -> [[Int32]] { words.map { encode($0) } }

  public func piece(of id: Int32) -> String { pieces[Int(id)] }

  private func encode(_ scalars: [Unicode.Scalar], into result: inout [Int32]) {
    var word: [Unicode.Scalar] = []
    func flush() {
      if !word.isEmpty {
        encodeWord(word, into: &result)
        word.removeAll(keepingCapacity: true)
      }
    }
    for scalar in normalised(scalars) {
      if CharacterClass.isBlank(scalar) {
        flush()
      } else if CharacterClass.isPunctuation(scalar) {
        flush()
        word.append(scalar)
        flush()
      } else {
        word.append(scalar)
      }
    }
    flush()
  }

  /// The longest piece that fits, again and again; the unknown token if none does.
  private func encodeWord(_ word: [Unicode.Scalar], into result: inout [Int32]) {
    if word.count > longestWord {
      result.append(specials.unknown)
      return
    }
    var bytes: [UInt8] = []
    var bounds = [0]
    for scalar in word {
      bytes += UTF8.encode(scalar).map(Array.init) ?? []
      bounds.append(bytes.count)
    }
    var found: [Int32] = []
    var start = 0
    while start < word.count {
      var end = word.count
      var match: Int32?
      while end > start {
        let piece = bytes[bounds[start]..<bounds[end]]
        if let id = ids[start == 0 ? Array(piece) : continuation + piece] {
          match = id
          break
        }
        end -= 1
      }
      guard let match else {
        result.append(specials.unknown)
        return
      }
      found.append(match)
      start = end
    }
    result += found
  }

  private func normalised(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var text: [Unicode.Scalar] = []
    text.reserveCapacity(scalars.count)
    for scalar in scalars {
      if normalisation.cleansText {
        if scalar.value == 0 || scalar.value == 0xFFFD || CharacterClass.isControl(scalar) {
          continue
        }
        if CharacterClass.isBlank(scalar) {
          text.append(" ")
          continue
        }
      }
      if normalisation.splitsChinese, CharacterClass.isChinese(scalar) {
        text += [" ", scalar, " "]
      } else {
        text.append(scalar)
      }
    }
    if normalisation.stripsAccents, text.contains(where: { $0.value >= 0x80 }) {
      text = Decomposition.canonical(text).filter {
        $0.properties.generalCategory != .nonspacingMark
      }
    }
    if normalisation.lowercases {
      text = text.flatMap { scalar -> [Unicode.Scalar] in
        if scalar.value < 0x80 {
          return [(0x41...0x5A).contains(scalar.value) ? Unicode.Scalar(UInt8(scalar.value + 32)) : scalar]
        }
        return Array(scalar.properties.lowercaseMapping.unicodeScalars)
      }
    }
    return text
  }
}
