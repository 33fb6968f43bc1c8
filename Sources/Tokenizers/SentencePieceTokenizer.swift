import CSentencePiece
import Files
import Foundation

/// A SentencePiece model file, its pieces numbered as XLM-R numbers them.
///
/// `<s>` is 0, `<pad>` 1, `</s>` 2 and `<unk>` 3; the model's other pieces follow, one above their number
/// in the model; `<mask>` is last. Words are encoded each alone.
///
/// The library normalises and, but for unigram models, encodes. Of unigram models the best path is
/// sought here: releases of the library round the sums of scores in different ways, which decides
/// between paths that are nearly equal, and a model must mean the same ids on every machine. The
/// rounding is that of the releases from 0.2.
struct SentencePieceTokenizer: Tokenizer {
  /// The name under which XLM-R's checkpoints hold the model.
  static let fileName = "sentencepiece.bpe.model"

  let vocabularySize: Int
  let specials: SpecialTokens
  let files: [(name: String, bytes: [UInt8])]
  private let model: SentencePieceModel
  /// Nil for other kinds of model.
  private let unigram: Unigram<Float>?
  /// Of unigram models; nil if the library alone can normalise as the model says.
  private let normalizer: SentencePieceNormalizer?

  /// Reads the model of a directory: the one of XLM-R's name, or the only one.
  init(in files: TokenizerFiles) throws(FileError) {
    let name = SentencePieceTokenizer.fileName
    if let bytes = files[name] {
      try self.init(path: files.path(of: name), bytes: bytes, beside: files)
      return
    }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: files.directory)) ?? []
    let models = names.filter { $0.hasSuffix(".model") }.sorted()
    guard models.count == 1 else {
      throw FileError(
        models.isEmpty ? .missing : .data, files.directory,
        models.isEmpty
          ? "has no tokenizer.json, vocab.txt or *.model; name a tokenizer's directory or file"
          : "has several models (\(models.joined(separator: ", "))); name one of them")
    }
    let path = files.path(of: models[0])
    try self.init(path: path, bytes: TokenizerFiles.contents(of: path), beside: files)
  }

  /// Reads the bytes of a model file; `path` is for messages.
  init(path: String, bytes: [UInt8], beside others: TokenizerFiles? = nil) throws(FileError) {
    (unigram, normalizer) = try SentencePieceTokenizer.unigram(bytes, path: path)
    model = try SentencePieceModel(path: path, bytes: bytes)
    vocabularySize = model.size + 2
    specials = SpecialTokens(
      start: 0, end: 2, padding: 1, unknown: 3, mask: Int32(vocabularySize - 1))
    let name = SentencePieceTokenizer.fileName
    files = (others?.files ?? []).filter { $0.name != name } + [(name, bytes)]
  }

  /// Checks a file before the library sees it, and takes what the search needs.
  private static func unigram(
    _ bytes: [UInt8], path: String
  ) throws(FileError) -> (Unigram<Float>?, SentencePieceNormalizer?) {
    func wrong(_ field: String, _ message: String) -> FileError {
      FileError(
        .data, path, subject: field,
        "\(message): no SentencePiece model, or a damaged one; copy the file again or train the model anew"
      )
    }
    let file: SentencePieceFile
    do throws(SentencePieceFile.Failure) {
      file = try SentencePieceFile(bytes)
    } catch {
      throw wrong(error.field, error.message)
    }
    do throws(CharacterMap.Failure) {
      // The library follows the map without looking where it leads.
      if !file.characterMap.isEmpty { _ = try CharacterMap(file.characterMap) }
    } catch {
      throw wrong("normalizer_spec.precompiled_charsmap", error.message)
    }
    guard file.isUnigram, !file.hasByteFallback else { return (nil, nil) }
    do throws(PieceTrie.Duplicate) {
      let unigram = try file.unigram(unknown: SentencePieceModel.unknown)
      return (unigram, SentencePieceNormalizer(file))
    } catch {
      throw wrong(
        "pieces", "have \(String(decoding: error.key, as: UTF8.self).debugDescription) twice")
    }
  }

  func encode(_ text: String) -> [Int32] {
    var ids: [Int32] = []
    if let unigram {
      unigram.encode(model.normalize(text), into: &ids)
    } else {
      ids = model.encode(text)
    }
    return ids.map { $0 == SentencePieceModel.unknown ? specials.unknown : $0 + 1 }
  }

  /// Encodes lines as ``encode(_:)`` does, faster; nil if the model does not allow it.
  func fastLineEncoder() -> (any LineEncoder)? {
    guard let unigram, let normalizer, let cache = UnigramWordCache(unigram) else { return nil }
    return SentencePieceLineEncoder(tokenizer: self, normalizer: normalizer, cache: cache)
  }

  func encode(words: [String]) -> [[Int32]] { words.map(encode) }

  func piece(of id: Int32) -> String {
    precondition(id >= 0 && id < vocabularySize, "id \(id) of \(vocabularySize)")
    switch id {
    case specials.start: return "<s>"
    case specials.padding: return "<pad>"
    case specials.end: return "</s>"
    case specials.unknown: return "<unk>"
    case specials.mask: return "<mask>"
    default: return model.piece(of: id - 1)
    }
  }
}

