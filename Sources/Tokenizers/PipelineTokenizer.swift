/// A tokenizer of the stages that `tokenizer.json` describes.
///
/// Added tokens are found in the text; what lies between them is normalised, cut into words, and each
/// word encoded by the model.
struct PipelineTokenizer: Tokenizer {
  enum Model: Sendable {
    case wordPiece(WordPiece)
    case unigram(Unigram<Double>)
    case bytePairs(BytePairs)
  }

  let vocabularySize: Int
  let specials: SpecialTokens
  let files: [(name: String, bytes: [UInt8])]
  /// The piece of each id.
  private let pieces: [String]
  let stages: Stages

  /// What stands between a text and its ids.
  struct Stages: Sendable {
    /// The tokens that are found in the text as it is.
    var tokens: AddedTokens
    /// The tokens that are found in the normalised text.
    var normalizedTokens: AddedTokens
    var normalizer: Normalizer
    var wordSplitter: WordSplitter
    var model: Model
  }

  init(
    pieces: [String], specials: SpecialTokens, stages: Stages,
    files: [(name: String, bytes: [UInt8])]
  ) {
    self.pieces = pieces
    self.specials = specials
    self.stages = stages
    self.files = files
    vocabularySize = pieces.count
  }

  func encode(_ text: String) -> [Int32] {
    var ids: [Int32] = []
    var room = Room()
    let scalars = Array(text.unicodeScalars)
    for segment in stages.tokens.segments(of: scalars) {
      switch segment {
      case .token(let id): ids.append(id)
      case .text(let range):
        let text = stages.normalizer.normalize(Array(scalars[range]))
        encode(normalized: text, opensText: range.lowerBound == 0, room: &room, into: &ids)
      }
    }
    return ids
  }

  /// What the search for pieces needs; kept from one text to the next.
  struct Room {
    fileprivate var bytes: [UInt8] = []
    fileprivate var best: [Unigram<Double>.Step] = []
  }

  /// Appends the ids of a text, or part of one, that went through the normaliser.
  ///
  /// - Parameter opensText: Whether it is the start of its text.
  func encode(
    normalized text: [Unicode.Scalar], opensText: Bool, room: inout Room, into ids: inout [Int32]
  ) {
    for segment in stages.normalizedTokens.segments(of: text) {
      switch segment {
      case .token(let id): ids.append(id)
      case .text(let range):
        let part = WordSplitter.Part(
          text: text[range], opensText: opensText && range.lowerBound == 0)
        for word in stages.wordSplitter.split(part) {
          switch stages.model {
          case .wordPiece(let model): model.encode(word.text, into: &ids)
          case .unigram(let model):
            room.bytes.removeAll(keepingCapacity: true)
            room.bytes.append(utf8Of: word.text)
            _ = model.encode(room.bytes[...], from: 0, best: &room.best, into: &ids)
          case .bytePairs(let model): model.encode(word.text, into: &ids)
          }
        }
      }
    }
  }

  func encode(words: [String]) -> [[Int32]] { words.map(encode) }

  func piece(of id: Int32) -> String {
    precondition(id >= 0 && id < vocabularySize, "id \(id) of \(vocabularySize)")
    return pieces[Int(id)]
  }
}
