public import Files
import Foundation

/// Reads tokenizers from the files that checkpoints carry.
public enum TokenizerLoader {
  /// Reads the tokenizer at `path`.
  ///
  /// - Parameter path: A directory, of which the first of `tokenizer.json`, `vocab.txt`,
  ///   `sentencepiece.bpe.model` and the only other `*.model` is read; or one such file. Beside a
  ///   `.json` or `.txt` file `tokenizer_config.json` and `special_tokens_map.json` are read too.
  /// - Throws: ``FileError``, `missing` if there is no such file, `data` if it is not a tokenizer.
  public static func load(_ path: String) throws(FileError) -> any Tokenizer {
    var isDirectory: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw FileError(
        .missing, path,
        "there is no such file or directory; name a tokenizer's directory or one of its files")
    }
    if isDirectory.boolValue { return try load(directory: path) }
    let bytes = try TokenizerFiles.contents(of: path)
    let url = URL(filePath: path)
    switch url.pathExtension {
    case "model": return try SentencePieceTokenizer(path: path, bytes: bytes)
    case "json":
      var files = try settings(beside: url)
      files.append("tokenizer.json", bytes)
      return try PipelineTokenizer(json: "tokenizer.json", path: path, of: files)
    case "txt":
      var files = try settings(beside: url)
      files.append("vocab.txt", bytes)
      return try PipelineTokenizer(vocabulary: "vocab.txt", path: path, of: files)
    default:
      throw FileError(
        .data, path,
        "is no kind of tokenizer that is known; name a tokenizer.json, vocab.txt or *.model file")
    }
  }

  private static func load(directory: String) throws(FileError) -> any Tokenizer {
    let files = try TokenizerFiles(directory: directory)
    if files["tokenizer.json"] != nil {
      let path = files.path(of: "tokenizer.json")
      return try PipelineTokenizer(json: "tokenizer.json", path: path, of: files)
    }
    if files["vocab.txt"] != nil {
      let path = files.path(of: "vocab.txt")
      return try PipelineTokenizer(vocabulary: "vocab.txt", path: path, of: files)
    }
    return try SentencePieceTokenizer(in: files)
  }

  private static func settings(beside file: URL) throws(FileError) -> TokenizerFiles {
    try TokenizerFiles(
      directory: file.deletingLastPathComponent().path,
      names: ["tokenizer_config.json", "special_tokens_map.json"])
  }
}