/// Encodes lines with a unigram model, words that were seen before from memory.
private struct SentencePieceLineEncoder: LineEncoder {
  let tokenizer: SentencePieceTokenizer
  let normalizer: SentencePieceNormalizer
  var cache: UnigramWordCache
  private var normalized: [UInt8] = []

  init(
    tokenizer: SentencePieceTokenizer, normalizer: SentencePieceNormalizer, cache: UnigramWordCache
  ) {
    self.tokenizer = tokenizer
    self.normalizer = normalizer
    self.cache = cache
  }

  mutating func encode(_ line: ArraySlice<UInt8>, into ids: inout [Int32]) {
    guard normalizer.normalize(line, into: &normalized) else {
      ids += tokenizer.encode(String(decoding: line, as: UTF8.self))
      return
    }
    let first = ids.count
    cache.encode(normalized, into: &ids)
    for index in first..<ids.count {
      let id = ids[index]
      ids[index] = id == SentencePieceModel.unknown ? tokenizer.specials.unknown : id + 1
    }
  }
}

/// A model of the SentencePiece library.
///
/// The library's encoding functions only read the model, so threads may share it.
@safe private final class SentencePieceModel: @unchecked Sendable {
  /// The id of the unknown piece in every model that is accepted.
  static let unknown: Int32 = 0

  let size: Int
  private let handle: OpaquePointer

  init(path: String, bytes: [UInt8]) throws(FileError) {
    var reason = [CChar](repeating: 0, count: 200)
    guard let handle = unsafe csp_open(bytes, bytes.count, &reason, reason.count) else {
      let text = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
      throw FileError(
        .data, path, subject: "model",
        "is none of SentencePiece (\(text)); name a .model file that spm_train wrote")
    }
    unsafe self.handle = unsafe handle
    size = unsafe Int(csp_size(handle))
    let ids = unsafe (csp_unknown(handle), csp_start(handle), csp_end(handle))
    guard ids == (SentencePieceModel.unknown, 1, 2) else {
      throw FileError(
        .data, path, subject: "trainer_spec",
        "has <unk> \(ids.0), <s> \(ids.1), </s> \(ids.2) where XLM-R's layout needs 0, 1, 2; train the model with spm_train's default ids"
      )
    }
  }

  deinit { unsafe csp_close(handle) }

  /// The ids of `text`. The corresponding C++ function is `SentencePieceProcessor::Encode`.
  func encode(_ text: String) -> [Int32] {
    unsafe filling(text) { unsafe csp_encode(handle, $0, $1, $2, $3) }
  }

  /// The UTF-8 bytes that the library would cut into pieces, a mark for each blank.
  func normalize(_ text: String) -> [UInt8] {
    unsafe filling(text) { unsafe csp_normalize(handle, $0, $1, $2, $3) }
  }

  /// Calls `body` with the bytes of `text` and with room for its results.
  private func filling<Result>(
    _ text: String,
    _ body: (UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<Result>?, Int) -> Int
  ) -> [Result] {
    let bytes = Array(text.utf8)
    // What normalisation makes longer than this is asked for again.
    var capacity = 2 * bytes.count + 16
    while true {
      var count = 0
      let results = unsafe [Result](unsafeUninitializedCapacity: capacity) { buffer, written in
        count = unsafe body(bytes, bytes.count, buffer.baseAddress, capacity)
        written = max(0, min(count, capacity))
      }
      precondition(count >= 0, "SentencePiece failed on a text of \(bytes.count) bytes")
      if count <= capacity { return results }
      capacity = count
    }
  }

  func piece(of id: Int32) -> String {
    guard let text = unsafe csp_piece(handle, id) else {
      preconditionFailure("piece \(id) of \(size)")
    }
    return unsafe String(cString: text)
  }
}
