import Checkpoints
import Collectives
import Configuration
import Corpus
import Determinism
import Files
import Foundation
import Model
import Tensors
import Tokenizers

/// Masked language modelling over packed text of several languages.
struct MaskedLMTask: RunTask {
  private struct Text: Sendable {
    let train: PackedText
    let dev: PackedText?
    let test: PackedText?
  }

  private let configuration: RunConfiguration
  private let tokenizer: any Tokenizer
  private let longestSequence: Int
  private let texts: [Text]
  private let tokenizerPath: String

  /// Reads the indices of all packed directories, and no text.
  init(
    _ configuration: RunConfiguration, tokenizer: any Tokenizer, longestSequence: Int
  ) throws {
    self.configuration = configuration
    self.tokenizer = tokenizer
    self.longestSequence = longestSequence
    func text(_ directories: [String]) throws -> PackedText? {
      if directories.isEmpty { return nil }
      let text = try PackedText(directories: directories, tokenizer: tokenizer)
      guard text.tokenCount > 0 else {
        throw CorpusError(.data, text.path, "holds no text; pack some, or leave it out")
      }
      return text
    }
    texts = try configuration.languages.map { language in
      guard let train = try text(language.train) else {
        preconditionFailure("a language without training text")
      }
      return Text(train: train, dev: try text(language.dev), test: try text(language.test))
    }
    tokenizerPath =
      configuration.tokenizer
      ?? {
        if case .checkpoint(directory: let path) = configuration.start { path } else { "" }
      }()
    // Refused before anything is trained.
    _ = try Masking(.init(), tokenizer: tokenizer, path: tokenizerPath)
  }

  var fingerprints: [String] {
    zip(configuration.languages, texts).flatMap { language, text in
      [("train", text.train), ("dev", text.dev), ("test", text.test)].compactMap { name, text in
        text.map {
          "\(language.code) \(name): \($0.tokenCount) tokens, \(String($0.fingerprint, radix: 16))"
        }
      }
    }
  }

  var labels: [LabelSet] { [] }

  var architecture: String { "ForMaskedLM" }

  func network(_ encoder: EncoderConfiguration) -> any Network { MaskedLanguageModel(encoder) }

  func adjustFirst(
    _ parameters: inout ParameterSet, entries: [Int], of network: any Network, for stage: Stage
  ) throws {
    let network = model(network)
    guard stage.training.lmHeadBias == .unigram, entries.contains(network.biasEntry) else { return }
    let trained = zip(configuration.languages, texts)
      .filter { stage.languages.contains($0.0.code) }.map(\.1.train)
    let sampling = StageSampling(
      seed: 0, stage: 0, sentenceCounts: trained.map(\.tokenCount),
      alpha: stage.training.samplingAlpha, stepSize: .sentences(1))
    let bias = try UnigramBias(
      trained, drawn: sampling.plannedShares,
      vocabularySize: network.configuration.vocabularySize)
    parameters.update(entry: network.biasEntry) { span in
      for id in span.indices { span[id] = bias.values[id] }
    }
  }

  private func model(_ network: any Network) -> MaskedLanguageModel {
    guard let model = network as? MaskedLanguageModel else {
      preconditionFailure("\(type(of: network)) is no masked language model")
    }
    return model
  }

  func dataFacts(_ languages: [RunConfiguration.Language]) throws(CheckpointError) -> JSONValue {
    var data = JSONObject()
    for (language, text) in zip(languages, texts) {
      var parts = JSONObject()
      for (name, text) in [("train", text.train), ("dev", text.dev), ("test", text.test)] {
        guard let text else { continue }
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

  func stage(
    _ stage: Stage, index: Int, network: any Network, in workspace: Workspace
  ) -> any StageTask {
    let model = model(network)
    let training = stage.training
    let length = stage.maxLength ?? longestSequence
    let rates = Masking.Rates(
      chosen: training.mlmProbability, masked: training.maskReplaceProb,
      random: training.randomReplaceProb, byWord: training.wholeWordMask)
    let masking: Masking
    do {
      masking = try Masking(rates, tokenizer: tokenizer, path: tokenizerPath)
    } catch {
      preconditionFailure("a tokenizer that was good at first: \(error)")
    }
    let batches = MaskedBatches(
      shape: SequenceShape(
        maxLength: length,
        filling: SequenceShape.Filling(rawValue: training.fillAcross.rawValue) ?? .language,
        attention: SequenceShape.Attention(rawValue: training.attendWithin.rawValue) ?? .sequence),
      masking: masking, specials: tokenizer.specials,
      seed: UInt64(bitPattern: Int64(configuration.seed)))
    let codes = configuration.languages.map(\.code)
    return MaskedLMStage(
      textMethod: MaskedLM(model: model), batches: batches,
      parts: texts.map { [.dev: $0.dev, .test: $0.test].compactMapValues(\.self) },
      workspace: workspace, tokensPerBatch: training.evalTokensPerBatch,
      feed: TextFeed(
        texts.map(\.train), codes: codes,
        languages: codes.indices.filter { stage.languages.contains(codes[$0]) },
        alpha: training.samplingAlpha, stepSize: training.stepSize, batches: batches,
        stage: index))
  }
}

/// A stage over packed text.
private struct MaskedLMStage: StageTask {
  let textMethod: MaskedLM
  let batches: MaskedBatches
  /// What is scored of each language.
  let parts: [[ScoredPart: PackedText]]
  let workspace: Workspace
  let tokensPerBatch: Int
  let feed: any StageFeed

  var method: any TrainingMethod { textMethod }

  var labelCounts: [Int] { parts.map { _ in textMethod.model.configuration.vocabularySize } }

  var metric: (name: String, moreIsBetter: Bool) { ("loss", false) }

  var facts: JSONObject { JSONObject() }

  /// The mean loss of the hidden tokens, in nats, its exponential, and how many tokens that are.
  ///
  /// Batches and what is hidden in them are fixed by the text and the seed: every evaluation guesses the same tokens. They
  /// are dealt to the ranks in turn, over all languages.
  func scores(
    _ part: ScoredPart, ofLanguages languages: [Int], _ parameters: ParameterSet,
    over communicator: any Communicator
  ) throws -> [[String: Double]?] {
    let perBatch = max(1, tokensPerBatch / batches.shape.maxLength)
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
        let tape = Tape(workspace: workspace, parameters: parameters)
        textMethod.record(packed, bySegment: false, on: tape)
        sums[number] = tape.terms[0].segmentSums[0]
        counts[number] = tape.terms[0].segmentWeights[0]
      }
      let text = parts[language][part]
      for index in 0..<(text?.shardCount ?? 0) {
        guard let shard = try text?.shard(index) else { continue }
        let places = batches.shape.starts(in: shard)
        for (place, start) in places.enumerated() {
          let end = place + 1 < places.count ? places[place + 1] : shard.count
          batch.append(
            (
              SentenceReference(language: language, sentence: batch.count),
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

  func words(_ score: StageResult.Score) -> String {
    String(
      format: "loss %.4f, perplexity %.2f over %.0f tokens", score["loss"], score["perplexity"],
      score["tokens"])
  }
}
