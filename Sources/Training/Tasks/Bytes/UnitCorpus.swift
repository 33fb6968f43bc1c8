import Corpus
import Determinism
import Files

/// Sentences as units, words and labels.
struct UnitCorpus: Sendable {
  let sentences: [Sentence]
  /// Shape `[units]`.
  private(set) var units: [Int32] = []
  /// Unit bounds of the words. If there is a separator, all words of a sentence but the first begin with it.
  private(set) var wordBounds = [0]
  /// Word bounds of the sentences.
  private(set) var sentenceBounds = [0]
  /// The label of each word. Shape `[words]`, or empty.
  private(set) var labels: [Int32] = []
  /// Words of which units were cut off.
  private(set) var cutWords = 0
  /// Words with a character that the vocabulary does not have.
  private(set) var unknownWords = 0

  static let none = UnitCorpus()
  private init() { sentences = [] }

  /// - Parameters:
  ///   - separator: What stands between two words of a sentence, if anything does.
  ///   - labels: Nil for sentences without tags.
  /// - Throws: ``FileError`` with the line of a tag that is not among the labels.
  init(
    _ sentences: [Sentence], _ vocabulary: UnitVocabulary, wordLength: Int, separator: Int32?,
    labels: LabelSet?
  ) throws(FileError) {
    self.sentences = sentences
    for sentence in sentences {
      for word in sentence.words {
        if let separator, wordBounds.count - 1 > sentenceBounds[sentenceBounds.count - 1] {
          units.append(separator)
        }
        let (ids, isCut) = vocabulary.ids(of: word, limit: wordLength)
        units += ids
        wordBounds.append(units.count)
        cutWords += isCut ? 1 : 0
        unknownWords += vocabulary.units == .characters && ids.contains(0) ? 1 : 0
      }
      sentenceBounds.append(wordBounds.count - 1)
      if let labels { self.labels += try labels.ids(of: sentence) }
    }
  }

  var count: Int { sentences.count }

  func words(of sentence: Int) -> Range<Int> {
    sentenceBounds[sentence]..<sentenceBounds[sentence + 1]
  }

  /// The units of a sentence. A sentence has one at least, so that every sentence has its share of the work.
  func unitCount(of sentence: Int) -> Int32 {
    let words = words(of: sentence)
    return Int32(max(1, wordBounds[words.upperBound] - wordBounds[words.lowerBound]))
  }

  var unitCounts: [Int32] { (0..<count).map { unitCount(of: $0) } }

  var fingerprint: UInt64 {
    var hash = FNV1a()
    for id in units { hash.add(word: UInt64(bitPattern: Int64(id))) }
    for bound in wordBounds + sentenceBounds { hash.add(word: UInt64(bound)) }
    for label in labels { hash.add(word: UInt64(bitPattern: Int64(label))) }
    return hash.value
  }
}
