public import Configuration
public import Corpus
import Files
public import Model
public import Tensors

/// Labels for words from an entity type for each byte of the sentence: CharNER on bytes.
///
/// Mueller, Andrews and Dredze, "Sources of Transfer in Multilingual Named Entity Recognition", ACL 2020, after Kuru, Can and
/// Yuret, 2016. A byte has the type of its word. The space before a word that continues an entity has that type too, and every
/// other space is `O`, so entities of one type stay apart. The loss is cross entropy, a mean over bytes.
public struct CharNER: UnitModel {
  public static let schema = TaskSchema(
    name: "char-ner",
    summary: "Labels for words from a type for each byte: LSTMs over the sentence.",
    options: CharNEROptions.self, makes: [.model], metrics: [TagScores.metric], takes: [.train],
    languageKeys: ["max_sentences"])
  public static let separator: Int32? = 32

  /// `B-` and `I-` of every type, and `O`.
  public static func labels(trainedOn found: LabelSet) throws(RunError) -> LabelSet {
    var labels: Set = ["O"]
    for label in found.labels where label != "O" {
      guard label.hasPrefix("B-") || label.hasPrefix("I-"), label.utf8.count > 2 else {
        throw RunError(
          .data,
          "label \(printable(label, limit: 80)) is neither O nor B- or I- and a type, which \(schema.name) needs; use another task for it"
        )
      }
      labels.formUnion(["B-\(label.dropFirst(2))", "I-\(label.dropFirst(2))"])
    }
    return LabelSet(union: [LabelSet(ordered: labels.sorted())])
  }

  private let decoder: ByteTypeDecoder
  private let charNER: CharNERNetwork
  /// Of each label.
  private let meanings: [Meaning]
  /// Of each type: the label of an entity's first word, and of its other words.
  private let words: [(first: Int32, other: Int32)]

  private struct Meaning {
    var type: Int32
    var continues: Bool
  }

  public init(_ options: CharNEROptions, vocabulary: Int, labels: LabelSet) {
    // `O` is the first type.
    let types = ["O"] + labels.labels.filter { $0.hasPrefix("B-") }.map { String($0.dropFirst(2)) }
    meanings = labels.labels.map { label in
      let type = label == "O" ? 0 : types.firstIndex { $0 == label.dropFirst(2) } ?? 0
      return Meaning(type: Int32(type), continues: label.hasPrefix("I-"))
    }
    words = types.map {
      let first = labels.id(of: $0 == "O" ? "O" : "B-\($0)") ?? 0
      return (first, labels.id(of: "I-\($0)") ?? first)
    }
    charNER = CharNERNetwork(options, vocabulary: vocabulary, types: types.count)
    decoder = ByteTypeDecoder(types: types.count, scores: options.decodeBy)
  }

  public var network: any Network { charNER }

  public var terms: [MethodTerm] { [MethodTerm("cross_entropy")] }

  public func weights(of batch: UnitBatch) -> [[Double]] {
    let bounds = batch.segmentBounds.map { batch.itemUnitBounds[$0] }
    return [zip(bounds, bounds.dropFirst()).map { Double($1 - $0) }]
  }

  public func tableRows(of batch: UnitBatch) -> [[Int32]] { [] }

  public func record(_ batch: UnitBatch, bySegment: Bool, on tape: Tape) {
    tape.crossEntropy(
      charNER.logits(batch, bySegment: bySegment, on: tape), targets: types(of: batch))
  }

  /// The type of each byte.
  private func types(of batch: UnitBatch) -> [Int32] {
    var types = [Int32](repeating: 0, count: batch.units.count)
    for item in 0..<batch.itemBounds.count - 1 {
      for word in batch.itemBounds[item]..<batch.itemBounds[item + 1] {
        let meaning = meanings[Int(batch.labels[word])]
        var units = batch.wordBounds[word]..<batch.wordBounds[word + 1]
        if word > batch.itemBounds[item] {
          if meaning.continues { types[units.lowerBound] = meaning.type }
          units = units.dropFirst()
        }
        for unit in units { types[unit] = meaning.type }
      }
    }
    return types
  }

  /// The score of a label of a word is what it adds to the sum of its sentence: at its bytes, and at the space before it.
  public func predict(
    _ batch: UnitBatch, scores wantScores: Bool, on tape: Tape
  ) -> (labels: [Int32], scores: [Float]) {
    let logits = charNER.logits(batch, bySegment: false, on: tape).array
    let types = words.count
    var labels: [Int32] = []
    var scores: [Float] = []
    for item in 0..<batch.itemBounds.count - 1 {
      let sums = decoder.scores(
        logits, wordBounds: batch.wordBounds[batch.itemBounds[item]...batch.itemBounds[item + 1]])
      labels += decoder.decode(sums).map {
        $0.continues ? words[$0.type].other : words[$0.type].first
      }
      guard wantScores else { continue }
      for word in 0..<sums.words.count / types {
        scores += meanings.map { meaning in
          let place = word * types + Int(meaning.type)
          return Float(sums.words[place] + sums.spaces[meaning.continues ? place : word * types])
        }
      }
    }
    return (labels, scores)
  }
}

/// The task of CharNER.
public typealias CharNERTask = UnitTask<CharNER>
