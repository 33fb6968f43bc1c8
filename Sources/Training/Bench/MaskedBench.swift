public import Collectives
import Corpus
import Determinism
import Files
import Foundation
import Model
public import Tensors
public import Tokenizers

/// The speed of a step of masked language modelling on packed text, from random weights of an XLM-R of a given shape.
///
/// The work is that of a plain PyTorch loop over `transformers`' XLM-R: lines of text with their special tokens, one after
/// the other, cut into sequences of one length; 15 % of the tokens hidden, 80/10/10; dropout 0.1; forward, backward,
/// clipping at 1, AdamW at 5e-4 with decay on every parameter. The first three steps are not timed.
public struct MaskedBench: Sendable {
  public var layers: Int
  public var hiddenSize: Int
  public var heads: Int
  public var length: Int
  /// Sequences a step for each rank.
  public var batchSize: Int
  public var steps: Int

  public init(
    layers: Int, hiddenSize: Int, heads: Int, length: Int, batchSize: Int, steps: Int
  ) {
    self.layers = layers
    self.hiddenSize = hiddenSize
    self.heads = heads
    self.length = length
    self.batchSize = batchSize
    self.steps = steps
  }

  public struct Result: Sendable {
    /// Of the last step.
    public var loss: Double
    public var realTokensPerSecond: Double
    public var stepMilliseconds: Double
  }

  private static let warmup = 3
  private static let linesPerFile = 4000

  /// Runs the steps. Every rank calls it; the result is that of all.
  public func run(
    files: [String], tokenizer: any Tokenizer, communicator: any Communicator,
    workspace: Workspace, profile: Profile? = nil
  ) throws -> Result {
    let world = communicator.size
    let sequences = try sequences(files, tokenizer)
    let configuration = EncoderConfiguration(
      family: .xlmRoberta, vocabularySize: tokenizer.vocabularySize, hiddenSize: hiddenSize,
      layerCount: layers, headCount: heads, innerSize: 4 * hiddenSize,
      positionCount: max(514, length + 2), tokenTypeCount: 1, layerNormEpsilon: 1e-5, paddingID: 1)
    if let problem = configuration.problem {
      throw RunError(.configuration, "\(problem.key): \(problem.message)")
    }
    let network = MaskedLanguageModel(configuration)
    var parameters = ParameterSet(layout: network.layout)
    network.initialise(
      &parameters, entries: Array(network.layout.entries.indices), seed: 0, in: workspace)
    let method = MaskedLM(model: network)
    let masking = try Masking(.init(), tokenizer: tokenizer, path: "the tokenizer")
    let gradients = GradientBuffer(layout: network.layout)
    let adamW = AdamW()
    let rates = network.layout.entries.map { _ in (learningRate: 5e-4, weightDecay: 0.01) }
    let step = try GradientStep(
      communicator: communicator, workspace: workspace, layout: network.layout,
      trained: gradients.trained, shards: world, fullDeterminism: false)
    var optimiser = AdamWState(layout: network.layout)
    var loss = 0.0
    var begin = ContinuousClock.now
    for index in 0..<steps + Self.warmup {
      if index == Self.warmup {
        workspace.profile = profile
        begin = .now
      }
      let first = (index * world + communicator.rank) * batchSize
      let batch = batch(sequences, first: first, masking)
      let outcome = try step.run(
        method, parameters: &parameters, gradients: gradients,
        dropout: DropoutKey(seed: 0, stage: 0, step: index, pass: 0),
        passes: .pass(communicator.rank..<communicator.rank + 1), batch: { _ in batch })
      adamW.update(
        &parameters, gradients, &optimiser,
        gradientScale: Float(min(1, 1 / (outcome.gradientNorm + 1e-6))), rates: rates,
        in: workspace)
      loss = outcome.losses[0]
    }
    let time = (ContinuousClock.now - begin).components
    let elapsed = Double(time.seconds) + Double(time.attoseconds) * 1e-18
    workspace.profile = nil
    return Result(
      loss: loss, realTokensPerSecond: Double(steps * batchSize * world * length) / elapsed,
      stepMilliseconds: elapsed / Double(steps) * 1000)
  }

  /// Sequences of ``length`` tokens, cut from the shuffled lines of all files.
  private func sequences(_ files: [String], _ tokenizer: any Tokenizer) throws -> [[Int32]] {
    var lines: [[Int32]] = []
    for path in files {
      let text = try TextFile(reading: path)
      for line in text.lines.prefix(Self.linesPerFile) {
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

  /// The sequences from `first` on, around the end, as one segment.
  private func batch(_ sequences: [[Int32]], first: Int, _ masking: Masking) -> PackedBatch {
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
      batch.sentences.append(SentenceReference(language: 0, sentence: item))
      batch.wordBounds.append(batch.wordTokens.count)
    }
    batch.segmentBounds.append(batchSize)
    return batch
  }
}
