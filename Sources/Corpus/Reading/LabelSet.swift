public import Files

/// The labels of a tagging task in the order of their ids.
///
/// Ids follow the code points of the labels (`B-LOC`, `B-PER`, `I-LOC`, `I-PER`, `O`), as Python's
/// `sorted` gives them, so that they agree with models trained elsewhere on the same files.
public struct LabelSet: Sendable, Equatable, Codable {
  /// The label of each id.
  public let labels: [String]
  private let ids: [String: Int32]

  /// Labels in an order given elsewhere, such as a checkpoint's `id2label`.
  ///
  /// - Precondition: No label occurs twice.
  public init(ordered labels: [String]) {
    self.labels = labels
    ids = Dictionary(
      zip(labels, labels.indices.map { Int32($0) }),
      uniquingKeysWith: {
        preconditionFailure("label \(labels[Int($0)]) has two ids: \($0), \($1)")
      })
  }

  /// The tags that occur in the sentences, each once, sorted.
  public init(of sentences: some Sequence<Sentence>) {
    var seen: Set<String> = []
    for sentence in sentences { seen.formUnion(sentence.tags) }
    self.init(sorting: seen)
  }

  /// The labels of all sets together, sorted.
  public init(union sets: some Sequence<LabelSet>) {
    self.init(sorting: sets.reduce(into: Set()) { $0.formUnion($1.labels) })
  }

  private init(sorting labels: Set<String>) {
    self.init(ordered: labels.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
  }

  public var count: Int { labels.count }

  /// The id of a label, nil if the set has no such label.
  public func id(of label: String) -> Int32? { ids[label] }

  /// The ids of a sentence's tags.
  ///
  /// - Throws: ``FileError`` of code `data` with the line of a tag that is not in the set.
  public func ids(of sentence: Sentence) throws(FileError) -> [Int32] {
    var result: [Int32] = []
    result.reserveCapacity(sentence.tags.count)
    for (index, tag) in sentence.tags.enumerated() {
      guard let id = ids[tag] else {
        throw FileError(
          .data, sentence.path, line: sentence.line(ofWord: index),
          "unknown tag \(SentenceReader.quoted(tag)) of word \(SentenceReader.quoted(sentence.words[index])); the model knows \(labels.joined(separator: ", ")); correct the tag or train with it"
        )
      }
      result.append(id)
    }
    return result
  }

  public static func == (left: LabelSet, right: LabelSet) -> Bool { left.labels == right.labels }

  public init(from decoder: any Decoder) throws {
    let labels = try [String](from: decoder)
    guard Set(labels).count == labels.count else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "a label occurs twice"))
    }
    self.init(ordered: labels)
  }

  public func encode(to encoder: any Encoder) throws { try labels.encode(to: encoder) }
}

/// How the tag sets of several languages become label sets of a model.
public enum LabelPolicy: String, Sendable, Codable, CaseIterable {
  /// One set with every language's tags; all languages share a head.
  case union
  /// A set, and a head, for each language.
  case perLanguage = "per-language"

  /// The label set of each language from the tags found in each.
  public func labelSets(_ found: [LabelSet]) -> [LabelSet] {
    switch self {
    case .perLanguage: return found
    case .union: return [LabelSet](repeating: LabelSet(union: found), count: found.count)
    }
  }
}
