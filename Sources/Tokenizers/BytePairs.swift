/// The byte-pair model: neighbours are joined in the order of the merges, those of one rank from the left.
struct BytePairs: Sendable {
  /// What two neighbours become.
  struct Merge: Sendable {
    /// The lower goes first.
    var rank: Int32
    var id: Int32
  }

  private let trie: PieceTrie
  /// By the ids of the left and the right neighbour.
  private let merges: [UInt64: Merge]
  let unknown: Int32
  /// Whether a run of unknown characters is one unknown.
  private let fusesUnknown: Bool
  /// Whether a word that is a piece stays one, without a merge.
  private let keepsPieces: Bool

  /// - Precondition: The merges' ids are of the vocabulary.
  init(
    _ vocabulary: PieceIDs, merges: [UInt64: Merge], unknown: Int32, fusesUnknown: Bool,
    keepsPieces: Bool
  ) {
    trie = vocabulary.trie
    self.merges = merges
    self.unknown = unknown
    self.fusesUnknown = fusesUnknown
    self.keepsPieces = keepsPieces
  }

  /// The key of a pair of ids.
  static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// Appends the ids of `word` to `ids`.
  ///
  /// - Complexity: O(`n` log `n`).
  func encode(_ word: ArraySlice<Unicode.Scalar>, into ids: inout [Int32]) {
    if keepsPieces, let id = trie.value(of: word.utf8) {
      ids.append(id)
      return
    }
    var symbols = symbols(of: word)
    var open = Heap()
    for index in symbols.indices.dropLast() { offer(index, symbols, to: &open) }
    while let next = open.popLowest() {
      let left = next.place
      let right = symbols[left].next
      // What was joined since may have taken either away, or made them another pair.
      guard symbols[left].id >= 0, right >= 0,
        merges[BytePairs.pair(symbols[left].id, symbols[right].id)]?.id == next.id
      else { continue }
      symbols[left].id = next.id
      symbols[left].next = symbols[right].next
      symbols[right].id = -1
      if symbols[left].next >= 0 { symbols[symbols[left].next].previous = left }
      if symbols[left].previous >= 0 { offer(symbols[left].previous, symbols, to: &open) }
      offer(left, symbols, to: &open)
    }
    for symbol in symbols where symbol.id >= 0 { ids.append(symbol.id) }
  }

  /// A link of the chain of a word's pieces.
  private struct Symbol {
    /// −1 for what was joined to its left neighbour.
    var id: Int32
    var previous: Int
    var next: Int
  }

  /// The characters of a word.
  private func symbols(of word: ArraySlice<Unicode.Scalar>) -> [Symbol] {
    var symbols: [Symbol] = []
    symbols.reserveCapacity(word.count)
    var isInUnknown = false
    for scalar in word {
      let found = trie.value(of: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      if found == nil, isInUnknown, fusesUnknown { continue }
      isInUnknown = found == nil
      symbols.append(
        Symbol(id: found ?? unknown, previous: symbols.count - 1, next: symbols.count + 1))
    }
    if !symbols.isEmpty { symbols[symbols.count - 1].next = -1 }
    return symbols
  }

  private func offer(_ place: Int, _ symbols: [Symbol], to open: inout Heap) {
    let next = symbols[place].next
    guard next >= 0,
      let merge = merges[BytePairs.pair(symbols[place].id, symbols[next].id)]
    else { return }
    open.insert(Candidate(rank: merge.rank, id: merge.id, place: place))
  }

  /// A merge that was possible when it was found.
  private struct Candidate {
    var rank: Int32
    var id: Int32
    var place: Int

    func precedes(_ other: Candidate) -> Bool {
      rank != other.rank ? rank < other.rank : place < other.place
    }
  }

  /// A binary heap, the candidate that goes first on top.
  private struct Heap {
    private var candidates: [Candidate] = []

    mutating func insert(_ candidate: Candidate) {
      candidates.append(candidate)
      var child = candidates.count - 1
      while child > 0, candidates[child].precedes(candidates[(child - 1) / 2]) {
        candidates.swapAt(child, (child - 1) / 2)
        child = (child - 1) / 2
      }
    }

    mutating func popLowest() -> Candidate? {
      guard let last = candidates.popLast() else { return nil }
      guard let top = candidates.first else { return last }
      candidates[0] = last
      var parent = 0
      while true {
        let first = 2 * parent + 1
        guard first < candidates.count else { return top }
        let second = first + 1
        let isSecond =
          second < candidates.count && candidates[second].precedes(candidates[first])
        let child = isSecond ? second : first
        guard candidates[child].precedes(candidates[parent]) else { return top }
        candidates.swapAt(child, parent)
        parent = child
      }
    }
  }
}
