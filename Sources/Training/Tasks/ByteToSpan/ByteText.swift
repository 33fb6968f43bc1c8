package import Corpus
import Determinism
package import Files

/// Sentences as one string of bytes: all their words in UTF-8, with a space between any two.
package struct ByteText: Sendable {
  package let sentences: [Sentence]
  package private(set) var bytes: [UInt8] = []
  /// Where each word lies in the bytes.
  package private(set) var words: [Range<Int>] = []
  /// Word bounds of the sentences.
  private(set) var sentenceBounds = [0]
  /// The entities that a window can hold, ascending; they do not overlap.
  package private(set) var spans: [ByteSpan] = []
  /// Entities that no window can hold: of more bytes than one, or of none.
  package private(set) var lostSpans = 0
  private let window: Int

  static let none = ByteText()
  private init() {
    sentences = []
    window = 1
  }

  /// - Parameter readsTags: Whether the sentences' tags are entities to be learned or found; otherwise they are ignored.
  /// - Throws: ``FileError`` with the line of a tag that is not IOB2's, or of a type that the vocabulary does not have.
  package init(
    _ sentences: [Sentence], _ vocabulary: SpanVocabulary, readsTags: Bool
  ) throws(FileError) {
    self.sentences = sentences
    window = vocabulary.window
    let types = Dictionary(uniqueKeysWithValues: zip(vocabulary.types, vocabulary.types.indices))
    for sentence in sentences {
      let first = words.count
      for word in sentence.words {
        if !words.isEmpty { bytes.append(UInt8(ascii: " ")) }
        let start = bytes.count
        bytes += word.utf8
        words.append(start..<bytes.count)
      }
      sentenceBounds.append(words.count)
      if readsTags { try addSpans(of: sentence, firstWord: first, types) }
    }
  }

  private mutating func addSpans(
    of sentence: Sentence, firstWord: Int, _ types: [String: Int]
  ) throws(FileError) {
    var open: ByteSpan?
    for (place, tag) in sentence.tags.enumerated() {
      let word = words[firstWord + place]
      if tag == "O" {
        add(open)
        open = nil
        continue
      }
      guard let (opens, name) = SpanVocabulary.parts(of: tag),
        opens || open.map({ $0.type == types[name] }) ?? false
      else {
        throw FileError(
          .data, sentence.path, line: sentence.line(ofWord: place),
          "tag '\(printable(tag, limit: 64))' is not IOB2's here: an entity opens with B- and goes on with I- of its type"
        )
      }
      guard let type = types[name] else {
        throw FileError(
          .data, sentence.path, line: sentence.line(ofWord: place),
          "unknown type '\(printable(name, limit: 64))'; the model knows \(types.keys.sorted().joined(separator: ", ")); correct the tag or train with it"
        )
      }
      if opens {
        add(open)
        open = ByteSpan(start: word.lowerBound, length: word.count, type: type)
      } else if let start = open?.start {
        open?.length = word.upperBound - start
      }
    }
    add(open)
  }

  private mutating func add(_ span: ByteSpan?) {
    guard let span else { return }
    if (1...window).contains(span.length) { spans.append(span) } else { lostSpans += 1 }
  }

  // MARK: Windows

  /// The windows that begin at every byte: the last one ends with the text.
  var windowCount: Int { bytes.isEmpty ? 0 : max(1, bytes.count - window + 1) }

  /// The beginnings of windows at equal distances, but that of the last one, which ends with the text: like those of
  /// training, all have the same length unless the text is shorter.
  func windowStarts(stride: Int) -> [Int] {
    if bytes.isEmpty { return [] }
    let last = max(0, bytes.count - window)
    return Swift.stride(from: 0, to: last, by: stride) + [last]
  }

  /// The bytes of a window.
  func window(at start: Int) -> Range<Int> { start..<min(start + window, bytes.count) }

  /// The spans that lie wholly inside a window, counted from its beginning, in descending order of their starts.
  func spans(in window: Range<Int>) -> [ByteSpan] {
    var (low, high) = (0, spans.count)
    while low < high {
      let middle = (low + high) / 2
      if spans[middle].start < window.lowerBound { low = middle + 1 } else { high = middle }
    }
    return spans[low...].prefix { $0.end <= window.upperBound }
      .reversed().map {
        ByteSpan(start: $0.start - window.lowerBound, length: $0.length, type: $0.type)
      }
  }

  /// The word that a byte belongs to, or stands before.
  func word(at byte: Int) -> Int {
    var (low, high) = (0, words.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if words[middle].upperBound <= byte { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The file and the line of a byte.
  func place(of byte: Int) -> (path: String, line: Int) {
    let word = word(at: byte)
    var (low, high) = (0, sentences.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if sentenceBounds[middle + 1] <= word { low = middle + 1 } else { high = middle }
    }
    return (sentences[low].path, sentences[low].line(ofWord: word - sentenceBounds[low]))
  }

  // MARK: Tags

  /// The spans of overlapping windows as spans of the text, ascending.
  ///
  /// Of spans that overlap, the one stays that begins earlier in its own window, and so has more text behind it; of equal ones
  /// the one of the earlier window, of one window the first.
  ///
  /// - Parameter found: The beginning of each window, ascending, and its spans, counted from there.
  package func merged(_ found: [(start: Int, spans: [ByteSpan])]) -> [ByteSpan] {
    var candidates: [(place: Int, span: ByteSpan)] = []
    for (start, spans) in found {
      for span in spans {
        let own = ByteSpan(start: start + span.start, length: span.length, type: span.type)
        candidates.append((span.start, own))
      }
    }
    let order = candidates.indices.sorted {
      (candidates[$0].place, $0) < (candidates[$1].place, $1)
    }
    var isTaken = [Bool](repeating: false, count: bytes.count)
    var kept: [ByteSpan] = []
    for index in order {
      let span = candidates[index].span
      if isTaken[span.start..<span.end].contains(true) { continue }
      for byte in span.start..<span.end { isTaken[byte] = true }
      kept.append(span)
    }
    return kept.sorted { $0.start < $1.start }
  }

  /// The tags of each sentence in IOB2.
  ///
  /// A word has the type of the nearest span that begins at it or before, if that span holds it whole. The first such word of
  /// a span in a sentence opens an entity: the one where the span begins, or the one behind the space there. A span that
  /// begins inside a word, or goes on from another sentence, is so an entity of its whole words.
  ///
  /// - Parameter spans: Ascending, without overlaps.
  package func tags(of spans: [ByteSpan], _ types: [String]) -> [[String]] {
    var next = 0
    return sentences.indices.map { sentence in
      var last: Int?
      return words[sentenceBounds[sentence]..<sentenceBounds[sentence + 1]].map { word in
        while next < spans.count, spans[next].start <= word.lowerBound { next += 1 }
        guard next > 0, word.upperBound <= spans[next - 1].end else { return "O" }
        defer { last = next }
        return (last == next ? "I-" : "B-") + types[spans[next - 1].type]
      }
    }
  }

  var fingerprint: UInt64 {
    var hash = FNV1a()
    for byte in bytes { hash.add(byte: byte) }
    for word in words { hash.add(word: UInt64(word.upperBound)) }
    for bound in sentenceBounds { hash.add(word: UInt64(bound)) }
    for span in spans {
      for number in [span.start, span.length, span.type] { hash.add(word: UInt64(number)) }
    }
    return hash.value
  }
}
