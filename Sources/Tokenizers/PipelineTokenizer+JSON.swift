import Files

extension PipelineTokenizer {
  /// Reads a `tokenizer.json` of the models WordPiece, Unigram and BPE.
  ///
  /// - Parameters:
  ///   - name: The file's name in `files`.
  ///   - path: Its path, for messages.
  init(json name: String, path: String, of files: TokenizerFiles) throws(FileError) {
    let json = try TokenizerFiles.json(files[name] ?? [], path: path)
    let reader = TokenizerJSON(path: path)
    guard let model = json["model"] else { throw reader.wrong("model", "is missing") }
    let added = try reader.addedTokens(json["added_tokens"])
    let normalizer = try reader.normalizer(json["normalizer"])
    let wordSplitter = try reader.wordSplitter(json["pre_tokenizer"])
    if wordSplitter.marksFirst, normalizer.stripsLeft {
      throw reader.wrong(
        "pre_tokenizer", "has prepend_scheme first, which is not supported after Strip on the left")
    }
    // Models from before the field was written tell themselves by their members.
    let isUnigram = model["vocab"]?.array != nil
    let usual = isUnigram ? "Unigram" : model["merges"] == nil ? "WordPiece" : "BPE"
    let kind = model["type"]?.string ?? usual
    let (vocabulary, unknown, stage): (PieceIDs, Int32, Model)
    switch kind {
    case "WordPiece":
      vocabulary = try PieceIDs(reader.numberedPieces(model), path: path, field: "model.vocab")
      let name = model["unk_token"]?.string ?? "[UNK]"
      guard let id = vocabulary[name] else {
        throw reader.wrong("model.unk_token", "\(name.debugDescription) is not in the vocabulary")
      }
      unknown = id
      stage = .wordPiece(
        WordPiece(
          vocabulary, unknown: unknown,
          prefix: model["continuing_subword_prefix"]?.string ?? "##",
          wordLimit: model["max_input_chars_per_word"]?.int ?? 100))
    case "Unigram":
      let scored = try reader.scoredPieces(model)
      vocabulary = try PieceIDs(scored.map(\.piece), path: path, field: "model.vocab")
      unknown = try reader.unknown(model, count: scored.count)
      stage = .unigram(try reader.unigram(scored, unknown: unknown))
    case "BPE":
      vocabulary = try PieceIDs(reader.numberedPieces(model), path: path, field: "model.vocab")
      let model = try reader.bytePairs(model, vocabulary)
      unknown = model.unknown
      stage = .bytePairs(model)
    default:
      throw reader.wrong(
        "model.type", "\(kind.debugDescription) is not supported; use WordPiece, Unigram or BPE")
    }
    let pieces = try reader.joined(vocabulary, added)
    let specials = try TokenizerSettings(files).specials(path: path, unknown: unknown) {
      pieces[$0]
    }
    let normalizedTokens = added.filter(\.isNormalized).map {
      var token = $0.token
      token.content = normalizer.normalize(token.content)
      return token
    }
    self.init(
      pieces: pieces.pieces, specials: specials,
      stages: Stages(
        tokens: AddedTokens(added.filter { !$0.isNormalized }.map(\.token)),
        normalizedTokens: AddedTokens(normalizedTokens), normalizer: normalizer,
        wordSplitter: wordSplitter, model: stage),
      files: files.files)
  }
}

/// Reads the vocabulary and added tokens of a `tokenizer.json`.
struct TokenizerJSON {
  let path: String

  func wrong(_ place: String, _ message: String) -> FileError {
    FileError(.data, path, subject: place, message)
  }

  // MARK: Added tokens

  struct Added {
    var token: AddedToken
    /// Found in the normalised text rather than in the text as it is.
    var isNormalized: Bool
    var name: String
  }

