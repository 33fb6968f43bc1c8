public import Collectives
public import Corpus
import Determinism
import Foundation
import Model
public import Tensors
public import Tokenizers

/// The speed of a training step on real sentences, from random weights of a given shape.
///
/// The work is that of a plain PyTorch loop over `transformers`' XLM-R token classifier: forward, backward,
/// clipping at 1, AdamW with decay on every parameter, dropout 0.1, a label for every token (its id modulo
/// 9), sentences cut at 256 tokens. The first three steps are not timed.
public struct TrainingBench: Sendable {
  public enum Shape: String, Sendable, CaseIterable {
    /// 6 layers of width 384, 12 heads, inner width 1,536.
    case mini
    /// XLM-R base: 12 layers of width 768, 12 heads, inner width 3,072, 250,002 ids.
    case base
  }
  public var shape: Shape
  /// Sentences a step for each rank.
  public var batchSize: Int
  public var steps: Int
  /// Makes every sequence this long, cut from one stream of the data; nil for sentences as they are.
  public var length: Int?
  /// How gradients travel between ranks.
  public var gradientType: GradientType
  /// Whether each rank updates a share of the weights.
  public var shardOptimizer: Bool

  public init(
    shape: Shape, batchSize: Int, steps: Int, length: Int?, gradientType: GradientType = .fp32,
    shardOptimizer: Bool = false
  ) {
    self.gradientType = gradientType
    self.shardOptimizer = shardOptimizer
    self.shape = shape
    self.batchSize = batchSize
    self.steps = steps
    self.length = length
  }

  /// What a bench measured; its JSON keys are those of the command line's contract.
  public struct Result: Codable, Sendable {
    public var shape: String
    public var loss: Double
    public var realTokensPerSecond: Double
    public var stepMilliseconds: Double
    /// From the start of the process to the end of the first step.
    public var firstStepSeconds: Double
    /// The bytes of gradients and weights that a rank sends in a step.
    public var bytesSentPerStep: Int
    /// For which a step waited for sums over ranks when its own work was done.
    public var exposedMilliseconds: Double
    public var tokensPerStep: Int
    /// The rows of the word table that a step reads, on average.
    public var touchedRows: Int
    /// The floats of AdamW's moments that this rank keeps: of dense parameters, and of rows in use.
    public var denseMoments: Int
    public var rowMoments: Int
  }

  private static let warmup = 3
  private static let longest = 256
  private static let labelCount = 9

  /// Runs the steps. Every rank calls it; the result is that of all.
  ///
  /// - Parameters:
  ///   - started: When the process began.
  ///   - profile: Measures the operations of the timed steps.
  public func run(
    sentences: [Sentence], tokenizer: some Tokenizer, communicator: any Communicator,
    workspace: Workspace, started: ContinuousClock.Instant, profile: Profile? = nil
  ) throws -> Result {
    let world = communicator.size
    let sequences = sequences(
      sentences, tokenizer, count: (steps + Self.warmup) * batchSize * world)
    var configuration = EncoderConfiguration(
      family: .xlmRoberta, vocabularySize: shape == .mini ? 32_002 : 250_002,
      hiddenSize: shape == .mini ? 384 : 768, layerCount: shape == .mini ? 6 : 12, headCount: 12,
      innerSize: shape == .mini ? 1536 : 3072, positionCount: 514, tokenTypeCount: 1,
      layerNormEpsilon: 1e-5, paddingID: 1)
    configuration.classifierDropout = nil
    let classifier = TokenClassifier(
      configuration, head: .softmax, labelCounts: [Self.labelCount])
    guard !sequences.isEmpty else {
      throw RunError(.data, "the data have fewer tokens than one sequence of \(length ?? 1) needs")
    }
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw RunError(
        .configuration,
        "the tokenizer has \(tokenizer.vocabularySize) ids and the shape '\(shape.rawValue)' "
          + "\(configuration.vocabularySize) rows; give a tokenizer of at most as many")
    }
    var parameters = ParameterSet(layout: classifier.layout)
    // As with a checkpoint, whose table is mapped, rows that no step uses are never touched.
    classifier.initialise(
      &parameters, entries: Array(classifier.layout.entries.indices),
      tableRows: Set(sequences.joined()).sorted(), seed: 0, in: workspace)
    let method = TokenClassification(model: classifier, headOfLanguage: [0])
    let gradients = GradientBuffer(layout: classifier.layout)
    let adamW = AdamW(tableDecay: .dense)
    let rates = classifier.layout.entries.map { _ in (learningRate: 5e-5, weightDecay: 0.01) }
    let step = try GradientStep(
      communicator: communicator, workspace: workspace, layout: classifier.layout,
      trained: gradients.trained, shards: world, fullDeterminism: false,
      gradientType: gradientType, shardOptimizer: shardOptimizer)
    var optimiser = AdamWState(layout: classifier.layout, share: step.optimiserShare)

    var tokens = 0
    var rows = 0
    var bytes = 0
    var exposed = 0.0
    var loss = 0.0
    var firstStep = 0.0
    var begin = ContinuousClock.now
    for index in 0..<steps + Self.warmup {
      if index == Self.warmup {
        (tokens, rows, bytes, exposed) = (0, 0, 0, 0)
        workspace.profile = profile
        begin = .now
      }
      let first = (index * world + communicator.rank) * batchSize
      let batch = batch(sequences, first: first)
      let outcome = try step.run(
        method, parameters: &parameters, gradients: gradients,
        dropout: DropoutKey(seed: 0, stage: 0, step: index, pass: 0),
        passes: .pass(communicator.rank..<communicator.rank + 1), batch: { _ in batch })
      adamW.update(
        &parameters, gradients, &optimiser,
        gradientScale: Float(min(1, 1 / (outcome.gradientNorm + 1e-6))), rates: rates,
        in: workspace)
      loss = outcome.losses[0]
      tokens += Int(outcome.weights[0])
      bytes += step.exchangedBytes
      exposed += step.exposedSeconds
      rows += Set(batch.tokenIDs).count
      if index == 0 { firstStep = seconds(ContinuousClock.now - started) }
    }
    let elapsed = seconds(ContinuousClock.now - begin)
    let moments = optimiser.floats
    workspace.profile = nil
    return Result(
      shape: shape.rawValue, loss: loss, realTokensPerSecond: Double(tokens) / elapsed,
      stepMilliseconds: elapsed / Double(steps) * 1000, firstStepSeconds: firstStep,
      bytesSentPerStep: bytes / steps, exposedMilliseconds: exposed / Double(steps) * 1000,
      tokensPerStep: tokens / steps, touchedRows: rows / steps,
      denseMoments: moments.dense, rowMoments: moments.rows)
  }

  private func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }

  /// The `count` sequences of all steps, or fewer if the data have no more.
  private func sequences(
    _ sentences: [Sentence], _ tokenizer: some Tokenizer, count: Int
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
      return Array(ids.prefix(Self.longest))
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

  /// The sequences from `first` on, around the end, with every token a labelled word.
  private func batch(_ sequences: [[Int32]], first: Int) -> PackedBatch {
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
      batch.sentences.append(SentenceReference(language: 0, sentence: item))
      batch.wordBounds.append(batch.tokenIDs.count)
    }
    batch.segmentBounds.append(batchSize)
    return batch
  }
}
