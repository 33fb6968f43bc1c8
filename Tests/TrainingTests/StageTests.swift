import Checkpoints
import Collectives
import Corpus
import Files
import Foundation
import Testing
import Tokenizers
import Training

/// What stages hand to each other, what they keep, and what they say of their making.
@Suite struct StageTests {
  private func keep(_ name: String, _ small: SmallRun, _ stages: String) throws -> [StageResult] {
    try #require(try SmallRun.execute(try small.configuration(name, ["stages=[\(stages)]"])))
  }

  private func state(_ path: String) throws -> [String: JSONValue] {
    let bytes = try #require(FileManager.default.contents(atPath: path + "/trainer_state.json"))
    let object = try #require(JSONValue(parsing: Array(bytes), path: path).object)
    return Dictionary(uniqueKeysWithValues: object.members.map { ($0.name, $0.value) })
  }

  /// The moments go on with their count of updates, the schedule begins anew.
  @Test func momentsGoOnWhereAsked() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let first = "{name: first, max_steps: 6}"
    let second = "{name: second, init: first, max_steps: 4, save_strategy: steps, save_steps: 3"
    let reset = try keep("reset", small, "\(first), \(second)}")
    let kept = try keep("kept", small, "\(first), \(second), reset_optimizer: false}")
    #expect(reset[0].weightHash == kept[0].weightHash)
    #expect(reset[1].weightHash != kept[1].weightHash)
    let folder = small.folder
    #expect(try state(folder + "/reset/second/checkpoint-3")["optimiserUpdates"]?.int == 3)
    #expect(try state(folder + "/kept/second/checkpoint-3")["optimiserUpdates"]?.int == 9)
    // Only a stage that another one goes on from leaves its moments.
    #expect(try state(folder + "/kept/first/checkpoint-6")["optimiserUpdates"]?.int == 6)
    #expect(!FileManager.default.fileExists(atPath: folder + "/reset/first/checkpoint-6"))
  }

  /// One seed of several gives the weights that it gives alone.
  @Test func aSeedOfSeveralIsThatSeed() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let stages =
      "stages=[{name: a, max_steps: 3}, {name: 'b {language}', each: language, init: a, max_steps: 2}]"
    let alone = try #require(
      try SmallRun.execute(try small.configuration("alone", [stages, "seed=2"])))
    let several = try #require(
      try SmallRun.execute(try small.configuration("several", [stages, "seeds=[1, 2, 3]"])))
    func hashes(_ seed: Int) -> [String] {
      several.filter { $0.stage.hasSuffix("seed \(seed)") }.map(\.weightHash)
    }
    #expect(several.count == 9 && Set(several.map(\.weightHash)).count == 9)
    #expect(hashes(2) == alone.map(\.weightHash))
  }

  @Test func aStageThatSavesNothingKeepsItsScores() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration("run", ["save_strategy=no"])
    let result = try #require(try SmallRun.execute(configuration)?.first)
    let left = try FileManager.default.contentsOfDirectory(atPath: small.folder + "/run/train")
    #expect(left.sorted() == ["predictions", "result.json"])
    #expect(try SmallRun.execute(configuration, resume: .auto) == [result])
  }

  @Test func aNamedCheckpointIsContinued() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let overrides = ["save_strategy=steps", "save_steps=4"]
    let unbroken = try SmallRun.execute(try small.configuration("unbroken", overrides))
    let configuration = try small.configuration("broken", overrides)
    #expect(try SmallRun.execute(configuration, stopAfter: 9) == nil)
    let resumed = try SmallRun.execute(
      configuration, resume: .checkpoint(small.folder + "/broken/train/checkpoint-4"))
    #expect(resumed?.first?.weightHash == unbroken?.first?.weightHash)
  }

  /// The named checkpoint is for the first stage that is not finished; those of later steps step aside.
  @Test func aNamedCheckpointIsOfOneStage() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let overrides = [
      "stages=[{name: first}, {name: second, init: first}]", "save_strategy=steps", "save_steps=4",
      "eval_strategy=steps", "eval_steps=3", "load_best_model_at_end=true", "save_total_limit=3",
    ]
    let unbroken = try SmallRun.execute(try small.configuration("unbroken", overrides))
    let configuration = try small.configuration("broken", overrides)
    #expect(try SmallRun.execute(configuration, stopAfter: 9) == nil)
    let resumed = try SmallRun.execute(
      configuration, resume: .checkpoint(small.folder + "/broken/first/checkpoint-4"))
    #expect(resumed?.map(\.stage) == ["first", "second"])
    #expect(resumed?.map(\.steps) == unbroken?.map(\.steps))
    let left = try FileManager.default.contentsOfDirectory(
      atPath: small.folder + "/broken/first")
    #expect(left.contains(".aside-checkpoint-9") && !left.contains("checkpoint-9"))
    #expect(left.contains("checkpoint-8") && left.contains("checkpoint-4"))
  }

  /// A weight that is not finite is felt by the sentences that use it, and these are named.
  @Test(arguments: [false, true]) func aLossThatIsNotFiniteNamesItsSentences(
    full: Bool
  ) throws {
    let small = try SmallRun()
    defer { small.remove() }
    _ = try SmallRun.execute(try small.configuration("run", ["max_steps=2"]))
    let model = small.folder + "/run/train/model"
    // A piece that a single sentence of the corpus has.
    let tokenizer = try TokenizerLoader.load(model)
    let files = ["en", "ru"].map { small.folder + "/sample/\($0).train.conll" }
    let sentences = try files.flatMap { try SentenceReader.read($0) }
    var uses: [Int32: [Int]] = [:]
    for (index, sentence) in sentences.enumerated() {
      for id in Set(tokenizer.encode(words: sentence.words).joined()) {
        uses[id, default: []].append(index)
      }
    }
    let (id, places) = try #require(
      uses.filter { $0.value.count == 1 }.min { $0.key < $1.key })
    let file = try SafetensorsFile(model + "/model.safetensors")
    let start = try #require(file["bert.embeddings.word_embeddings.weight"]).byteRange.lowerBound
    var bytes = try #require(FileManager.default.contents(atPath: file.path))
    bytes.replaceSubrange(
      start + Int(id) * 32 * 4..<start + Int(id) * 32 * 4 + 4, with: [0, 0, 0xC0, 0x7F])
    try bytes.write(to: URL(filePath: file.path))
    let configuration = try small.configuration(
      "next",
      ["model=null", "init=\(model)", "full_determinism=\(full)", "max_steps=8", "shards=24"])
    let sentence = sentences[places[0]]
    #expect {
      _ = try ThreadGroup.run(ranks: 2) { try SmallRun.execute(configuration, over: $0) }
    } throws: { error in
      let text = "\(error)"
      return text.contains("is not finite") && text.contains(":\(sentence.line)")
        && text.contains(sentence.path.split(separator: "/").last ?? "-")
    }
  }

  @Test func aStageStopsWithoutImprovement() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "run",
      [
        "learning_rate=1.0e-300", "weight_decay=0", "max_steps=40", "eval_strategy=steps",
        "eval_steps=5", "early_stopping_patience=2",
      ])
    let result = try #require(try SmallRun.execute(configuration)?.first)
    #expect(result.steps == 15)
  }

  /// The manifest says what made the checkpoint, and tells nobody the folders of this machine.
  @Test func manifestsHoldConfigAndFingerprints() throws {
    let small = try SmallRun()
    defer { small.remove() }
    _ = try SmallRun.execute(try small.configuration("run", ["max_steps=2"]))
    let model = small.folder + "/run/train/model"
    let facts = try CheckpointManifest(directory: model).facts
    let file = try #require(facts["data"]?["ru"]?["train"]?["files"]?.array?.first)
    #expect(file["name"]?.string == "ru.train.conll")
    let path = small.folder + "/sample/ru.train.conll"
    #expect(try file["sha256"]?.string == SHA256.digest(ofFile: path))
    #expect(facts["data"]?["ru"]?["train"]?["sentences"]?.int == 80)
    #expect(facts["config"]?["seed"]?.int == 42)
    let text = try String(contentsOfFile: model + "/isogloss.json", encoding: .utf8)
    #expect(!text.contains(small.folder))
  }
}
