public import Configuration
import Corpus
import Determinism
public import Model
public import Tensors

/// The speed of a training step of Byte-to-Span at the paper's sizes, on windows of real sentences in any order.
public struct ByteToSpanBench: StepBench {
  public static let name = "bts"
  public static let summary = "Measures training steps of Byte-to-Span at the paper's sizes."
  public static let options = [
    Option("data", value: "FILE", takesMany: true, "CoNLL or JSON-lines files with tags.")
  ]

  private let batchSize: Int
  private let text: ByteText
  private let order: [ItemReference]
  private let span: ByteToSpanNetwork

  public init(_ arguments: ParsedArguments, batchSize: Int, steps: Int, ranks: Int) throws {
    let files = arguments.values("data")
    guard !files.isEmpty else {
      throw UsageError("--data is needed", command: "isogloss \(arguments.command)")
    }
    self.batchSize = batchSize
    let sentences = try TaggedText(reading: files).sentences
    let options = ByteToSpanOptions()
    let vocabulary = try SpanVocabulary(
      labels: LabelSet(of: sentences).labels, window: options.window)
    text = try ByteText(sentences, vocabulary, readsTags: true)
    span = ByteToSpanNetwork(options, vocabulary)
    var random = RandomStream(seed: 0, ["bench"])
    let windows = text.windowCount
    order = (0..<batchSize * ranks * (steps + 3)).map { _ in
      ItemReference(language: 0, index: random.below(windows))
    }
  }

  public var network: any Network { span }
  public var method: ByteToSpanMethod { ByteToSpanMethod(network: span) }
  public var tableRows: [Int32]? { nil }
  public var learningRate: Double { 1e-3 }
  public var tableDecay: AdamW.TableDecay { .dense }
  public var facts: [(name: String, value: String)] { [("shape", Self.name)] }

  public func batch(step: Int, rank: Int, ranks: Int) -> SpanBatch {
    let first = (step * ranks + rank) * batchSize
    let items = (0..<batchSize).map { order[(first + $0) % order.count] }
    return SpanBatch(
      step: items[...], assignment: [Array(0..<batchSize)], shards: 0..<1, texts: [text],
      span.vocabulary)
  }
}