  func addedTokens(_ json: JSONValue?) throws(FileError) -> [Added] {
    guard let json, !json.isNull else { return [] }
    guard let entries = json.array else { throw wrong("added_tokens", "is not a list") }
    var added: [Added] = []
    for (index, entry) in entries.enumerated() {
      guard let name = entry["content"]?.string, let id = entry["id"]?.int.flatMap(Int32.init),
        id >= 0
      else { throw wrong("added_tokens[\(index)]", "needs content and an id from 0 on") }
      let token = AddedToken(
        content: Array(name.unicodeScalars), id: id,
        isSingleWord: entry["single_word"]?.bool ?? false,
        stripsLeft: entry["lstrip"]?.bool ?? false, stripsRight: entry["rstrip"]?.bool ?? false)
      added.append(
        Added(token: token, isNormalized: entry["normalized"]?.bool ?? false, name: name))
    }
    return added
  }

  // MARK: Vocabularies

  /// The pieces of a WordPiece or BPE model, in the order of their ids.
  func numberedPieces(_ model: JSONValue) throws(FileError) -> [String] {
    guard let members = model["vocab"]?.object?.members else {
      throw wrong("model.vocab", "is not an object of pieces and ids")
    }
    var pieces = [String?](repeating: nil, count: members.count)
    for member in members {
      let piece = member.name
      guard let id = member.value.int, pieces.indices.contains(id) else {
        throw wrong(
          "model.vocab", "gives \(piece.debugDescription) an id that is not in 0..<\(pieces.count)")
      }
      if let other = pieces[id] {
        throw wrong(
          "model.vocab",
          "gives the id \(id) to \(other.debugDescription) and \(piece.debugDescription)")
      }
      pieces[id] = piece
    }
    return pieces.compactMap { $0 }
  }

  /// The pieces of a Unigram model and their scores, in the order of their ids.
  func scoredPieces(
    _ model: JSONValue
  ) throws(FileError) -> [(piece: String, score: Double)] {
    guard let entries = model["vocab"]?.array else {
      throw wrong("model.vocab", "is not a list of pieces and scores")
    }
    var pieces: [(piece: String, score: Double)] = []
    for (index, entry) in entries.enumerated() {
      guard let pair = entry.array, pair.count == 2, let piece = pair[0].string,
        let score = pair[1].serdeDouble
      else { throw wrong("model.vocab[\(index)]", "is not a piece and a finite score") }
      pieces.append((piece, score))
    }
    return pieces
  }

  func unknown(_ model: JSONValue, count: Int) throws(FileError) -> Int32 {
    guard let id = model["unk_id"]?.int, (0..<count).contains(id), let unknown = Int32(exactly: id)
    else { throw wrong("model.unk_id", "is not an id in 0..<\(count)") }
    return unknown
  }

  func unigram(
    _ scored: [(piece: String, score: Double)], unknown: Int32
  ) throws(FileError) -> Unigram<Double> {
    let pieces = zip(scored, Int32(0)...).map {
      Unigram<Double>.Piece(text: Array($0.piece.utf8), id: $1, score: $0.score)
    }
    let lowest = scored.reduce(Double.infinity) { min($0, $1.score) }
    do throws(PieceTrie.Duplicate) {
      return try Unigram(pieces, unknown: unknown, unknownScore: lowest - 10)
    } catch {
      throw wrong("model.vocab", "has a piece twice")
    }
  }

  /// The model's pieces and after them the added tokens that it lacks.
  func joined(_ known: PieceIDs, _ added: [Added]) throws(FileError) -> PieceIDs {
    var all = known.pieces
    var news = added.filter { known[$0.name] == nil }
    news.sort { $0.token.id < $1.token.id }
    for token in news {
      guard token.token.id == all.count else {
        throw wrong(
          "added_tokens",
          "gives \(token.name.debugDescription) the id \(token.token.id) where the next free one is \(all.count)"
        )
      }
      all.append(token.name)
    }
    for token in added {
      if let id = known[token.name], id != token.token.id {
        throw wrong(
          "added_tokens",
          "gives \(token.name.debugDescription) the id \(token.token.id), model.vocab \(id)")
      }
    }
    return news.isEmpty ? known : try PieceIDs(all, path: path, field: "added_tokens")
  }
}
