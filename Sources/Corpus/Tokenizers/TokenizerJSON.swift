import Foundation

/// A `tokenizer.json` of Hugging Face's `tokenizers`: WordPiece, or Unigram.
struct TokenizerJSON {
  private let root: [String: Any]
  private let path: String

  init(bytes: [UInt8], path: String) throws(CorpusError) {
    root = try Self.object(bytes, path: path)
    self.path = path
  }

  /// The object that a JSON file is.
  static func object(_ bytes: [UInt8], path: String) throws(CorpusError) -> [String: Any] {
    guard let value = try? JSONSerialization.jsonObject(with: Data(bytes)),
      let object = value as? [String: Any]
    else { throw CorpusError(.data, path, "is not a JSON object") }
    return object
  }

  func tokenizer(files: [(name: String, bytes: [UInt8])]) throws(CorpusError) -> any Tokenizer {
    guard let model = root["model"] as? [String: Any] else { throw error("has no `model`") }
    // Files of old versions do not name the kind.
    let kind = model["type"] as? String ?? (model["vocab"] is [String: Any] ? "WordPiece" : "")
    switch kind {
    case "WordPiece": return try wordPiece(model, files: files)
    case "Unigram": return try unigram(model, files: files)
    default:
      throw error(
        "is a \(kind.isEmpty ? "nameless" : kind) tokenizer; WordPiece, Unigram and SentencePiece "
          + ".model files are supported")
    }
  }

  private func error(_ message: String) -> CorpusError { CorpusError(.data, path, message) }

  private func wordPiece(
    _ model: [String: Any], files: [(name: String, bytes: [UInt8])]
  ) throws(CorpusError) -> WordPieceTokenizer {
    guard let vocabulary = model["vocab"] as? [String: Any] else {
      throw error("its WordPiece model has no `vocab`")
    }
    var pieces = [String?](repeating: nil, count: vocabulary.count)
    for (piece, value) in vocabulary {
      guard let id = value as? Int, pieces.indices.contains(id), pieces[id] == nil else {
        throw error("the id of piece '\(piece)' is out of range or taken")
      }
      pieces[id] = piece
    }
    var normalisation = WordPieceTokenizer.Normalisation()
    if let normaliser = root["normalizer"] as? [String: Any] {
      guard normaliser["type"] as? String == "BertNormalizer" else {
        throw error("its normalizer is not BertNormalizer, which WordPiece comes with here")
      }
      normalisation.cleansText = normaliser["clean_text"] as? Bool ?? true
      normalisation.splitsChinese = normaliser["handle_chinese_chars"] as? Bool ?? true
      normalisation.lowercases = normaliser["lowercase"] as? Bool ?? true
      normalisation.stripsAccents =
        normaliser["strip_accents"] as? Bool ?? normalisation.lowercases
    } else {
      normalisation.cleansText = false
      normalisation.splitsChinese = false
    }
    var special = WordPieceTokenizer.SpecialNames()
    special.unknown = model["unk_token"] as? String ?? special.unknown
    return try WordPieceTokenizer(
      pieces: pieces.compactMap { $0 }, normalisation: normalisation,
      continuation: model["continuing_subword_prefix"] as? String ?? "##",
      longestWord: model["max_input_chars_per_word"] as? Int ?? 100, special: special, path: path,
      files: files)
  }

  private func unigram(
    _ model: [String: Any], files: [(name: String, bytes: [UInt8])]
  ) throws(CorpusError) -> UnigramTokenizer {
    guard let rows = model["vocab"] as? [Any], !rows.isEmpty else {
      throw error("its Unigram model has no `vocab`")
    }
    var pieces: [(String, Double)] = []
    pieces.reserveCapacity(rows.count)
    for row in rows {
      guard let pair = row as? [Any], pair.count == 2, let piece = pair[0] as? String,
        let score = pair[1] as? Double
      else { throw error("entry \(pieces.count) of its vocabulary is not a piece with a score") }
      pieces.append((piece, Self.asRustReads(score)))
    }
    guard let unknown = model["unk_id"] as? Int, pieces.indices.contains(unknown) else {
      throw error("its `unk_id` is missing or out of range")
    }
    guard model["byte_fallback"] as? Bool != true else {
      throw error("falls back to bytes, which is not supported")
    }
    var added: [(String, Int32)] = []
    for entry in root["added_tokens"] as? [[String: Any]] ?? [] {
      guard let text = entry["content"] as? String, let id = entry["id"] as? Int, !text.isEmpty,
        id >= 0, id < pieces.count + 1000
      else { throw error("an added token has no text or an id out of range") }
      added.append((text, Int32(id)))
    }
    return try UnigramTokenizer(
      pieces: pieces, unknown: unknown, added: added,
      normaliser: try normaliser(root["normalizer"] as? [String: Any]),
      pretokeniser: try pretokeniser(root["pre_tokenizer"] as? [String: Any]), path: path,
      files: files)
  }

