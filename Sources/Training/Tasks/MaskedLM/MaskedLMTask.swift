import Checkpoints
public import Collectives
public import Configuration
public import Corpus
import Determinism
public import Files
import Foundation
public import Model
public import Tensors
import Tokenizers

/// Masked language modelling over packed text of several languages (Devlin et al., 2019).
public struct MaskedLMTask: TrainingTask {
  public static let schema = TaskSchema(
    name: "masked-lm", summary: "Guesses hidden tokens of packed text: pretraining of an encoder.",
    options: MaskedLMOptions.self, makes: [.model],
    metrics: [
      TaskMetric(
        name: "eval_loss", score: "loss", moreIsBetter: false, title: "loss", format: .decimals(4),
        table: .init("dev perplexity", of: .dev, score: "perplexity", format: .decimals(2)))
    ], needs: [.encoder, .tokenizer])

  public static var commands: [TaskCommand] { [FillMask.command] }

  public static var benches: [any StepBench.Type] { [MaskedBench.self] }

  /// Of packed text the index, which holds the shards' checksums.
  public static func dataFiles(of stage: Stage, in configuration: RunConfiguration) -> [String] {
    configuration.languages.flatMap { $0.train + $0.dev + $0.test }
      .map { $0 + "/" + PackedCorpus.indexName }
  }

  private struct Text: Sendable {
    /// Nil for a language that nothing trains.
    let train: PackedText?
    let dev: PackedText?
    let test: PackedText?

    var parts: [(name: String, text: PackedText)] {
      [("train", train), ("dev", dev), ("test", test)].compactMap { name, text in
        text.map { (name, $0) }
      }
    }
  }

  private let setup: StageSetup
  private let options: MaskedLMOptions
  private let start: EncoderStart
  private let texts: [Text]
  private let batches: MaskedBatches
  private let model: MaskedLanguageModel

  /// Reads the indices of all packed directories, and no text.
  public init(_ setup: StageSetup) throws {
    self.setup = setup
    options = setup.options()
    let start = try EncoderStart(setup)
    self.start = start
    let languages = setup.configuration.languages
    texts = try setup.shared.value(
      Self.schema.name, key: "\(languages)\n\(start.tokenizerPath)"
    ) {
      func text(_ directories: [String]) throws -> PackedText? {
        if directories.isEmpty { return nil }
        let text = try PackedText(directories: directories, tokenizer: start.tokenizer)
        guard text.tokenCount > 0 else {
          throw FileError(.data, text.path, "holds no text; pack some, or leave it out")
        }
        return text
      }
      return try languages.map { language in
        Text(
          train: try text(language.train), dev: try text(language.dev),
          test: try text(language.test))
      }
    }
    let rates = Masking.Rates(
      chosen: options.mlmProbability, masked: options.maskReplaceProb,
      random: options.randomReplaceProb, byWord: options.wholeWordMask)
    batches = MaskedBatches(
      shape: SequenceShape(
        maxLength: start.maxLength, filling: options.fillAcross, attention: options.attendWithin),
      masking: try Masking(rates, tokenizer: start.tokenizer, path: start.tokenizerPath),
      specials: start.tokenizer.specials, seed: setup.seed)
    model = MaskedLanguageModel(start.encoder)
  }

  public var fingerprints: [String] {
    zip(setup.configuration.languages, texts).flatMap { language, text in
      text.parts.map { name, text in
        "\(language.code) \(name): \(text.tokenCount) tokens, \(String(text.fingerprint, radix: 16))"
      }
    }
  }

  public func dataFacts() throws -> JSONValue {
    var data = JSONObject()
    for (language, text) in zip(setup.configuration.languages, texts) {
      var parts = JSONObject()
      for (name, text) in text.parts {
        let counts = text.corpora.map(\.index.counts)
        parts[name] = [
          "fingerprint": .init(String(text.fingerprint, radix: 16)),
          "files": .array(
            text.corpora.flatMap(\.index.sources).map { ["name": .init($0.name)] }),
          "lines": .init(counts.reduce(0) { $0 + $1.lines }),
          "documents": .init(counts.reduce(0) { $0 + $1.documents }),
          "words": .init(counts.reduce(0) { $0 + $1.words }),
          "tokens": .init(text.tokenCount),
        ]
      }
      data[language.code] = .object(parts)
    }
    return .object(data)
  }

  // MARK: Training

  public var network: any Network { model }

  public var method: MaskedLM { MaskedLM(model: model) }

