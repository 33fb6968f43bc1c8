import Files
import Foundation

/// The files of a tokenizer, as they were read.
struct TokenizerFiles {
  /// What checkpoint directories may hold of a tokenizer.
  static let names = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
    SentencePieceTokenizer.fileName,
  ]

  /// The directory they are in.
  let directory: String
  private(set) var files: [(name: String, bytes: [UInt8])] = []

  /// Reads those of `names` that `directory` has, and all at once.
  init(directory: String, names: [String] = TokenizerFiles.names) throws(FileError) {
    self.directory = directory
    for name in names where FileManager.default.fileExists(atPath: path(of: name)) {
      files.append((name, try TokenizerFiles.contents(of: path(of: name))))
    }
  }

  mutating func append(_ name: String, _ bytes: [UInt8]) { files.append((name, bytes)) }

  /// The bytes of a file; nil if it was not there.
  subscript(name: String) -> [UInt8]? { files.first { $0.name == name }?.bytes }

  func path(of name: String) -> String { "\(directory)/\(name)" }

  /// A JSON file; nil if it was not there.
  func json(_ name: String) throws(FileError) -> JSONValue? {
    guard let bytes = self[name] else { return nil }
    return try TokenizerFiles.json(bytes, path: path(of: name))
  }

  static func json(_ bytes: [UInt8], path: String) throws(FileError) -> JSONValue {
    do throws(JSONError) {
      return try JSONValue(parsing: bytes, names: .any)
    } catch {
      let line = error.offset.map { bytes.prefix($0).reduce(1) { $0 + ($1 == 0x0A ? 1 : 0) } }
      throw FileError(
        .data, path, line: line, subject: error.field,
        "is not JSON: \(error.message); copy the file again or save the tokenizer anew")
    }
  }

  /// The bytes of a file.
  static func contents(of path: String) throws(FileError) -> [UInt8] {
    do {
      return [UInt8](try Data(contentsOf: URL(filePath: path)))
    } catch {
      throw FileError(
        .missing, path, "cannot be read; check that it is a file and its permissions")
    }
  }
}

/// What `tokenizer_config.json` and `special_tokens_map.json` say of a tokenizer.
struct TokenizerSettings {
  private let sources: [JSONValue]

  init(_ files: TokenizerFiles) throws(FileError) {
    var sources: [JSONValue] = []
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
      if let json = try files.json(name) { sources.append(json) }
    }
    self.sources = sources
  }

  /// The spelling of a special token, such as `cls_token`; nil if neither file has it.
  func token(_ key: String) -> String? {
    for source in sources {
      if let name = source[key]?.string ?? source[key]?["content"]?.string { return name }
    }
    return nil
  }

  func bool(_ key: String) -> Bool? {
    for source in sources { if let value = source[key]?.bool { return value } }
    return nil
  }

  /// The ids of the special tokens, by `id`; a name that no file gives is BERT's or XLM-R's.
  func specials(
    path: String, unknown: Int32, id: (String) -> Int32?
  ) throws(FileError) -> SpecialTokens {
    func find(_ key: String, _ usual: [String]) -> Int32? {
      let names = token(key).map { [$0] } ?? usual
      return names.lazy.compactMap(id).first
    }
    func need(_ key: String, _ usual: [String]) throws(FileError) -> Int32 {
      if let found = find(key, usual) { return found }
      let name = token(key) ?? usual.joined(separator: " or ")
      throw FileError(
        .data, path, subject: key,
        "is \(name), which is no piece; set it in tokenizer_config.json to one")
    }
    return SpecialTokens(
      start: try need("cls_token", ["[CLS]", "<s>"]),
      end: try need("sep_token", ["[SEP]", "</s>"]),
      padding: try need("pad_token", ["[PAD]", "<pad>"]), unknown: unknown,
      mask: find("mask_token", ["[MASK]", "<mask>"]))
  }
}
