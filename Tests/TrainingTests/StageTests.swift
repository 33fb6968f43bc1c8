import Checkpoints
import Foundation
import Testing
import Training

/// What stages hand to each other, what they keep, and what they say of their making.
@Suite struct StageTests {
  private func keep(_ name: String, _ small: SmallRun, _ stages: String) throws -> [StageResult] {
    try #require(SmallRun.execute(try small.configuration(name, ["stages=[\(stages)]"])))
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

  @Test func aStageThatSavesNothingKeepsItsScores() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration("run", ["save_strategy=no"])
    let result = try #require(SmallRun.execute(configuration)?.first)
    let left = try FileManager.default.contentsOfDirectory(atPath: small.folder + "/run/train")
    #expect(left == ["result.json"])
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

  @Test func aStageStopsWithoutImprovement() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "run",
      [
        "learning_rate=1.0e-300", "weight_decay=0", "max_steps=40", "eval_strategy=steps",
        "eval_steps=5", "early_stopping_patience=2",
      ])
    let result = try #require(SmallRun.execute(configuration)?.first)
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
