import Checkpoints
public import Configuration
public import Corpus
import Determinism
public import Model
public import Tensors
import Tokenizers

/// The speed of a training step on real sentences, from random weights of a given shape.
///
/// The work is that of a plain PyTorch loop over `transformers`' XLM-R token classifier: forward, backward,
/// clipping at 1, AdamW with decay on every parameter, dropout 0.1, a label for every token (its id modulo
/// 9), sentences cut at 256 tokens.
public struct TaggingBench: StepBench {
  private enum Shape: String, CaseIterable {
    /// 6 layers of width 384, 12 heads, inner width 1,536.
    case mini
    /// XLM-R base: 12 layers of width 768, 12 heads, inner width 3,072, 250,002 ids.
    case base
  }

  public static let name = "train"
  public static let summary =
    "Measures training steps on real sentences, from random weights of a shape."
  public static let options = [
    Option("shape", value: "mini|base", default: "mini", "6 × 384, or XLM-R base."),
    Option("data", value: "FILE", takesMany: true, "CoNLL or JSON-lines files."),
    Option("tokenizer", value: "SP.model", "A tokenizer whose ids fit the shape's vocabulary."),
    Option("length", value: "N", "Makes every sequence N tokens, cut from one stream."),
  ]

  private static let longest = 256
  private static let labelCount = 9

  private let shape: Shape
  private let batchSize: Int
  /// Makes every sequence this long, cut from one stream of the data; nil for sentences as they are.
  private let length: Int?
  private let sequences: [[Int32]]
  private let classifier: TokenClassifier
  public let method: TokenClassification

  public init(_ arguments: ParsedArguments, batchSize: Int, steps: Int, ranks: Int) throws {
    let (files, tokenizer) = try BenchOptions.data(arguments)
    shape =
      try arguments.choice("shape", of: Shape.allCases.map(\.rawValue))
      .flatMap(Shape.init) ?? .mini
    length = try arguments.integer("length", in: 3...512)
    self.batchSize = batchSize
    let sentences = try files.flatMap { try SentenceReader.read($0, tagged: false) }
    sequences = Self.sequences(
      sentences, tokenizer, length: length, count: steps * batchSize * ranks)
    let isMini = shape == .mini
    var configuration = EncoderConfiguration(
      family: .xlmRoberta, vocabularySize: isMini ? 32_002 : 250_002,
      hiddenSize: isMini ? 384 : 768, layerCount: isMini ? 6 : 12, headCount: 12,
      innerSize: isMini ? 1536 : 3072, positionCount: 514, tokenTypeCount: 1,
      layerNormEpsilon: 1e-5, paddingID: 1)
    configuration.classifierDropout = nil
    classifier = TokenClassifier(configuration, head: .softmax, labelCounts: [Self.labelCount])
    method = TokenClassification(model: classifier, headOfLanguage: [0])
    guard !sequences.isEmpty else {
      throw RunError(.data, "the data have fewer tokens than one sequence of \(length ?? 1) needs")
    }
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw RunError(
        .configuration,
        "the tokenizer has \(tokenizer.vocabularySize) ids and the shape '\(shape.rawValue)' "
          + "\(configuration.vocabularySize) rows; give a tokenizer of at most as many")
    }
  }

  public var network: any Network { classifier }
  public var tableRows: [Int32]? { Set(sequences.joined()).sorted() }
  public var learningRate: Double { 5e-5 }
  public var tableDecay: AdamW.TableDecay { .dense }
  public var facts: [(name: String, value: String)] { [("shape", shape.rawValue)] }

  /// The `count` sequences of all steps, or fewer if the data have no more.
  private static func sequences(
    _ sentences: [Sentence], _ tokenizer: any Tokenizer, length: Int?, count: Int
  ) -> [[Int32]] {
    let specials = tokenizer.specials
    var random = RandomStream(seed: 0, ["bench"])
    var sentences = sentences
    if length == nil {
      random.shuffle(&sentences)
      sentences = Array(sentences.prefix(count))
    }
    var sequences = sentences.map { sentence in
      let ids =
        [specials.start] + tokenizer.encode(words: sentence.words).flatMap { $0 } + [specials.end]
      return Array(ids.prefix(longest))
    }
    if let length {
      // Cut from one stream, then in any order.
      let stream = sequences.flatMap { $0 }
      sequences = stride(from: 0, through: stream.count - length, by: length).map {
        Array(stream[$0..<$0 + length])
      }
      random.shuffle(&sequences)
    }
    return Array(sequences.prefix(count))
  }

  /// The sequences of a rank's part of a step, around the end, with every token a labelled word.
  public func batch(step: Int, rank: Int, ranks: Int) -> PackedBatch {
    let first = (step * ranks + rank) * batchSize
    var batch = PackedBatch()
    for item in 0..<batchSize {
      let ids = sequences[(first + item) % sequences.count]
      for (position, id) in ids.enumerated() {
        batch.wordTokens.append(Int32(batch.tokenIDs.count))
        batch.wordLabels.append(id % Int32(Self.labelCount))
        batch.tokenIDs.append(id)
        batch.positions.append(Int32(position))
        batch.tokenTypes.append(0)
      }
      batch.sequenceBounds.append(batch.tokenIDs.count)
      batch.itemBounds.append(item + 1)
      batch.itemKeys.append(UInt32(first + item))
      batch.items.append(ItemReference(language: 0, index: item))
      batch.wordBounds.append(batch.tokenIDs.count)
    }
    batch.segmentBounds.append(batchSize)
    return batch
  }
}
