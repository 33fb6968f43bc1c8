import Files

extension TokenizerJSON {
  /// A model of byte pairs: `merges` of the pieces in `vocab`, the first going first.
  func bytePairs(_ model: JSONValue, _ vocabulary: PieceIDs) throws(FileError) -> BytePairs {
    for field in ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] {
      guard let value = model[field], !value.isNull, value.string != "", value.serdeDouble != 0
      else {
        continue
      }
      throw wrong("model.\(field)", "is not supported; save the tokenizer without it")
    }
    if model["byte_fallback"]?.bool == true {
      throw wrong("model.byte_fallback", "is not supported; train the tokenizer without it")
    }
    guard let name = model["unk_token"]?.string, let unknown = vocabulary[name] else {
      throw wrong("model.unk_token", "is not a piece of the vocabulary; set it to one")
    }
    guard let entries = model["merges"]?.array, let count = Int32(exactly: entries.count) else {
      throw wrong("model.merges", "is not a list of pairs of pieces")
    }
    var merges: [UInt64: BytePairs.Merge] = [:]
    merges.reserveCapacity(entries.count)
    for (rank, entry) in zip(0..<count, entries) {
      let (left, right) = try pair(entry, rank)
      func id(_ piece: String) throws(FileError) -> Int32 {
        if let id = vocabulary[piece] { return id }
        throw wrong("model.merges[\(rank)]", "needs \(piece.debugDescription), which is no piece")
      }
      let merged = BytePairs.Merge(rank: rank, id: try id(left + right))
      merges[BytePairs.pair(try id(left), try id(right))] = merged
    }
    return BytePairs(
      vocabulary, merges: merges, unknown: unknown,
      fusesUnknown: model["fuse_unk"]?.bool ?? false,
      keepsPieces: model["ignore_merges"]?.bool ?? false)
  }

  /// Two pieces, as a list or with a blank between them.
  private func pair(_ entry: JSONValue, _ rank: Int32) throws(FileError) -> (String, String) {
    let parts = entry.array?.compactMap(\.string) ?? []
    if parts.count == 2, entry.array?.count == 2 { return (parts[0], parts[1]) }
    if let text = entry.string {
      // Scalars, since a blank and a mark behind it are one Character.
      let parts = text.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
      if parts.count == 2 { return (String(parts[0]), String(parts[1])) }
    }
    throw wrong("model.merges[\(rank)]", "is not two pieces")
  }
}
