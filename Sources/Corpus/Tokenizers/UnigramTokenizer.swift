import Foundation

/// A Unigram model (Kudo, 2018) as Hugging Face's `tokenizers` runs it: the segmentation of the highest
/// summed score.
public struct UnigramTokenizer: Tokenizer {
  /// A step of normalisation.
  enum Normaliser: Sendable {
    case precompiled(PrecompiledNormaliser)
    case replace(String, String)
    /// Two or more blanks become this text.
    case joinBlanks(String)
    case strip(left: Bool, right: Bool)
    case compatibilityComposition
    case composition
    case lowercase
  }

  /// How normalised text is cut before the model sees it.
  struct Pretokeniser: Sendable {
    enum Prepending: String, Sendable { case always, first, never }
    var splitsAtBlanks = false
    /// What takes the place of blanks; nil to leave them.
    var mark: String?
    var prepends = Prepending.always
    var splitsAtMarks = true
  }

  private let pieces: [String]
  private let scores: [Double]
  private let trie: PieceTrie
  private let unknown: Int32
  private let unknownScore: Double
  private let normalisers: [Normaliser]
  private let pretokeniser: Pretokeniser
  private let added: AddedTokens
  public let specials: SpecialTokens
  public let vocabularySize: Int
  public let files: [(name: String, bytes: [UInt8])]

  init(
    pieces: [(String, Double)], unknown: Int, added: [(String, Int32)], normaliser: [Normaliser],
    pretokeniser: Pretokeniser, path: String, files: [(name: String, bytes: [UInt8])]
  ) throws(CorpusError) {
    var names = pieces.map(\.0)
    scores = pieces.map(\.1)
    trie = PieceTrie(names)
    self.unknown = Int32(unknown)
    unknownScore = (scores.min() ?? 0) - 10
    normalisers = normaliser
    self.pretokeniser = pretokeniser
    self.added = AddedTokens(added)
    self.files = files
    for (text, id) in added.sorted(by: { $0.1 < $1.1 }) where Int(id) >= names.count {
      while names.count < Int(id) { names.append("") }
      names.append(text)
    }
    self.pieces = names
    vocabularySize = names.count
    func id(_ names: [String]) throws(CorpusError) -> Int32 {
      for name in names {
        if let id = added.first(where: { $0.0 == name })?.1 { return id }
        if let id = pieces.firstIndex(where: { $0.0 == name }) { return Int32(id) }
      }
      throw CorpusError(
        .data, path, "has no piece \(names[0]); the special tokens of XLM-R are needed")
    }
    specials = SpecialTokens(
      start: try id(["<s>", "[CLS]"]), end: try id(["</s>", "[SEP]"]),
      padding: try id(["<pad>", "[PAD]"]), unknown: Int32(unknown),
      mask: try? id(["<mask>", "[MASK]"]))
  }

  public func encode(_ text: String) -> [Int32] {
    var result: [Int32] = []
    var isFirst = true
    added.split(text) { part in
      switch part {
      case .token(let id): result.append(id)
      case .text(let text):
        for piece in pretokenised(normalised(text), isFirst: isFirst) {
          segment(piece, into: &result)
        }
      }
      isFirst = false
    }
    return result
  }

  public func encode(words: [String]) -> [[Int32]] { words.map { encode($0) } }

  public func piece(of id: Int32) -> String { pieces[Int(id)] }

  private func normalised(_ text: String) -> String {
    normalisers.reduce(text) { text, normaliser in
      switch normaliser {
      case .precompiled(let map): return map.normalise(text)
      case .replace(let old, let new): return text.replacingOccurrences(of: old, with: new, options: .literal)
      case .joinBlanks(let new): return joinedBlanks(text, new)
      case .strip(let left, let right):
        var scalars = Substring(text).unicodeScalars
        if left { scalars = scalars.drop { CharacterClass.isBlank($0) } }
        while right, let last = scalars.last, CharacterClass.isBlank(last) { scalars.removeLast() }
        return String(scalars)
      case .compatibilityComposition: return text.precomposedStringWithCompatibilityMapping
      case .composition: return text.precomposedStringWithCanonicalMapping
      case .lowercase:
        var lower = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
          lower.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
        }
        return String(lower)
      }
    }
  }

  private func joinedBlanks(_ text: String, _ replacement: String) -> String {
    var result = String.UnicodeScalarView()
    var blanks = 0
    func flush() {
      if blanks == 1 { result.append(" ") }
      if blanks > 1 { result.append(contentsOf: replacement.unicodeScalars) }
      blanks = 0
    }
    for scalar in text.unicodeScalars {
      if scalar == " " {
        blanks += 1
      } else {
        flush()
        result.append(scalar)
      }
    }
    flush()
    return String(result)
  }

  private func pretokenised(_ text: String, isFirst: Bool) -> [String] {
    var parts = [text]
    if pretokeniser.splitsAtBlanks {
      parts = text.unicodeScalars.split { CharacterClass.isBlank($0) }.map { String($0) }
    }
    guard let mark = pretokeniser.mark, let markScalar = mark.unicodeScalars.first else {
      return parts
    }
    return parts.enumerated().flatMap { index, part -> [String] in
      if part.isEmpty { return [] }
      var scalars = Array(part.unicodeScalars).map { $0 == " " ? markScalar : $0 }
      let prepends: Bool =
        switch pretokeniser.prepends {
        case .always: true
        case .first: isFirst && index == 0
        case .never: false
        }
      if prepends, scalars.first != markScalar { scalars.insert(markScalar, at: 0) }
      guard pretokeniser.splitsAtMarks else { return [Self.string(scalars)] }
      var words: [String] = []
      var start = 0
      for place in scalars.indices.dropFirst() where scalars[place] == markScalar {
        words.append(Self.string(scalars[start..<place]))
        start = place
      }
      words.append(Self.string(scalars[start...]))
      return words
    }
  }

  private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  /// The best path by Viterbi over bytes; of equal scores the one found first stays. Neighbouring unknown
  /// characters become one unknown token.
  private func segment(_ text: String, into result: inout [Int32]) {
    let bytes = Array(text.utf8)
    if bytes.isEmpty { return }
    struct Node {
      var score = 0.0
      var start = -1
      var id: Int32 = 0
    }
    var nodes = [Node](repeating: Node(), count: bytes.count + 1)
    var start = 0
    while start < bytes.count {
      let here = nodes[start].score
      let length = Self.scalarLength(bytes[start])
      var hasSingle = false
      trie.forEachPrefix(of: bytes, from: start) { id, end in
        let score = here + scores[Int(id)]
        if nodes[end].start < 0 || score > nodes[end].score {
          nodes[end] = Node(score: score, start: start, id: id)
        }
        if end - start == length { hasSingle = true }
      }
      if !hasSingle {
        let end = min(start + length, bytes.count)
        let score = here + unknownScore
        if nodes[end].start < 0 || score > nodes[end].score {
          nodes[end] = Node(score: score, start: start, id: unknown)
        }
      }
      start += length
    }
    var path: [Int32] = []
    var end = bytes.count
    while end > 0 {
      let node = nodes[end]
      if node.id != unknown || path.last != unknown { path.append(node.id) }
      end = node.start
    }
    result += path.reversed()
  }

  private static func scalarLength(_ lead: UInt8) -> Int {
    lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
  }
}

