/// Encodes lines with a tokenizer of stages, words that were seen before from memory; for one thread.
///
/// A line is cut at its blanks. Where each word goes through the stages as it does alone, the ids of the
/// line are those of its words; a line with any other word, or with blanks at its ends or side by side, is
/// given to the tokenizer whole.
struct PipelineLineEncoder: LineEncoder {
  private static let idLimit = 12
  /// In place of the number of ids: the word is not alike alone and in a line.
  private static let irregular: UInt8 = 255
  /// In place of the number of ids: there are too many to keep.
  private static let long: UInt8 = 254

  private let tokenizer: PipelineTokenizer
  private let words: RegularWords
  private var slots = WordSlots()
  private var room = PipelineTokenizer.Room()
  /// By place.
  private var counts = [UInt8](repeating: 0, count: WordSlots.count)
  private var ids = [Int32](repeating: 0, count: WordSlots.count * idLimit)

  /// Nil if the stages do more than work on each word.
  init?(_ tokenizer: PipelineTokenizer) {
    guard let words = RegularWords(tokenizer.stages) else { return nil }
    self.tokenizer = tokenizer
    self.words = words
  }

  mutating func encode(_ line: ArraySlice<UInt8>, into result: inout [Int32]) {
    let before = result.count
    let bytes = line.span
    var start = 0
    while start <= bytes.count {
      var end = start
      while end < bytes.count, bytes[end] != 0x20 { end += 1 }
      guard start < end, append(bytes.extracting(start..<end), to: &result) else {
        result.removeSubrange(before...)
        result += tokenizer.encode(String(decoding: line, as: UTF8.self))
        return
      }
      start = end + 1
    }
  }

  /// Appends the ids of a word; false if it is not alike alone and in a line.
  private mutating func append(_ word: Span<UInt8>, to result: inout [Int32]) -> Bool {
    guard word.count <= WordSlots.byteLimit else { return search(word, into: &result) }
    let (place, isKnown) = slots.place(of: word)
    let first = place * PipelineLineEncoder.idLimit
    if !isKnown || counts[place] == PipelineLineEncoder.long {
      let before = result.count
      guard search(word, into: &result) else {
        counts[place] = PipelineLineEncoder.irregular
        return false
      }
      let count = result.count - before
      guard count <= PipelineLineEncoder.idLimit else {
        counts[place] = PipelineLineEncoder.long
        return true
      }
      for index in 0..<count { ids[first + index] = result[before + index] }
      counts[place] = UInt8(count)
      return true
    }
    if counts[place] == PipelineLineEncoder.irregular { return false }
    for index in first..<(first + Int(counts[place])) { result.append(ids[index]) }
    return true
  }

  /// Takes a word through the stages; false if it is not alike alone and in a line.
  private mutating func search(_ word: Span<UInt8>, into result: inout [Int32]) -> Bool {
    guard let text = try? UTF8Span(validating: word) else { return false }
    var scalars: [Unicode.Scalar] = []
    scalars.reserveCapacity(word.count)
    var iterator = text.makeUnicodeScalarIterator()
    while let scalar = iterator.next() { scalars.append(scalar) }
    guard let normalized = words.normalized(scalars) else { return false }
    tokenizer.encode(normalized: normalized, opensText: true, room: &room, into: &result)
    // What a very long word needed is not kept.
    if word.count > 1 << 16 { room = .init() }
    return true
  }
}

/// The words that go through a tokenizer's stages in a line, between single blanks, as they do alone.
///
/// By induction over the stages: what comes of a line is what comes of its words, a blank between each two
/// and perhaps one before them, as long as none of the words has white space at an end of it or vanishes,
/// and no stage works across the blanks.
private struct RegularWords {
  private let stages: PipelineTokenizer.Stages
  /// Those that change words.
  private var normalizers: [Normalizer] = []
  /// What stands before a word alone when the stages are done.
  private var prefix: [Unicode.Scalar] = []
  private var mark: Unicode.Scalar = "▁"

