public import Configuration
import Corpus
import Determinism
public import Model
public import Tensors

/// The speed of a training step of the Byte-CRF at the paper's sizes, on real sentences in any order.
public struct ByteCRFBench: StepBench {
  public static let name = "byte-crf"
  public static let summary = "Measures training steps of the Byte-CRF at the paper's sizes."
  public static let options = [
    Option("data", value: "FILE", takesMany: true, "CoNLL or JSON-lines files with tags.")
  ]

  private let batchSize: Int
  private let corpus: UnitCorpus
  private let order: [ItemReference]
  public let method: ByteCRF

  public init(_ arguments: ParsedArguments, batchSize: Int, steps: Int, ranks: Int) throws {
    let files = arguments.values("data")
    guard !files.isEmpty else {
      throw UsageError("--data is needed", command: "isogloss \(arguments.command)")
    }
    self.batchSize = batchSize
    let sentences = try TaggedText(reading: files).sentences
    let labels = LabelSet(of: sentences)
    let options = ByteCRFOptions()
    let vocabulary = UnitVocabulary(options.units, of: sentences)
    corpus = try UnitCorpus(
      sentences, vocabulary, wordLength: options.wordLength, separator: nil, labels: labels)
    method = ByteCRF(options, vocabulary: vocabulary.count, labels: labels)
    var order = sentences.indices.map { ItemReference(language: 0, index: $0) }
    var random = RandomStream(seed: 0, ["bench"])
    random.shuffle(&order)
    self.order = order
  }

  public var network: any Network { method.network }
  public var tableRows: [Int32]? { nil }
  public var learningRate: Double { 1e-3 }
  public var tableDecay: AdamW.TableDecay { .dense }
  public var facts: [(name: String, value: String)] { [("shape", Self.name)] }

  public func batch(step: Int, rank: Int, ranks: Int) -> UnitBatch {
    let first = (step * ranks + rank) * batchSize
    let items = (0..<batchSize).map { order[(first + $0) % order.count] }
    return UnitBatch(
      step: items[...], assignment: [Array(0..<batchSize)], shards: 0..<1, corpora: [corpus])
  }
}
