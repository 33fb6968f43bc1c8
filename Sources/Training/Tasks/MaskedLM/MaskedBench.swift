import Checkpoints
public import Configuration
public import Corpus
import Determinism
import Files
public import Model
public import Tensors
import Tokenizers

/// The speed of a step of masked language modelling on text, from random weights of an XLM-R of a given shape.
///
/// The work is that of a plain PyTorch loop over `transformers`' XLM-R: lines of text with their special tokens, one after
/// the other, cut into sequences of one length; 15 % of the tokens hidden, 80/10/10; dropout 0.1; forward, backward,
/// clipping at 1, AdamW at 5e-4 with decay on every parameter.
public struct MaskedBench: StepBench {
  public static let name = "mlm"
  public static let summary =
    "Measures steps of masked language modelling on packed text, from random weights of an XLM-R."
  public static let options = [
    Option(
      "data", value: "FILE", takesMany: true, "Text, one sentence a line; plain, gzip or Zstandard."
    ),
    Option("tokenizer", value: "SP.model", "A tokenizer; its ids are the vocabulary."),
    Option("layers", value: "N", default: "8", "Layers."),
    Option("hidden", value: "N", default: "256", "Model width; the inner width is four times it."),
    Option("heads", value: "N", default: "8", "Heads."),
    Option("length", value: "N", default: "128", "Tokens of every sequence."),
  ]

  private static let linesPerFile = 4000

  private let length: Int
  private let batchSize: Int
  private let sequences: [[Int32]]
  private let masking: Masking
  private let model: MaskedLanguageModel

  public init(_ arguments: ParsedArguments, batchSize: Int, steps: Int, ranks: Int) throws {
    let (files, tokenizer) = try BenchOptions.data(arguments)
    self.batchSize = batchSize
    length = try arguments.integer("length", in: 3...65536) ?? 128
    let hiddenSize = try arguments.integer("hidden", in: 1...65536) ?? 256
    let configuration = EncoderConfiguration(
      family: .xlmRoberta, vocabularySize: tokenizer.vocabularySize, hiddenSize: hiddenSize,
      layerCount: try arguments.integer("layers", in: 1...1024) ?? 8,
      headCount: try arguments.integer("heads", in: 1...4096) ?? 8, innerSize: 4 * hiddenSize,
      positionCount: max(514, length + 2), tokenTypeCount: 1, layerNormEpsilon: 1e-5, paddingID: 1)
    if let problem = configuration.problem {
      throw RunError(.configuration, "\(problem.key): \(problem.message)")
    }
    sequences = try Self.sequences(files, tokenizer, length: length)
    masking = try Masking(.init(), tokenizer: tokenizer, path: "the tokenizer")
    model = MaskedLanguageModel(configuration)
  }

  public var network: any Network { model }
  public var method: MaskedLM { MaskedLM(model: model) }
  public var tableRows: [Int32]? { nil }
  public var learningRate: Double { 5e-4 }
  public var tableDecay: AdamW.TableDecay { .touched }
  public var facts: [(name: String, value: String)] { [] }

  /// Sequences of `length` tokens, cut from the shuffled lines of all files.
  private static func sequences(
    _ files: [String], _ tokenizer: any Tokenizer, length: Int
  ) throws -> [[Int32]] {
    var lines: [[Int32]] = []
    for path in files {
      let text = try TextFile(reading: path)
      for line in text.lines.prefix(linesPerFile) {
        let ids = tokenizer.encode(String(decoding: text.bytes[line], as: UTF8.self))
        lines.append(
          [tokenizer.specials.start] + ids.prefix(length - 2) + [tokenizer.specials.end])
      }
    }
    var random = RandomStream(seed: 0, "bench")
    random.shuffle(&lines)
    let stream = lines.flatMap { $0 }
    guard stream.count >= length else {
      throw RunError(.data, "the files have fewer tokens than one sequence of \(length) needs")
    }
    return stride(from: 0, through: stream.count - length, by: length).map {
      Array(stream[$0..<$0 + length])
    }
  }

  /// The sequences of a rank's part of a step, around the end, as one segment.
  public func batch(step: Int, rank: Int, ranks: Int) -> PackedBatch {
    let first = (step * ranks + rank) * batchSize
    var batch = PackedBatch()
    for item in 0..<batchSize {
      var ids = sequences[(first + item) % sequences.count]
      var random = RandomStream(seed: 0, "mask", .number(first + item))
      let (places, wanted) = masking.hide(&ids, random: &random)
      batch.wordTokens += places.map { Int32(batch.tokenIDs.count) + $0 }
      batch.wordLabels += wanted
      batch.tokenIDs += ids
      for position in ids.indices { batch.positions.append(Int32(position)) }
      batch.tokenTypes += ids.map { _ in 0 }
      batch.sequenceBounds.append(batch.tokenIDs.count)
      batch.itemBounds.append(item + 1)
      batch.itemKeys.append(UInt32(first + item))
      batch.items.append(ItemReference(language: 0, index: item))
      batch.wordBounds.append(batch.wordTokens.count)
    }
    batch.segmentBounds.append(batchSize)
    return batch
  }
}
