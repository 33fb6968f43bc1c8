/// The WordPiece model: a word is cut, from its start, into the longest pieces that the vocabulary has.
struct WordPiece: Sendable {
  private let trie: PieceTrie
  /// Below this node are the pieces that go on within a word; nil if there are none.
  private let continuing: Int?
  private let unknown: Int32
  private let wordLimit: Int

  /// - Parameters:
  ///   - prefix: What marks pieces that go on within a word, for example `##`.
  ///   - wordLimit: A word of more scalars than this is unknown.
  init(_ vocabulary: PieceIDs, unknown: Int32, prefix: String, wordLimit: Int) {
    trie = vocabulary.trie
    continuing = trie.node(of: prefix.utf8)
    self.unknown = unknown
    self.wordLimit = wordLimit
  }

  /// Appends the ids of `word` to `ids`: one unknown if any part of it is in no piece.
  func encode(_ word: ArraySlice<Unicode.Scalar>, into ids: inout [Int32]) {
    if word.isEmpty { return }
    guard word.count <= wordLimit else { return ids.append(unknown) }
    let bytes = word.utf8
    let before = ids.count
    var start = 0
    while start < bytes.count {
      guard let (id, end) = longest(bytes, from: start) else {
        ids.removeLast(ids.count - before)
        return ids.append(unknown)
      }
      ids.append(id)
      start = end
    }
  }

  /// The longest piece of `bytes` from `start` on: its id and where it ends.
  private func longest(_ bytes: [UInt8], from start: Int) -> (id: Int32, end: Int)? {
    guard var node = start == 0 ? PieceTrie.root : continuing else { return nil }
    var found: (id: Int32, end: Int)?
    for index in start..<bytes.count {
      guard let next = trie.step(node, bytes[index]) else { break }
      node = next
      if trie.value(node) >= 0 { found = (trie.value(node), index + 1) }
    }
    return found
  }
}

extension Sequence<Unicode.Scalar> {
  /// The scalars' UTF-8 code units.
  var utf8: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(utf8Of: self)
    return bytes
  }
}

extension [UInt8] {
  /// Appends the UTF-8 code units of scalars.
  mutating func append(utf8Of scalars: some Sequence<Unicode.Scalar>) {
    for scalar in scalars {
      if scalar.isASCII {
        append(UInt8(scalar.value))
      } else {
        append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      }
    }
  }
}