/// The pieces of a vocabulary by their bytes.
struct PieceTrie: Sendable {
  private var children: [UInt64: Int32] = [:]
  private var ids: [Int32] = [-1]

  init(_ pieces: [String]) {
    children.reserveCapacity(pieces.count * 3)
    for (id, piece) in pieces.enumerated() where !piece.isEmpty {
      var node: Int32 = 0
      for byte in piece.utf8 {
        let key = Self.key(node, byte)
        if let next = children[key] {
          node = next
        } else {
          node = Int32(ids.count)
          ids.append(-1)
          children[key] = node
        }
      }
      ids[Int(node)] = Int32(id)
    }
  }

  private static func key(_ node: Int32, _ byte: UInt8) -> UInt64 {
    UInt64(UInt32(bitPattern: node)) << 8 | UInt64(byte)
  }

  /// Calls `body` with each piece that the bytes from `start` begin with, shortest first, and its end.
  func forEachPrefix(of bytes: [UInt8], from start: Int, _ body: (_ id: Int32, _ end: Int) -> Void)
  {
    var node: Int32 = 0
    for index in start..<bytes.count {
      guard let next = children[Self.key(node, bytes[index])] else { return }
      node = next
      if ids[Int(node)] >= 0 { body(ids[Int(node)], index + 1) }
    }
  }
}

/// SentencePiece's compiled normalisation: a double-array trie of byte strings, and their replacements.
///
/// Works grapheme by grapheme as `tokenizers` does: a grapheme of fewer than six bytes is looked up whole,
/// others, and those not found, scalar by scalar; the shortest key that the text begins with counts.
struct PrecompiledNormaliser: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// - Throws: ``CorpusError`` if the trie's size does not fit the bytes.
  init(bytes: [UInt8], path: String) throws(CorpusError) {
    guard bytes.count >= 4 else {
      throw CorpusError(.data, path, "its precompiled_charsmap is empty")
    }
    let size = Int(Self.word(bytes, 0))
    guard size % 4 == 0, size > 0, size <= bytes.count - 4 else {
      throw CorpusError(
        .data, path,
        "its precompiled_charsmap says that its trie has \(size) of \(bytes.count) bytes")
    }
    units = (0..<size / 4).map { Self.word(bytes, 4 + 4 * $0) }
    replacements = Array(bytes[(4 + size)...])
  }

  private static func word(_ bytes: [UInt8], _ at: Int) -> UInt32 {
    UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16
      | UInt32(bytes[at + 3]) << 24
  }

  func normalise(_ text: String) -> String {
    var result: [UInt8] = []
    result.reserveCapacity(text.utf8.count + 8)
    for grapheme in text {
      let bytes = Array(grapheme.utf8)
      if bytes.count < 6, let replacement = replacement(bytes) {
        result += replacement
        continue
      }
      for scalar in grapheme.unicodeScalars {
        let part = UTF8.encode(scalar).map(Array.init) ?? []
        if let replacement = replacement(part) {
          result += replacement
        } else {
          result += part
        }
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private func replacement(_ key: [UInt8]) -> ArraySlice<UInt8>? {
    guard var node = units.first.map({ Int(Self.offset($0)) }) else { return nil }
    for byte in key {
      if byte == 0 { return nil }
      node ^= Int(byte)
      guard units.indices.contains(node) else { return nil }
      let unit = units[node]
      if unit & 0x8000_00FF != UInt32(byte) { return nil }
      node ^= Int(Self.offset(unit))
      if unit >> 8 & 1 == 1 {
        guard units.indices.contains(node) else { return nil }
        let start = Int(units[node] & 0x7FFF_FFFF)
        guard start < replacements.count else { return nil }
        let end = replacements[start...].firstIndex(of: 0) ?? replacements.count
        return replacements[start..<end]
      }
    }
    return nil
  }

  private static func offset(_ unit: UInt32) -> UInt32 { (unit >> 10) << ((unit & (1 << 9)) >> 6) }
}