  /// Nil if a stage works across blanks, or may.
  init?(_ stages: PipelineTokenizer.Stages) {
    self.stages = stages
    guard stages.tokens.haveNoSpace, stages.normalizedTokens.haveNoSpace else { return nil }
    // Whether a blank stands before the first word, and what stands for blanks.
    var isPrepended = false
    var joiner: Unicode.Scalar = " "
    for stage in stages.normalizer.flattened {
      guard joiner == " " else { return nil }
      switch stage {
      case .bert, .form, .lowercase, .stripAccents, .characterMap, .strip:
        guard !isPrepended else { return nil }
        normalizers.append(stage)
      case .prepend(let content):
        guard content == [" "], !isPrepended else { return nil }
        isPrepended = true
      case .replaceBlanks: normalizers.append(stage)
      case .replace(pattern: [" "], let content):
        guard content.count == 1, let scalar = content.first else { return nil }
        normalizers.append(stage)
        joiner = scalar
      // Words never end in a blank.
      case .dropFinalBlank: break
      case .replace(let pattern, _):
        guard !pattern.contains(where: \.isWhiteSpace) else { return nil }
        normalizers.append(stage)
      default: return nil
      }
    }
    var splitters = stages.wordSplitter.flattened[...]
    guard let first = splitters.popFirst() else { return nil }
    switch first {
    case .bert: guard joiner == " ", splitters.isEmpty else { return nil }
    case .whiteSpace:
      guard joiner == " " else { return nil }
      switch splitters.popFirst() {
      case nil: break
      case .metaspace(let metaspace):
        guard metaspace.splits, metaspace.prepending != .never else { return nil }
        mark = metaspace.mark
      default: return nil
      }
    case .metaspace(let metaspace):
      // Each word has a mark before it, in a line and alone.
      guard metaspace.splits, isPrepended || metaspace.prepending != .never,
        joiner == " " || joiner == metaspace.mark
      else { return nil }
      mark = metaspace.mark
    case .sequence: return nil
    }
    guard splitters.isEmpty else { return nil }
    if isPrepended { prefix = [joiner] }
    // Tokens that are found in normalised text may begin with what stands before words there.
    guard stages.normalizedTokens.isEmpty || (!isPrepended && joiner == " ") else { return nil }
  }

  /// What the stages of normalisation make of a word, without blanks; nil if it is no such word.
  func normalized(_ word: [Unicode.Scalar]) -> [Unicode.Scalar]? {
    guard !stages.tokens.isAny(in: word) else { return nil }
    var text = word
    for stage in normalizers {
      guard hasPlainEnds(text) else { return nil }
      if case .characterMap = stage, !isApartFromBlanks(text) { return nil }
      text = stage.normalize(text)
    }
    guard hasPlainEnds(text), !stages.normalizedTokens.isAny(in: text) else { return nil }
    return prefix.isEmpty ? text : prefix + text
  }

  private func hasPlainEnds(_ text: [Unicode.Scalar]) -> Bool {
    guard let first = text.first, let last = text.last else { return false }
    return !first.isWhiteSpace && !last.isWhiteSpace && first != mark && last != mark
  }

  /// Whether a blank before or behind a text is a grapheme of its own.
  private func isApartFromBlanks(_ text: [Unicode.Scalar]) -> Bool {
    guard let first = text.first, let last = text.last else { return true }
    if first.isGraphemeAlone, last.isGraphemeAlone { return true }
    var scalars = String.UnicodeScalarView(" ".unicodeScalars)
    scalars.append(first)
    if String(scalars).count == 1 { return false }
    scalars = String.UnicodeScalarView([last, " "])
    return String(scalars).count == 2
  }
}

extension Normalizer {
  /// The stages one after the other.
  fileprivate var flattened: [Normalizer] {
    if case .sequence(let stages) = self { return stages.flatMap(\.flattened) }
    return [self]
  }
}

extension WordSplitter {
  /// The stages one after the other.
  fileprivate var flattened: [WordSplitter] {
    if case .sequence(let stages) = self { return stages.flatMap(\.flattened) }
    return [self]
  }
}
