import Files

extension PipelineTokenizer {
  /// Reads BERT's `vocab.txt`, a piece a line, prepared as `tokenizer_config.json` beside it says.
  ///
  /// - Parameters:
  ///   - name: The vocabulary's name in `files`.
  ///   - path: Its path, for messages.
  init(vocabulary name: String, path: String, of files: TokenizerFiles) throws(FileError) {
    let settings = try TokenizerSettings(files)
    let text = try TextFile(path: path, bytes: files[name] ?? [])
    let pieces = text.lines.map(text.text)
    let ids = try PieceIDs(pieces, path: path, field: "the vocabulary")
    func usual(_ key: String, _ name: String) -> String { settings.token(key) ?? name }
    let unknownName = usual("unk_token", "[UNK]")
    guard let unknown = ids[unknownName] else {
      throw FileError(
        .data, path, subject: "unk_token",
        "is \(unknownName), which is no piece; set it in tokenizer_config.json to one")
    }
    let specials = try settings.specials(path: path, unknown: unknown) { ids[$0] }
    let lowercases = settings.bool("do_lower_case") ?? true
    let tokens = [specials.start, specials.end, specials.padding, unknown, specials.mask]
    self.init(
      pieces: pieces, specials: specials,
      stages: Stages(
        tokens: AddedTokens(
          tokens.compactMap { $0 }.map {
            AddedToken(content: Array(pieces[Int($0)].unicodeScalars), id: $0)
          }),
        normalizedTokens: AddedTokens([]),
        normalizer: .bert(
          BertNormalizer(
            spacesIdeographs: settings.bool("tokenize_chinese_chars") ?? true,
            stripsAccents: settings.bool("strip_accents") ?? lowercases, lowercases: lowercases)),
        wordSplitter: .bert,
        model: .wordPiece(WordPiece(ids, unknown: unknown, prefix: "##", wordLimit: 100))),
      files: files.files)
  }
}

/// The pieces of a vocabulary and the id of each, its place in the list.
struct PieceIDs {
  let pieces: [String]
  let trie: PieceTrie

  /// Takes distinct pieces; `path` and `field` are for messages.
  init(_ pieces: [String], path: String, field: String) throws(FileError) {
    guard let count = Int32(exactly: pieces.count) else {
      throw FileError(.data, path, subject: field, "has \(pieces.count) pieces; ids are of 32 bits")
    }
    self.pieces = pieces
    do throws(PieceTrie.Duplicate) {
      trie = try PieceTrie(zip(pieces, 0..<count).map { (Array($0.utf8), $1) })
    } catch {
      let places = pieces.indices.filter { pieces[$0].utf8.elementsEqual(error.key) }
      let name = String(decoding: error.key, as: UTF8.self)
      throw FileError(
        .data, path, subject: field,
        "has the piece \(name.debugDescription) twice, as ids \(places[0]) and \(places[1]); each piece needs one id"
      )
    }
  }

  subscript(piece: String) -> Int32? { trie.value(of: piece.utf8) }
}
