import Foundation

/// Finds and reads the tokenizer of a directory or file.
public enum TokenizerLoader {
  /// What a checkpoint keeps of a tokenizer.
  private static let names = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
    "sentencepiece.bpe.model",
  ]

  /// Reads a tokenizer.
  ///
  /// A file is a SentencePiece `.model`, a WordPiece `vocab.txt` or a `tokenizer.json`. In a directory
  /// `tokenizer.json` comes first, as in `transformers`, then `vocab.txt`, then
  /// `sentencepiece.bpe.model`, then any one `.model`.
  ///
  /// - Throws: ``CorpusError`` with the file and what to do.
  public static func load(_ path: String) throws(CorpusError) -> any Tokenizer {
    var isDirectory: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw CorpusError(.missing, path, "no such tokenizer file or directory")
    }
    if !isDirectory.boolValue {
      let folder = (path as NSString).deletingLastPathComponent
      return try load(file: path, settings: settings(folder.isEmpty ? "." : folder), files: [])
    }
    var files: [(name: String, bytes: [UInt8])] = []
    for name in names where FileManager.default.fileExists(atPath: path + "/" + name) {
      files.append((name, try read(path + "/" + name)))
    }
    for name in ["tokenizer.json", "vocab.txt", "sentencepiece.bpe.model"]
    where files.contains(where: { $0.name == name }) {
      return try load(file: path + "/" + name, settings: settings(path), files: files)
    }
    let models = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [])
      .filter { $0.hasSuffix(".model") }.sorted()
    if models.count == 1 {
      return try load(file: path + "/" + models[0], settings: settings(path), files: files)
    }
    throw CorpusError(
      .missing, path,
      "holds no tokenizer: tokenizer.json, vocab.txt or one SentencePiece .model is needed")
  }

  private static func load(
    file: String, settings: [String: Any], files: [(name: String, bytes: [UInt8])]
  ) throws(CorpusError) -> any Tokenizer {
    let bytes = try read(file)
    if file.hasSuffix(".json") {
      return try TokenizerJSON(bytes: bytes, path: file).tokenizer(
        files: files.isEmpty ? [("tokenizer.json", bytes)] : files)
    }
    if file.hasSuffix(".txt") {
      return try wordPiece(
        bytes, path: file, settings: settings, files: files.isEmpty ? [("vocab.txt", bytes)] : files)
    }
    return try SentencePieceTokenizer(
      bytes: bytes, path: file, others: files.filter { $0.name != "sentencepiece.bpe.model" })
  }

  private static func wordPiece(
    _ bytes: [UInt8], path: String, settings: [String: Any],
    files: [(name: String, bytes: [UInt8])]
  ) throws(CorpusError) -> WordPieceTokenizer {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CorpusError(.data, path, "is not UTF-8")
    }
    var pieces = text.split(separator: "\n", omittingEmptySubsequences: false).map {
      $0.hasSuffix("\r") ? String($0.dropLast()) : String($0)
    }
    if pieces.last == "" { pieces.removeLast() }
    var normalisation = WordPieceTokenizer.Normalisation()
    normalisation.lowercases = settings["do_lower_case"] as? Bool ?? true
    normalisation.stripsAccents =
      settings["strip_accents"] as? Bool ?? normalisation.lowercases
    normalisation.splitsChinese = settings["tokenize_chinese_chars"] as? Bool ?? true
    var special = WordPieceTokenizer.SpecialNames()
    special.start = name("cls_token", settings) ?? special.start
    special.end = name("sep_token", settings) ?? special.end
    special.padding = name("pad_token", settings) ?? special.padding
    special.unknown = name("unk_token", settings) ?? special.unknown
    special.mask = name("mask_token", settings) ?? special.mask
    return try WordPieceTokenizer(
      pieces: pieces, normalisation: normalisation, special: special, path: path, files: files)
  }

  private static func name(_ key: String, _ settings: [String: Any]) -> String? {
    settings[key] as? String ?? (settings[key] as? [String: Any])?["content"] as? String
  }

  /// `tokenizer_config.json` of a folder, or nothing.
  private static func settings(_ folder: String) throws(CorpusError) -> [String: Any] {
    let path = folder + "/tokenizer_config.json"
    guard FileManager.default.fileExists(atPath: path) else { return [:] }
    return try TokenizerJSON.object(try read(path), path: path)
  }

  private static func read(_ path: String) throws(CorpusError) -> [UInt8] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CorpusError(.missing, path, "cannot be read")
    }
    guard data.count <= 100 << 20 else {
      throw CorpusError(.data, path, "has \(data.count) bytes: no tokenizer is that large")
    }
    return Array(data)
  }
}
