internal import CSentencePiece

/// A SentencePiece model in the id layout of XLM-R.
///
/// `<s>` is 0, `<pad>` 1, `</s>` 2, `<unk>` 3; the model's piece i from the fourth on is i + 1, and `<mask>`
/// comes last. The model's own ids for its control pieces are not used, as in `transformers`.
public struct SentencePieceTokenizer: Tokenizer {
  private let model: Model
  public let specials: SpecialTokens
  public let vocabularySize: Int
  public let files: [(name: String, bytes: [UInt8])]

  /// - Parameters:
  ///   - bytes: A `.model` file's.
  ///   - path: What messages call it.
  ///   - others: Further files of the directory it came from.
  /// - Throws: ``CorpusError`` of code `data` if the bytes are no model.
  init(
    bytes: [UInt8], path: String, others: [(name: String, bytes: [UInt8])]
  ) throws(CorpusError) {
    guard let handle = unsafe bytes.withUnsafeBytes({ unsafe csp_open($0.baseAddress, $0.count) })
    else {
      throw CorpusError(
        .data, path, "is not a SentencePiece model; give a .model file as its trainer wrote it")
    }
    model = unsafe Model(handle: handle)
    let pieces = Int(unsafe csp_piece_count(handle))
    vocabularySize = pieces + 2
    specials = SpecialTokens(
      start: 0, end: 2, padding: 1, unknown: 3, mask: Int32(pieces + 1))
    files = [("sentencepiece.bpe.model", bytes)] + others
  }

  public func encode(_ text: String) -> [Int32] {
    var text = text
    let unknown = unsafe csp_unknown_id(model.handle)
    return text.withUTF8 { (bytes: UnsafeBufferPointer<UInt8>) -> [Int32] in
      var ids: [Int32] = []
      unsafe withUnsafeMutablePointer(to: &ids) { ids in
        let start = unsafe UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
        _ = unsafe csp_encode(model.handle, start, bytes.count, ids) { context, found, count in
          let ids = unsafe context?.assumingMemoryBound(to: [Int32].self)
          unsafe ids?.pointee = Array(UnsafeBufferPointer(start: found, count: count))
        }
      }
      return ids.map { $0 == unknown ? specials.unknown : $0 + 1 }
    }
  }

  public func encode(words: [String]) -> [[Int32]] { words.map { encode($0) } }

  public func piece(of id: Int32) -> String {
    switch id {
    case 0: return "<s>"
    case 1: return "<pad>"
    case 2: return "</s>"
    case 3: return "<unk>"
    case Int32(vocabularySize - 1): return "<mask>"
    default:
      precondition(id > 3 && Int(id) < vocabularySize, "id \(id) of \(vocabularySize)")
      var count = 0
      guard let text = unsafe csp_piece(model.handle, id - 1, &count) else { return "" }
      return unsafe String(
        decoding: UnsafeRawBufferPointer(start: text, count: count), as: UTF8.self)
    }
  }

  /// The C++ object, which may be used by several threads at once once it is loaded.
  @safe private final class Model: @unchecked Sendable {
    let handle: OpaquePointer
    init(handle: OpaquePointer) { unsafe self.handle = handle }
    deinit { unsafe csp_close(handle) }
  }
}