  /// The number that the Rust library gets from the shortest digits of `value`.
  ///
  /// Its JSON reader takes all digits as one whole number, rounds that, and divides by a power of ten, which
  /// for 17 digits can miss the nearest number by an ulp: enough to turn a tie between two segmentations.
  static func asRustReads(_ value: Double) -> Double {
    let digits = "\(abs(value))"
    guard !digits.contains("e"), let point = digits.firstIndex(of: "."),
      let whole = UInt64(digits.filter { $0 != "." })
    else { return value }
    let decimals = digits.distance(from: point, to: digits.endIndex) - 1
    var power = 1.0
    for _ in 0..<decimals { power *= 10 }
    guard decimals <= 22 else { return value }
    return (value < 0 ? -1 : 1) * (Double(whole) / power)
  }

  private func normaliser(
    _ value: [String: Any]?
  ) throws(CorpusError) -> [UnigramTokenizer.Normaliser] {
    guard let value else { return [] }
    switch value["type"] as? String ?? "" {
    case "Sequence":
      var all: [UnigramTokenizer.Normaliser] = []
      for part in value["normalizers"] as? [[String: Any]] ?? [] { all += try normaliser(part) }
      return all
    case "Precompiled":
      guard let text = value["precompiled_charsmap"] as? String,
        let data = Data(base64Encoded: text)
      else { throw error("its precompiled_charsmap is not base64") }
      return [.precompiled(try PrecompiledNormaliser(bytes: Array(data), path: path))]
    case "Replace":
      guard let pattern = value["pattern"] as? [String: Any],
        let content = value["content"] as? String
      else { throw error("a Replace normalizer without pattern and content") }
      if let text = pattern["String"] as? String { return [.replace(text, content)] }
      if pattern["Regex"] as? String == " {2,}" { return [.joinBlanks(content)] }
      throw error("a Replace normalizer with a pattern that is not supported: \(pattern)")
    case "Strip":
      return [
        .strip(
          left: value["strip_left"] as? Bool ?? true, right: value["strip_right"] as? Bool ?? true)
      ]
    case "NFKC": return [.compatibilityComposition]
    case "NFC": return [.composition]
    case "Lowercase": return [.lowercase]
    case let other: throw error("its normalizer \(other) is not supported")
    }
  }

  private func pretokeniser(
    _ value: [String: Any]?
  ) throws(CorpusError) -> UnigramTokenizer.Pretokeniser {
    var result = UnigramTokenizer.Pretokeniser()
    guard let value else { return result }
    let parts =
      value["type"] as? String == "Sequence"
      ? value["pretokenizers"] as? [[String: Any]] ?? [] : [value]
    for part in parts {
      switch part["type"] as? String ?? "" {
      case "WhitespaceSplit": result.splitsAtBlanks = true
      case "Metaspace":
        guard let mark = part["replacement"] as? String, mark.unicodeScalars.count == 1 else {
          throw error("a Metaspace without a replacement of one character")
        }
        result.mark = mark
        let scheme =
          part["prepend_scheme"] as? String
          ?? (part["add_prefix_space"] as? Bool == false ? "never" : "always")
        guard let prepends = UnigramTokenizer.Pretokeniser.Prepending(rawValue: scheme) else {
          throw error("a Metaspace with the prepend_scheme '\(scheme)'")
        }
        result.prepends = prepends
        result.splitsAtMarks = part["split"] as? Bool ?? true
      case let other: throw error("its pre_tokenizer \(other) is not supported")
      }
    }
    return result
  }
}
