public import Files

/// Sentences with tags in IOB2, and what the tags of each of their files were.
public struct TaggedText: Sendable {
  public var sentences: [Sentence]
  /// One report a file, about the whole file.
  public var reports: [TagReport]

  /// Reads files one after the other.
  ///
  /// - Parameters:
  ///   - paths: The files, CoNLL or JSON lines, as ``SentenceReader`` reads them.
  ///   - columns: Of CoNLL files.
  ///   - maxSentences: Keeps the first so many sentences over all files; nil keeps all. Files are read
  ///     and checked whole in any case.
  /// - Throws: ``FileError``, also for a tag that fits no scheme.
  public init(
    reading paths: [String], columns: ColumnChoice = ColumnChoice(), maxSentences: Int? = nil
  ) throws(FileError) {
    sentences = []
    reports = []
    for path in paths {
      var read = try SentenceReader.read(path, columns: columns)
      reports.append(try TaggedText.convert(&read, path: path))
      sentences += read
    }
    if let maxSentences, maxSentences < sentences.count {
      sentences.removeLast(sentences.count - max(0, maxSentences))
    }
  }

  /// Brings the tags of one file's sentences to IOB2.
  ///
  /// The scheme is told from the whole file:
  /// 1. `L-` or `U-` anywhere: BILOU; `E-` or `S-` anywhere: IOBES; both kinds: an error.
  /// 2. Else without any `B-`: IO if there is an `I-` (IOB1 without neighbours of one type looks the
  ///    same and means the same), IOB2 if there is none.
  /// 3. Else, if no entity opens with `I-`: IOB2.
  /// 4. Else, if each `B-` follows a word of its own type: IOB1.
  /// 5. Else both `B-` and `I-` open entities after `O` or another type: IOB2 if `B-` does so at least as
  ///    often, else IOB1; the others are repaired.
  ///
  /// Whatever the scheme, an entity begins at `B-`, `S-` and `U-`, and at `I-`, `E-` and `L-` unless the
  /// word before belongs to an open entity of the same type; `E- S- L- U-` close theirs. In none of these
  /// schemes is a tag dropped or its type changed.
  ///
  /// - Throws: ``FileError`` with the line of a tag that is neither `O` nor prefix and type, or of the
  ///   first tag that does not fit those before it.
  public static func convert(_ sentences: inout [Sentence], path: String) throws(FileError)
    -> TagReport
  {
    var table = TagTable(path: path)
    var evidence = TagEvidence()
    for sentence in sentences {
      var previous = TagTable.outside
      for index in sentence.tags.indices {
        let tag = try table.entry(of: sentence.tags[index], sentence, index)
        evidence.add(tag, after: previous)
        previous = tag
      }
    }
    let scheme = try evidence.scheme(table: table)

    var converted = 0
    var repairs = Repairs()
    var entities = [Int](repeating: 0, count: table.types.count)
    for place in sentences.indices {
      var previous = TagTable.outside
      for index in sentences[place].tags.indices {
        let tag = try table.entry(of: sentences[place].tags[index], sentences[place], index)
        let opens = tag.opens(after: previous)
        if opens { entities[tag.type] += 1 }
        if breaks(scheme, tag, after: previous, opens: opens) {
          repairs.add(sentences[place].line(ofWord: index))
        }
        if let other = table.converted(tag, opens: opens) {
          sentences[place].tags[index] = other
          converted += 1
        }
        previous = tag
      }
      if isClosing(scheme), previous.isOpen, let last = sentences[place].tags.indices.last {
        repairs.add(sentences[place].line(ofWord: last))
      }
    }

    return TagReport(
      path: path, scheme: scheme, sentences: sentences.count,
      words: sentences.reduce(0) { $0 + $1.words.count }, prefixes: evidence.prefixCounts,
      openedInside: evidence.openedInside, openedAdjacent: evidence.openedAdjacent,
      openedApart: evidence.openedApart,
      entities: zip(table.types, entities).filter { $0.1 > 0 }
        .map { TagReport.Count(name: $0.0.name, count: $0.1) }
        .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) },
      converted: converted, repaired: repairs.count, firstRepairedLine: repairs.firstLine)
  }

  private static func isClosing(_ scheme: TagScheme) -> Bool {
    scheme == .iobes || scheme == .bilou
  }

  /// Whether `tag`, or the end of the entity before it, breaks the scheme.
  private static func breaks(
    _ scheme: TagScheme, _ tag: TagTable.Entry, after previous: TagTable.Entry, opens: Bool
  ) -> Bool {
    switch scheme {
    case .io: false
    case .iob2: opens && tag.prefix == UInt8(ascii: "I")
    case .iob1: tag.prefix == UInt8(ascii: "B") && tag.type != previous.type
    case .iobes, .bilou:
      opens && !tag.isOpener || previous.isOpen && (opens || tag.type != previous.type)
    }
  }

  private struct Repairs {
    var count = 0
    var firstLine: Int?

    mutating func add(_ line: Int) {
      count += 1
      firstLine = firstLine ?? line
    }
  }
}

/// The tagged sentences of a file in IOB2, some at a time, in memory that does not grow with the file.
///
/// What ``TaggedText`` reads whole. Which word begins an entity does not depend on the file's scheme; that the file
/// has one is known, and thrown, at its end.
public struct TaggedStream: ~Copyable {
  private var stream: SentenceStream
  private var table: TagTable
  private var evidence = TagEvidence()