  public var facts: JSONObject {
    var facts = JSONObject()
    facts["card"] = ["model": "A masked language model", "pipeline_tag": "fill-mask"]
    return facts
  }

  public var feed: TextFeed {
    let training = setup.stage.training
    return TextFeed(
      texts.map(\.train), codes: setup.configuration.languages.map(\.code),
      languages: setup.languages, alpha: training.samplingAlpha, stepSize: training.stepSize,
      batches: batches, stage: setup.stage.randomKey)
  }

  public func adjustFirst(_ parameters: inout ParameterSet, entries: [Int]) throws {
    guard options.lmHeadBias == .unigram, entries.contains(model.biasEntry) else { return }
    let trained = setup.languages.compactMap { texts[$0].train }
    let sampling = StageSampling(
      seed: 0, stage: 0, sentenceCounts: trained.map(\.tokenCount),
      alpha: setup.stage.training.samplingAlpha, stepSize: .sentences(1))
    let bias = try UnigramBias(
      trained, drawn: sampling.plannedShares,
      vocabularySize: model.configuration.vocabularySize)
    parameters.update(entry: model.biasEntry) { span in
      for id in span.indices { span[id] = bias.values[id] }
    }
  }

  public func problem(in batch: PackedBatch) -> (message: String, item: Int?)? {
    batch.problem(model.limits, labelCounts: texts.map { _ in model.limits.vocabulary })
  }

  // MARK: Files

  public var modelFiles: ModelFileWriter {
    let (start, encoder) = (start, model.configuration)
    return { (directory, type) throws(FileError) in
      try start.writeFiles(
        into: directory, of: encoder, as: "ForMaskedLM", labels: nil, weights: type)
    }
  }

  // MARK: Scores

  /// The mean loss of the hidden tokens, in nats, its exponential, and how many tokens that are.
  ///
  /// Batches and what is hidden in them are fixed by the text and the seed: every evaluation guesses the same tokens. They
  /// are dealt to the ranks in turn, over all languages.
  public func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    keptIn files: PredictionFiles?, over communicator: any Communicator
  ) throws -> [[String: Double]?] {
    let perBatch = max(1, setup.stage.training.evalTokensPerBatch / batches.shape.maxLength)
    var sums: [Double] = []
    var counts: [Double] = []
    // Where the batches of each language begin.
    var starts = [0]
    for language in languages {
      var batch: [MaskedBatches.Item] = []
      func finish() {
        defer { batch = [] }
        let number = sums.count
        sums.append(0)
        counts.append(0)
        guard number % communicator.size == communicator.rank else { return }
        let packed = batches.batch(
          batch, assignment: [Array(batch.indices)], shards: 0..<1,
          name: [
            .text(part.rawValue), .number(language), .number(number - starts[starts.count - 1]),
          ])
        let tape = Tape(workspace: setup.workspace, parameters: parameters)
        method.record(packed, bySegment: false, on: tape)
        sums[number] = tape.terms[0].segmentSums[0]
        counts[number] = tape.terms[0].segmentWeights[0]
      }
      let text = part == .dev ? texts[language].dev : texts[language].test
      for index in 0..<(text?.shardCount ?? 0) {
        guard let shard = try text?.shard(index) else { continue }
        let places = batches.shape.starts(in: shard)
        for (place, start) in places.enumerated() {
          let end = place + 1 < places.count ? places[place + 1] : shard.count
          batch.append(
            (
              ItemReference(language: language, index: batch.count),
              TextSequence(shard: shard, range: start..<end)
            ))
          if batch.count == perBatch { finish() }
        }
      }
      if !batch.isEmpty { finish() }
      starts.append(sums.count)
    }
    // Each number is of one rank: their sum over ranks is exact.
    var all = sums + counts
    if communicator.size > 1, !all.isEmpty { try communicator.allReduce(&all, .sum) }
    return zip(starts, starts.dropFirst()).map { start, end in
      let loss = all[start..<end].reduce(0, +)
      let tokens = all[sums.count + start..<sums.count + end].reduce(0, +)
      // Nothing is hidden in a text of few words.
      guard tokens > 0 else { return nil }
      // Of a model that has diverged it stays a number that can be written.
      return ["loss": loss / tokens, "perplexity": exp(min(loss / tokens, 700)), "tokens": tokens]
    }
  }

  public func words(_ score: StageResult.Score) -> String {
    String(
      format: "loss %.4f, perplexity %.2f over %.0f tokens", score["loss"], score["perplexity"],
      score["tokens"])
  }
}
