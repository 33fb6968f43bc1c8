public import Files

/// The counts of each sentence of a part of a language, without its text: what a comparison of systems needs.
///
/// Spans are those of ``SpanMode/default``, errors those of ``SpanError``. Strict spans are IOB2's.
public struct SentenceCounts: Sendable, Equatable {
  /// Whose predictions are counted.
  public struct Origin: Sendable, Equatable {
    /// The group of stages, which is one system over languages and seeds.
    public var system: String
    public var stage: String
    /// Nil where nothing says so.
    public var seed: Int?
    public var language: String
    /// `dev` or `test`.
    public var part: String
    /// The languages that the model was trained on, in its last stage.
    public var trained: [String]
    /// How many tries it is the best of, by dev; 1 where nothing was tried.
    public var tries = 1
    /// Whether it is one of several tries.
    public var isTry = false

    public init(
      system: String, stage: String, seed: Int?, language: String, part: String, trained: [String]
    ) {
      self.system = system
      self.stage = stage
      self.seed = seed
      self.language = language
      self.part = part
      self.trained = trained
    }
  }

  /// A number of a sentence as a whole.
  public enum Column: Int, Sendable, CaseIterable {
    /// The document, counted from 0 over the part's files; all 0 where nothing marks documents.
    case document
    /// A checksum of the gold tags, by which two files are found to be of the same gold.
    case goldCheck
    case tokens, correctTokens
    case strictGold, strictPredicted, strictCorrect
    case conllevalGold, conllevalPredicted, conllevalCorrect
    /// Predicted spans that overlap a gold one of their type.
    case correctTypes

    /// What files call it.
    var name: String { Self.names[rawValue] }

    private static let names = [
      "document", "gold_check", "tokens", "correct_tokens", "strict_gold", "strict_predicted",
      "strict_correct", "conlleval_gold", "conlleval_predicted", "conlleval_correct",
      "correct_types",
    ]
  }

  /// A number of a type in a sentence. Errors of a pair count for its gold type.
  public enum TypeColumn: Int, Sendable, CaseIterable {
    case gold, predicted, correct, missed, spurious, wrongType, wrongBoundary, wrongBoth

    /// What files call it, behind the type and a point.
    public var name: String { Self.names[rawValue] }

    private static let names = [
      "gold", "predicted", "correct", "missed", "spurious", "wrong_type", "wrong_boundary",
      "wrong_both",
    ]
  }

  /// How often a gold span of one type was predicted as another one.
  public struct Confusion: Sendable, Equatable {
    public var gold: String
    public var predicted: String
    public var count: Int
  }

  public var origin: Origin
  /// In the order of their bytes.
  public private(set) var types: [String]
  /// Pairs with other types, whether or not their tokens are the same.
  public private(set) var confusions: [Confusion]
  /// A row a sentence: the columns, then those of each type. Shape `[sentences, width]`.
  var values: [Int]
  public private(set) var sentences: Int

  init(
    origin: Origin, types: [String], confusions: [Confusion], sentences: Int, values: [Int]
  ) {
    self.origin = origin
    self.types = types
    self.confusions = confusions
    self.sentences = sentences
    self.values = values
    precondition(values.count == sentences * width, "\(values.count) numbers")
  }

  var width: Int { Self.width(types: types.count) }

  static func width(types: Int) -> Int {
    Column.allCases.count + types * TypeColumn.allCases.count
  }

  public subscript(sentence: Int, column: Column) -> Int {
    values[sentence * width + column.rawValue]
  }

  public subscript(sentence: Int, type: Int, column: TypeColumn) -> Int {
    values[
      sentence * width + Column.allCases.count + type * TypeColumn.allCases.count + column.rawValue]
  }

  /// Whether both mark the same documents.
  public func hasDocuments(of other: SentenceCounts) -> Bool {
    sentences == other.sentences
      && (0..<sentences).allSatisfy { self[$0, .document] == other[$0, .document] }
  }

  /// The sum over the types of a sentence.
  public func sum(_ column: TypeColumn, ofSentence sentence: Int) -> Int {
    types.indices.reduce(0) { $0 + self[sentence, $1, column] }
  }

  public func total(_ column: Column) -> Int {
    (0..<sentences).reduce(0) { $0 + self[$1, column] }
  }

  /// - Parameter type: nil for all.
  public func total(_ column: TypeColumn, type: Int? = nil) -> Int {
    (0..<sentences).reduce(0) { sum, sentence in
      sum + (type.map { self[sentence, $0, column] } ?? self.sum(column, ofSentence: sentence))
    }
  }