  /// - Throws: ``FileError`` of code `missing` if the file cannot be opened.
  public init(
    _ path: String, columns: ColumnChoice = ColumnChoice(), partBytes: Int = 1 << 20
  ) throws(FileError) {
    stream = try SentenceStream(path, columns: columns, tagged: true, partBytes: partBytes)
    table = TagTable(path: path)
  }

  /// The next sentences, at least one; nil after the last.
  ///
  /// - Throws: ``FileError`` as ``TaggedText`` does.
  public mutating func next() throws(FileError) -> [Sentence]? {
    guard var sentences = try stream.next() else {
      _ = try evidence.scheme(table: table)
      return nil
    }
    for place in sentences.indices {
      var previous = TagTable.outside
      for index in sentences[place].tags.indices {
        let tag = try table.entry(of: sentences[place].tags[index], sentences[place], index)
        evidence.add(tag, after: previous)
        if let other = table.converted(tag, opens: tag.opens(after: previous)) {
          sentences[place].tags[index] = other
        }
        previous = tag
      }
    }
    return sentences
  }
}

/// The tags of a file, each taken apart once.
private struct TagTable {
  struct Entry {
    var prefix: UInt8
    /// An index into the types, −1 for `O`.
    var type: Int

    /// Whether the prefix says that an entity begins here.
    var isOpener: Bool { "BSU".utf8.contains(prefix) }
    /// Whether an entity goes on after this word unless the next one begins another.
    var isOpen: Bool { prefix == UInt8(ascii: "B") || prefix == UInt8(ascii: "I") }

    func opens(after previous: Entry) -> Bool {
      type >= 0 && (isOpener || !previous.isOpen || previous.type != type)
    }
  }

  static let outside = Entry(prefix: UInt8(ascii: "O"), type: -1)

  let path: String
  private(set) var types: [(name: String, opening: String, inside: String)] = []
  /// Where each prefix was seen first.
  private(set) var firstSeen: [UInt8: (tag: String, line: Int)] = [:]
  private var typeIndex: [String: Int] = [:]
  private var entries: [String: Entry] = [:]

  init(path: String) { self.path = path }

  /// A tag as IOB2 has it; nil if it is so already.
  func converted(_ tag: Entry, opens: Bool) -> String? {
    let wanted = opens ? UInt8(ascii: "B") : UInt8(ascii: "I")
    if tag.prefix == UInt8(ascii: "O") || tag.prefix == wanted { return nil }
    return opens ? types[tag.type].opening : types[tag.type].inside
  }

  mutating func entry(of tag: String, _ sentence: Sentence, _ word: Int) throws(FileError)
    -> Entry
  {
    if let known = entries[tag] { return known }
    let line = sentence.line(ofWord: word)
    guard let spelling = TagSpelling(tag.utf8) else {
      throw FileError(
        .data, path, line: line,
        "tag \(SentenceReader.quoted(tag)) of word \(SentenceReader.quoted(sentence.words[word])) fits no scheme: a tag is O, or B-, I-, E-, S-, L- or U- and a type; correct it, or choose another tag column"
      )
    }
    if firstSeen[spelling.prefix] == nil { firstSeen[spelling.prefix] = (tag, line) }
    var entry = Entry(prefix: spelling.prefix, type: -1)
    if spelling.prefix != UInt8(ascii: "O") {
      let name = String(decoding: tag.utf8.dropFirst(TagSpelling.typeOffset), as: UTF8.self)
      if let index = typeIndex[name] {
        entry.type = index
      } else {
        entry.type = types.count
        typeIndex[name] = types.count
        types.append((name, "B-" + name, "I-" + name))
      }
    }
    entries[tag] = entry
    return entry
  }
}

/// What the tags of a file say about their scheme.
private struct TagEvidence {
  private static let prefixes = Array("OBIESLU".utf8)
  private var counts = [Int](repeating: 0, count: prefixes.count)
  private(set) var openedInside = 0
  private(set) var openedAdjacent = 0
  private(set) var openedApart = 0

  mutating func add(_ tag: TagTable.Entry, after previous: TagTable.Entry) {
    if let place = TagEvidence.prefixes.firstIndex(of: tag.prefix) { counts[place] += 1 }
    if tag.prefix == UInt8(ascii: "B") {
      if tag.type == previous.type { openedAdjacent += 1 } else { openedApart += 1 }
    } else if !tag.isOpener, tag.opens(after: previous) {
      openedInside += 1
    }
  }

  var prefixCounts: [TagReport.Count] {
    zip(TagEvidence.prefixes, counts).filter { $0.1 > 0 }
      .map { TagReport.Count(name: String(UnicodeScalar($0.0)), count: $0.1) }
  }

  func scheme(table: TagTable) throws(FileError) -> TagScheme {
    func first(_ letters: String) -> (tag: String, line: Int)? {
      letters.utf8.compactMap { table.firstSeen[$0] }.min { $0.line < $1.line }
    }
    let ends = first("ES")
    let lasts = first("LU")
    if let ends, let lasts {
      let (early, late) = ends.line <= lasts.line ? (ends, lasts) : (lasts, ends)
      throw FileError(
        .data, table.path, line: late.line,
        "tag \(late.tag) does not fit \(early.tag) of line \(early.line): E- and S- are IOBES, L- and U- BILOU; use one of them"
      )
    }
    if lasts != nil { return .bilou }
    if ends != nil { return .iobes }
    guard openedAdjacent + openedApart > 0 else { return openedInside > 0 ? .io : .iob2 }
    if openedInside == 0 { return .iob2 }
    return openedApart < openedInside ? .iob1 : .iob2
  }
}
