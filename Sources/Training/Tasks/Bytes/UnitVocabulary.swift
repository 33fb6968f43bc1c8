import Corpus

/// The ids of the units that words are cut into.
///
/// Bytes are their own ids. Characters have the ids 1, 2, … in the order of their code points; 0 is any other one.
struct UnitVocabulary: Sendable, Equatable {
  let units: WordUnits
  /// The characters, ascending; empty for bytes.
  let characters: [UInt32]
  private let ids: [UInt32: Int32]

  /// The vocabulary of the words that a model is trained on.
  init(_ units: WordUnits, of sentences: some Sequence<Sentence>) {
    var seen: Set<UInt32> = []
    if units == .characters {
      for sentence in sentences {
        for word in sentence.words { seen.formUnion(word.unicodeScalars.lazy.map(\.value)) }
      }
    }
    self.init(units, characters: seen.sorted())
  }

  /// - Precondition: The characters are ascending, and none for bytes.
  init(_ units: WordUnits, characters: [UInt32]) {
    self.units = units
    self.characters = characters
    ids = Dictionary(
      uniqueKeysWithValues: zip(characters, characters.indices.map { Int32($0 + 1) }))
  }

  var count: Int { units == .bytes ? 256 : characters.count + 1 }

  /// The ids of a word's first units, and whether some were cut off.
  func ids(of word: String, limit: Int) -> (ids: [Int32], isCut: Bool) {
    switch units {
    case .bytes: (word.utf8.prefix(limit).map(Int32.init), word.utf8.count > limit)
    case .characters:
      (
        word.unicodeScalars.prefix(limit).map { ids[$0.value] ?? 0 },
        word.unicodeScalars.count > limit
      )
    }
  }
}
