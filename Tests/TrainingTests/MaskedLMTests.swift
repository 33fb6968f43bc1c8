import Checkpoints
import Collectives
import Configuration
import Corpus
import Foundation
import TestSupport
import Testing
import Tokenizers
import Training

/// Runs of masked language modelling over packed text.
@Suite struct MaskedLMTests {
  /// Batches, masks and weights do not depend on ranks, threads, passes or the sharded optimiser.
  @Test(arguments: [
    [], ["whole_word_mask=true", "fill_across=document"], ["attend_within=document"],
    ["per_step_sentences=null", "per_step_tokens=300", "bf16=true"],
  ])
  func weightsHaveTheSameBitsForAnyRanks(overrides: [String]) throws {
    let text = try SmallText()
    defer { text.remove() }
    var hashes: Set<String> = []
    for (ranks, threads, sharded, budget) in [
      (1, 1, false, 100_000), (1, 2, true, 60), (2, 1, false, 100), (3, 1, true, 100_000),
      (4, 2, false, 10),
    ] {
      let configuration = try text.configuration(
        "run-\(ranks)-\(threads)",
        overrides + [
          "full_determinism=true", "shard_optimizer=\(sharded)", "max_tokens_per_pass=\(budget)",
        ])
      let results = try ThreadGroup.run(ranks: ranks) { communicator in
        try SmallRun.execute(configuration, over: communicator, threads: threads)
      }
      for result in results { hashes.insert(try #require(result?.first).weightHash) }
    }
    #expect(hashes.count == 1)
  }

  /// Each rank's gradient of each step is that of its shards: two ranks see what one sees.
  @Test func lossesOfRanksAgreeWithoutFullDeterminism() throws {
    let text = try SmallText()
    defer { text.remove() }
    var losses: [[Double]] = []
    for ranks in [1, 2, 4] {
      let configuration = try text.configuration("run-\(ranks)", ["logging_steps=1"])
      _ = try ThreadGroup.run(ranks: ranks) { try SmallRun.execute(configuration, over: $0) }
      let log = try String(
        contentsOfFile: text.folder + "/run-\(ranks)/metrics.jsonl", encoding: .utf8)
      losses.append(
        try log.split(separator: "\n").compactMap { line in
          let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
          return (value as? [String: Any])?["loss"] as? Double
        })
    }
    #expect(losses[0].count == 20)
    for other in losses.dropFirst() {
      for (loss, wanted) in zip(other, losses[0]) { #expect(abs(loss - wanted) <= 1e-4 * wanted) }
    }
  }

  @Test(arguments: [(1, [String]()), (2, ["shard_optimizer=true", "fill_across=document"])])
  func aStoppedRunGoesOnWithoutReplayToTheSameBits(ranks: Int, overrides: [String]) throws {
    let text = try SmallText()
    defer { text.remove() }
    func run(_ name: String, resume: Run.Resume, stopAfter: Int? = nil) throws -> [StageResult]? {
      let configuration = try text.configuration(
        name, overrides + ["eval_strategy=steps", "eval_steps=5", "load_best_model_at_end=true"])
      return try ThreadGroup.run(ranks: ranks) { communicator in
        try SmallRun.execute(
          configuration, over: communicator, resume: resume, stopAfter: stopAfter)
      }[0]
    }
    let whole = try #require(try run("whole", resume: .no))
    // After 0 polls: before the first update.
    for polls in [0, 1, 7, 13] {
      #expect(try run("stopped-\(polls)", resume: .no, stopAfter: polls) == nil)
      let rest = try #require(try run("stopped-\(polls)", resume: .auto))
      #expect(rest[0].weightHash == whole[0].weightHash, "stopped after \(polls) steps")
      #expect(rest[0].dev == whole[0].dev)
    }
  }

  /// A fresh decoder guesses by frequency where it is told to; one that a checkpoint brings stays as it is.
  @Test func aFreshDecoderMayGuessByFrequency() throws {
    let text = try SmallText()
    defer { text.remove() }
    func firstLoss(_ name: String, _ overrides: [String]) throws -> Double {
      let configuration = try text.configuration(
        name, overrides + ["logging_steps=1", "max_steps=2", "warmup_steps=0"])
      _ = try SmallRun.execute(configuration)
      let log = try String(contentsOfFile: text.folder + "/\(name)/metrics.jsonl", encoding: .utf8)
      let line = try #require(log.split(separator: "\n").first { $0.contains("\"loss\"") })
      let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
      return try #require((value as? [String: Any])?["loss"] as? Double)
    }
    let tokenizer = try TokenizerLoader.load(text.folder + "/sample/tokenizer")
    let even = try firstLoss("zero", [])
    #expect(abs(even - log(Double(tokenizer.vocabularySize))) < 0.2)
    let byFrequency = try firstLoss("unigram", ["lm_head_bias=unigram"])
    #expect(byFrequency < even - 0.5, "\(byFrequency), and \(even) from zero")
    let parent = "init=\(text.folder)/zero/train/model"
    let kept = try firstLoss("kept", [parent])
    let same = try firstLoss("same", [parent, "lm_head_bias=unigram"])
    #expect(kept == same)
  }

  /// Positions of a mimetic start are sinusoids: one sine and one cosine of each frequency, so that all have the same norm.
  @Test func aRunBeginsAsItsInitializerSays() throws {
    let text = try SmallText()
    defer { text.remove() }
    for (initializer, isEven) in [("normal", false), ("mimetic", true)] {
      let configuration = try text.configuration(
        initializer,
        [
          "model.initializer=\(initializer)", "max_steps=1", "warmup_steps=0",
          "learning_rate=1e-12",
        ])
      _ = try SmallRun.execute(configuration)
      let file = try SafetensorsFile(text.folder + "/\(initializer)/train/model/model.safetensors")
      var positions = [Float](repeating: 0, count: 64 * 32)
      var span = positions.mutableSpan
      try file.read("bert.embeddings.position_embeddings.weight", into: &span)
      let norms = (0..<64).map { row in
        (0..<32).reduce(Float(0)) { $0 + positions[row * 32 + $1] * positions[row * 32 + $1] }
      }
      let spread = try #require(norms.max()) - (try #require(norms.min()))
      #expect((spread < 1e-6) == isEven, "\(initializer): \(spread)")
    }
    #expect {
      let configuration = try text.configuration(
        "narrow", ["model.num_attention_heads=8", "model.initializer=mimetic"])
      _ = try SmallRun.execute(configuration)
    } throws: { error in
      "\(error)".contains("model.initializer: mimetic needs heads of width 8 or more")
    }
  }

  /// A first bias is the logarithm of a token's share of what is drawn: of each language by its exponent.
  @Test func theFirstBiasIsTheShareOfEachToken() throws {
    let text = try SmallText()
    defer { text.remove() }
    // Nothing is learnt at this rate.
    let configuration = try text.configuration(
      "run", ["lm_head_bias=unigram", "max_steps=1", "warmup_steps=0", "learning_rate=1e-12"])
    _ = try SmallRun.execute(configuration)
    let tokenizer = try TokenizerLoader.load(text.folder + "/sample/tokenizer")
    var shares = [Double](repeating: 0, count: tokenizer.vocabularySize)
    var weights = 0.0
    for language in ["en", "ru"] {
      let packed = try PackedText(
        directories: ["\(text.folder)/packed/\(language)/train"], tokenizer: tokenizer)
      #expect(packed.shardCount > 1)
      let total = Double(packed.tokenCount)
      weights += total.squareRoot()
      for shard in 0..<packed.shardCount {
        let ids = try packed.shard(shard)
        for index in 0..<ids.count { shares[Int(ids[index])] += total.squareRoot() / total }
      }
    }
    let file = try SafetensorsFile(text.folder + "/run/train/model/model.safetensors")
    var bias = [Float](repeating: 0, count: shares.count)
    var span = bias.mutableSpan
    try file.read("cls.predictions.bias", into: &span)
    for (value, share) in zip(bias, shares) {
      let wanted = log(0.99 * share / weights + 0.01 / Double(shares.count))
      #expect(abs(Double(value) - wanted) < 1e-5)
    }
  }

  /// What a checkpoint tells of the text is held against it.
  @Test(arguments: ["repacked", "negative", "huge", "missing"])
  func aCursorThatIsNotOfTheTextIsRefused(kind: String) throws {
    let text = try SmallText()
    defer { text.remove() }
    let configuration = try text.configuration("run")
    #expect(try SmallRun.execute(configuration, stopAfter: 5) == nil)
    let path = text.folder + "/run/train/checkpoint-5/trainer_state.json"
    var state = try String(contentsOfFile: path, encoding: .utf8)
    let drawn = try #require(state.firstRange(of: /"drawn"\s*:\s*\[\s*\d+/))
    switch kind {
    case "repacked":
      try FileManager.default.removeItem(atPath: text.folder + "/packed/en")
      let tokenizer = try TokenizerLoader.load(text.folder + "/sample/tokenizer")
      _ = try TextPacker.pack(
        PackingPlan(
          language: "en", inputs: [text.folder + "/ru.txt"], tokenizer: tokenizer,
          directory: text.folder + "/packed", devEvery: 10, shardTokens: 150))
    case "negative": state.replaceSubrange(drawn, with: "\"drawn\": [-1")
    case "huge": state.replaceSubrange(drawn, with: "\"drawn\": [9223372036854775807")
    default: state = state.replacing(/"text"/, with: "\"test\"")
    }
    // Whoever changes a checkpoint can change its manifest.
    try state.write(toFile: path, atomically: true, encoding: .utf8)
    let manifest = text.folder + "/run/train/checkpoint-5/isogloss.json"
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    var facts = try String(contentsOfFile: manifest, encoding: .utf8)
    if let entry = facts.firstRange(of: /"trainer_state.json"[^}]*}/) {
      facts.replaceSubrange(
        entry, with: facts[entry].replacing(/"bytes"\s*:\s*\d+/, with: "\"bytes\": \(size)"))
      try facts.write(toFile: manifest, atomically: true, encoding: .utf8)
    }
    let place = text.folder + "/run/train/checkpoint-5"
    #expect {
      _ = try SmallRun.execute(configuration, resume: .checkpoint(place))
    } throws: { error in
      "\(error)".contains("checkpoint-5/trainer_state.json")
    }
  }

  /// Lengths grow from stage to stage; the loss falls; the model goes on as a tagger and as itself.
  @Test func stagesLearnAndHandOn() throws {
    let text = try SmallText()
    defer { text.remove() }
    let configuration = try text.configuration(
      "run",
      [
        "stages=[{name: short, max_length: 12, max_steps: 60}, {name: long, init: short, max_steps: 60}]",
        "learning_rate=3e-3",
      ])
    let results = try #require(try SmallRun.execute(configuration))
    #expect(results.map(\.stage) == ["short", "long"])
    let untrained = try #require(
      try SmallRun.execute(
        try text.configuration("first", ["max_steps=1", "warmup_steps=0", "learning_rate=1e-9"])))
    for (after, before) in zip(results[1].dev, untrained[0].dev) {
      #expect(after.language == before.language)
      #expect(after["loss"] < before["loss"] - 0.3)
      #expect(abs(exp(after["loss"]) - after["perplexity"]) <= 1e-9 * after["perplexity"])
      #expect(after["tokens"] > 0)
    }
    let model = text.folder + "/run/long/model"
    let config = try HuggingFaceConfig(directory: model)
    #expect(config.architectures == ["BertForMaskedLM"] && config.labels == nil)
    let more = try #require(
      try SmallRun.execute(
        try text.configuration(
          "more",
          [
            "init=run/long/model", "max_steps=1", "warmup_steps=0", "learning_rate=1e-9",
          ])
      ))
    for (same, before) in zip(more[0].dev, results[1].dev) {
      #expect(abs(same["loss"] - before["loss"]) < 1e-3)
    }
    let tagged = try text.small.configuration(
      "tagged", ["init=run/long/model", "tokenizer=null", "max_steps=2"])
    #expect(try SmallRun.execute(tagged)?.count == 1)
  }

  @Test func textOfAnotherTokenizerIsRefused() throws {
    let text = try SmallText()
    defer { text.remove() }
    let path = text.folder + "/sample/tokenizer/vocab.txt"
    let words = try String(contentsOfFile: path, encoding: .utf8)
    try (words + "another\n").write(toFile: path, atomically: true, encoding: .utf8)
    #expect {
      _ = try SmallRun.execute(try text.configuration("run"))
    } throws: { error in
      "\(error)".contains("packed/en/train") && "\(error)".contains("tokenizer")
    }
  }

  @Test(arguments: [
    ("head=crf", "head"), ("metric_for_best_model=macro_f1", "metric_for_best_model"),
    ("label_smoothing_factor=0.1", "label_smoothing_factor"), ("max_length=65", "max_length"),
    ("mask_replace_prob=0.95", "random_replace_prob"),
  ])
  func keysOfOtherTasksAreRefused(override: String, key: String) throws {
    let text = try SmallText()
    defer { text.remove() }
    #expect {
      _ = try text.configuration("run", [override])
    } throws: { error in "\(error)".contains(key) }
    #expect {
      _ = try text.small.configuration("run", ["mlm_probability=0.2"])
    } throws: { error in "\(error)".contains("masked-lm") }
  }
}
