import Collectives
import Configuration
import Files
import Foundation
import TestSupport
import Testing
import Training

/// What a run gives does not depend on how many ranks and threads it has, nor on whether it was stopped.
@Suite struct RunDeterminismTests {
  @Test(arguments: [
    [], ["head=crf"], ["labels=per-language"], ["per_step_sentences=null", "per_step_tokens=300"],
    ["bf16=true"], ["embedding_weight_decay=dense", "weight_decay=0.1"],
  ])
  func weightsHaveTheSameBitsForAnyRanksAndThreads(overrides: [String]) throws {
    let small = try SmallRun()
    defer { small.remove() }
    var hashes: Set<String> = []
    for (ranks, threads, sharded) in [
      (1, 1, false), (1, 2, false), (1, 3, true), (2, 1, false), (2, 2, true), (3, 1, true),
      (4, 1, false), (8, 1, true),
    ] {
      let configuration = try small.configuration(
        "run-\(ranks)-\(threads)",
        overrides + ["full_determinism=true", "max_steps=50", "shard_optimizer=\(sharded)"])
      let results = try ThreadGroup.run(ranks: ranks) { communicator in
        try SmallRun.execute(configuration, over: communicator, threads: threads)
      }
      for result in results { hashes.insert(try #require(result?.first).weightHash) }
    }
    #expect(hashes.count == 1)
  }

  @Test func accumulationInPassesLeavesTheBits() throws {
    let small = try SmallRun()
    defer { small.remove() }
    var hashes: Set<String> = []
    for (budget, ranks) in [(100_000, 1), (200, 1), (60, 1), (10, 1), (60, 2), (10, 3)] {
      let configuration = try small.configuration(
        "run-\(budget)-\(ranks)", ["full_determinism=true", "max_tokens_per_pass=\(budget)"])
      let results = try ThreadGroup.run(ranks: ranks) {
        try SmallRun.execute(configuration, over: $0)
      }
      hashes.insert(try #require(results[0]?.first).weightHash)
    }
    #expect(hashes.count == 1)
  }

  @Test func withoutFullDeterminismLossesAgree() throws {
    let small = try SmallRun()
    defer { small.remove() }
    var losses: [[Double]] = []
    for ranks in [1, 2, 4] {
      let configuration = try small.configuration("run-\(ranks)", ["logging_steps=1"])
      _ = try ThreadGroup.run(ranks: ranks) { try SmallRun.execute(configuration, over: $0) }
      let log = try String(
        contentsOfFile: small.folder + "/run-\(ranks)/metrics.jsonl", encoding: .utf8)
      // What each rank waited stands beside, where there are several.
      #expect(log.contains("waited_rank_\(ranks - 1)") == (ranks > 1))
      #expect(!log.contains("waited_rank_\(ranks)\""))
      losses.append(
        try log.split(separator: "\n").compactMap { line in
          let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
          return (value as? [String: Any])?["loss"] as? Double
        })
    }
    #expect(losses[0].count == 12)
    for other in losses.dropFirst() {
      for (loss, wanted) in zip(other, losses[0]) { #expect(abs(loss - wanted) <= 1e-4 * wanted) }
    }
  }

  @Test(arguments: [(1, false), (2, false), (2, true)])
  func aStoppedRunGoesOnToTheSameBits(ranks: Int, sharded: Bool) throws {
    let small = try SmallRun()
    defer { small.remove() }
    let overrides = [
      "eval_strategy=steps", "eval_steps=4", "load_best_model_at_end=true",
      "shard_optimizer=\(sharded)",
    ]
    func run(_ name: String, resume: Run.Resume, stopAfter: Int? = nil) throws -> [StageResult]? {
      let configuration = try small.configuration(name, overrides)
      return try ThreadGroup.run(ranks: ranks) {
        try SmallRun.execute(configuration, over: $0, resume: resume, stopAfter: stopAfter)
      }[0]
    }
    let unbroken = try #require(run("unbroken", resume: .no)?.first)
    #expect(try run("broken", resume: .auto, stopAfter: 5) == nil)
    #expect(FileManager.default.fileExists(atPath: small.folder + "/broken/train/checkpoint-5"))
    let resumed = try #require(run("broken", resume: .auto)?.first)
    #expect(resumed.weightHash == unbroken.weightHash)
    #expect(resumed.test == unbroken.test)
  }

  /// A checkpoint goes on with any number of ranks, under full determinism to the same bits.
  @Test(arguments: [false, true]) func aStoppedRunGoesOnWithOtherRanks(sharded: Bool) throws {
    let small = try SmallRun()
    defer { small.remove() }
    func run(_ name: String, ranks: Int, stopAfter: Int? = nil) throws -> [StageResult]? {
      let configuration = try small.configuration(
        name, ["full_determinism=true", "shard_optimizer=\(sharded)"])
      return try ThreadGroup.run(ranks: ranks) {
        try SmallRun.execute(configuration, over: $0, resume: .auto, stopAfter: stopAfter)
      }[0]
    }
    let unbroken = try #require(run("unbroken", ranks: 1)?.first)
    #expect(try run("broken", ranks: 4, stopAfter: 4) == nil)
    #expect(try run("broken", ranks: 1, stopAfter: 4) == nil)
    let resumed = try #require(run("broken", ranks: 3)?.first)
    #expect(resumed.weightHash == unbroken.weightHash)
    #expect(resumed.test == unbroken.test)
  }

  /// A sharded optimiser gives the weights, scores and checkpoint files of one that is not.
  @Test func aShardedOptimiserLeavesTheSameFiles() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let overrides = [
      "save_strategy=steps", "save_steps=5", "freeze={layers: 1}", "max_tokens_per_pass=60",
    ]
    for sharded in [false, true] {
      let configuration = try small.configuration(
        "run-\(sharded)", overrides + ["shard_optimizer=\(sharded)"])
      _ = try ThreadGroup.run(ranks: 4, ranksPerMachine: sharded ? 2 : 4) {
        try SmallRun.execute(configuration, over: $0)
      }
    }
    for file in ["model.safetensors", "optimizer.safetensors"] {
      let (plain, sharded) = (
        FileManager.default.contents(
          atPath: small.folder + "/run-false/train/checkpoint-10/\(file)"),
        FileManager.default.contents(
          atPath: small.folder + "/run-true/train/checkpoint-10/\(file)")
      )
      #expect(try #require(plain) == #require(sharded), "\(file)")
    }
  }

  @Test func aChangedCheckpointIsNotContinued() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration("run")
    #expect(try SmallRun.execute(configuration, stopAfter: 3) == nil)
    let path = small.folder + "/run/train/checkpoint-3/model.safetensors"
    var bytes = try #require(FileManager.default.contents(atPath: path))
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: URL(filePath: path))
    #expect {
      _ = try SmallRun.execute(configuration, resume: .auto)
    } throws: { "\($0)".contains("a file was changed") }
  }

  @Test func stagesBuildOnEachOther() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let stages =
      "stages=[{name: 'mono {language}', each: language}, {name: polyglot}, "
      + "{name: 'fine {language}', each: language, init: polyglot}]"
    let configuration = try small.configuration("run", [stages])
    let results = try #require(try SmallRun.execute(configuration))
    #expect(
      results.map(\.stage) == ["mono en", "mono ru", "polyglot", "fine en", "fine ru"])
    #expect(results.map(\.group) == ["mono", "mono", "polyglot", "fine", "fine"])
    let table = RunResults(
      results, of: configuration, metric: TokenClassificationTask.schema.metrics[0]
    ).table(as: .text)
    #expect(table.split(separator: "\n").count == 4)
  }

  /// Fine-tuning at rate 0 is the model it began with; the smallest rate there is, rounds to it.
  @Test func aRateOfZeroChangesNothing() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let stages =
      "stages=[{name: polyglot}, {name: fine, init: polyglot, learning_rate: 1.0e-300, weight_decay: 0}]"
    let results = try #require(SmallRun.execute(try small.configuration("run", [stages])))
    #expect(results[0].weightHash == results[1].weightHash)
  }
}