  /// Counts the predictions of sentences.
  ///
  /// - Parameters:
  ///   - sentences: With gold tags in IOB2.
  ///   - predicted: The tags of each.
  /// - Throws: ``SpanTagError`` for a predicted tag that is no IOB2.
  public init(
    _ sentences: [Sentence], predicted: [[String]], origin: Origin
  ) throws(SpanTagError) {
    precondition(sentences.count == predicted.count, "\(predicted.count) predictions")
    var counted: [(gold: [TagSpan], predicted: [TagSpan])] = []
    var found: Set<[UInt8]> = []
    for (index, (sentence, tags)) in zip(sentences, predicted).enumerated() {
      func spans(_ tags: [String]) throws(SpanTagError) -> [TagSpan] {
        do {
          return try LenientSpans.spans([tags])
        } catch {
          var error = error
          error.sentence = index
          throw error
        }
      }
      counted.append((try spans(sentence.tags), try spans(tags)))
      for span in counted[index].gold + counted[index].predicted { found.insert(span.type) }
    }
    let types = found.sorted { $0.lexicographicallyPrecedes($1) }
    let places = Dictionary(uniqueKeysWithValues: zip(types, types.indices))
    let width = Self.width(types: types.count)
    var values = [Int](repeating: 0, count: width * sentences.count)
    var confusions: [[Int]: Int] = [:]
    let areMarked = sentences.contains { $0.document > 0 }
    var documents = DocumentNumbers()
    for (index, (gold, other)) in counted.enumerated() {
      let start = index * width
      let (wanted, given) = (sentences[index].tags, predicted[index])
      values[start + Column.document.rawValue] =
        areMarked ? documents.number(of: sentences[index]) : 0
      values[start + Column.goldCheck.rawValue] = Self.check(wanted)
      values[start + Column.tokens.rawValue] = wanted.count
      values[start + Column.correctTokens.rawValue] = zip(wanted, given).count {
        $0.sameBytes(as: $1)
      }
      for (mode, first) in [
        (SpanMode.strict(.iob2), Column.strictGold), (.conlleval, .conllevalGold),
      ] {
        let counts: SpanCounts
        do {
          counts = try SpanCounts(gold: [wanted], predicted: [given], mode: mode)
        } catch {
          var error = error
          error.sentence = index
          throw error
        }
        let all = counts.overall
        for (offset, value) in [all.gold, all.predicted, all.correct].enumerated() {
          values[start + first.rawValue + offset] = value
        }
      }
      values[start + Column.correctTypes.rawValue] = SpanPairs.correctTypes(
        gold: gold, predicted: other)
      func add(_ type: [UInt8], _ column: TypeColumn) {
        let place = places[type] ?? 0
        values[
          start + Column.allCases.count + place * TypeColumn.allCases.count + column.rawValue] += 1
      }
      for span in gold { add(span.type, .gold) }
      for span in other { add(span.type, .predicted) }
      let pairs = SpanPairs(gold: gold, predicted: other)
      for span in pairs.missed { add(gold[span].type, .missed) }
      for span in pairs.spurious { add(other[span].type, .spurious) }
      for pair in pairs.pairs {
        let (left, right) = (gold[pair.gold], other[pair.predicted])
        switch SpanPairs.error(gold: left, predicted: right) {
        case nil: add(left.type, .correct)
        case .wrongBoundary: add(left.type, .wrongBoundary)
        case .wrongType: add(left.type, .wrongType)
        case .wrongBoth: add(left.type, .wrongBoth)
        case .missed, .spurious: preconditionFailure("a pair that is none")
        }
        if left.type != right.type {
          confusions[[places[left.type] ?? 0, places[right.type] ?? 0], default: 0] += 1
        }
      }
    }
    let names = types.map { String(decoding: $0, as: UTF8.self) }
    self.init(
      origin: origin, types: names,
      confusions: confusions.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
        Confusion(gold: names[$0.key[0]], predicted: names[$0.key[1]], count: $0.value)
      }, sentences: sentences.count, values: values)
  }

  private static func check(_ tags: [String]) -> Int {
    Int(Checksum.crc32(Array(tags.joined(separator: "\n").utf8).span))
  }
}

/// Numbers the documents of sentences over several files, from 0.
private struct DocumentNumbers {
  private var last: (path: String, document: Int32)?
  private var number = 0

  mutating func number(of sentence: Sentence) -> Int {
    if let last, last != (sentence.path, sentence.document) { number += 1 }
    last = (sentence.path, sentence.document)
    return number
  }
}

extension SentenceCounts {
  /// Counts a CoNLL file whose last two columns are the gold and the predicted tag.
  ///
  /// - Throws: ``FileError`` with the line that is wrong.
  public init(tagged path: String, origin: Origin) throws(FileError) {
    let goldColumn = ColumnChoice(token: 0, tag: -2)
    let column = ColumnChoice(token: 0, tag: -1)
    let gold = try TaggedText(reading: [path], columns: goldColumn).sentences
    // Predictions stay as they are, broken ones too, unless the file is of another scheme than IOB2.
    let isIOB2 = try SentenceReader.read(path, columns: goldColumn) == gold
    let other =
      isIOB2
      ? try SentenceReader.read(path, columns: column)
      : try TaggedText(reading: [path], columns: column).sentences
    do {
      try self.init(gold, predicted: other.map(\.tags), origin: origin)
    } catch {
      throw FileError(
        .data, path, line: gold[error.sentence].line(ofWord: error.token),
        "tag \(error.tag) \(error.message)")
    }
  }
}
