import Checkpoints
import Collectives
import Commands
import Configuration
import Diagnostics
import Foundation
import Tensors
import TestSupport
import Testing
import Training

/// A rank's gradient of a step is made again, to the bit.
@Suite struct ReplayTests {
  private func replay(
    _ run: String, rank: Int, step: Int, stage: String? = nil, threads: Int = 1
  ) throws -> (replay: Replay, outcome: Replay.Outcome) {
    let replay = try Replay(
      runDirectory: run, stage: stage, rank: rank, step: step, tasks: standardTasks)
    let outcome = try replay.run(reporter: .silent, programVersion: "test") {
      Workspace(
        kernels: try KernelTable.chosen(), threadCount: threads,
        precision: replay.configuration.precision)
    }
    return (replay, outcome)
  }

  private func train(
    _ configuration: RunConfiguration, ranks: Int, resume: Run.Resume = .no,
    stopAfter polls: Int? = nil
  ) throws {
    _ = try ThreadGroup.run(ranks: ranks) { communicator in
      try SmallRun.execute(
        configuration, over: communicator, resume: resume, stopAfter: polls)
    }
  }

  /// The names and contents of all files below a folder.
  private func files(_ folder: String) throws -> [String: Data?] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder)
    return Dictionary(
      uniqueKeysWithValues: names.map {
        ($0, FileManager.default.contents(atPath: folder + "/" + $0))
      })
  }

  @Test(arguments: [
    ["save_total_limit=1"], ["shard_optimizer=true", "gradient_dtype=bf16"],
    ["full_determinism=true", "head=crf", "max_tokens_per_pass=60"],
    ["embedding_weight_decay=dense", "weight_decay=0.1", "shard_optimizer=true"],
    ["precision=bf16", "labels=per-language", "freeze.embeddings=true"],
    ["eval_strategy=steps", "eval_steps=3", "load_best_model_at_end=true"],
  ])
  func fourRanksGiveTheirHashesAgain(overrides: [String]) throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "run", overrides + ["log_gradients=true", "save_strategy=steps", "save_steps=5"])
    try train(configuration, ranks: 4)
    let run = small.folder + "/run"
    let before = try files(run)
    var hashes: Set<String> = []
    for (rank, step, from) in [(0, 1, 0), (3, 5, 0), (1, 6, 5), (2, 12, 10)] {
      let (replay, outcome) = try replay(run, rank: rank, step: step, threads: 1 + step % 2)
      #expect(outcome.isComparable && outcome.isEqual, "rank \(rank), step \(step)")
      #expect(outcome.lossDifference == 0 && outcome.normDifference == 0)
      #expect(outcome.norm > 0 && outcome.losses.allSatisfy { $0 > 0 })
      #expect(!outcome.replayed.sentences.isEmpty)
      if !overrides.contains("save_total_limit=1") || from == 10 {
        #expect(replay.checkpoint?.step ?? 0 == from)
      }
      hashes.insert(outcome.hash)
    }
    #expect(hashes.count == 4)
    #expect(try files(run) == before)
  }

  /// After a resume the lines of steps that were done twice stand twice; the last ones count.
  @Test func aResumedRunIsReplayedAcrossItsBreak() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "run", ["log_gradients=true", "save_strategy=steps", "save_steps=4"])
    try train(configuration, ranks: 4, stopAfter: 7)
    let run = small.folder + "/run"
    // A line that the end of a run cut short.
    let log = run + "/train/gradients/rank-2.jsonl"
    let handle = try FileHandle(forWritingTo: URL(filePath: log))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("{\"step\":8,\"ha".utf8))
    try handle.close()
    try train(configuration, ranks: 4, resume: .checkpoint(run + "/train/checkpoint-4"))
    for (rank, step) in [(2, 3), (2, 6), (0, 8), (2, 11)] {
      #expect(try replay(run, rank: rank, step: step).outcome.isEqual)
    }
    let text = try String(contentsOfFile: log, encoding: .utf8)
    #expect(text.split(separator: "\n").count { $0.hasSuffix("\"step\":6}") } == 2)
  }

  /// A run that goes on with fewer ranks: who has no part in a step any more is told so.
  @Test func ranksThatAreGoneAreTold() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "run", ["log_gradients=true", "save_strategy=steps", "save_steps=4"])
    try train(configuration, ranks: 3, stopAfter: 7)
    let run = small.folder + "/run"
    try train(configuration, ranks: 2, resume: .checkpoint(run + "/train/checkpoint-4"))
    #expect(try replay(run, rank: 1, step: 9).outcome.isEqual)
    #expect(try replay(run, rank: 2, step: 3).outcome.isEqual)
    #expect(throws: UsageError.self) { _ = try replay(run, rank: 2, step: 6) }
    // Without the checkpoint between, steps of three ranks come before those of two.
    for step in [4, 8] {
      try FileManager.default.removeItem(atPath: run + "/train/checkpoint-\(step)")
    }
    let noted = try Replay(runDirectory: run, stage: nil, rank: 1, step: 6, tasks: standardTasks)
    #expect(noted.notes.count == 1 && noted.notes[0].contains("step 1 was made by 3 ranks"))
  }

  @Test func aChangedLogIsToldFromAFault() throws {
    let small = try SmallRun()
    defer { small.remove() }
    try train(try small.configuration("run", ["log_gradients=true", "max_steps=3"]), ranks: 2)
    let run = small.folder + "/run"
    let log = run + "/train/gradients/rank-1.jsonl"
    let outcome = try replay(run, rank: 1, step: 2).outcome
    #expect(outcome.isEqual)
    let text = try String(contentsOfFile: log, encoding: .utf8)
    let first = try #require(outcome.hash.first)
    let flipped = (first == "f" ? "e" : "f") + outcome.hash.dropFirst()
    try text.replacing(outcome.hash, with: flipped).write(
      toFile: log, atomically: true, encoding: .utf8)
    let changed = try replay(run, rank: 1, step: 2).outcome
    #expect(changed.isComparable && !changed.isEqual && changed.loggedHash == flipped)
    // Of another processor: no verdict, but differences.
    try text.replacing("\"numerics\":\"", with: "\"numerics\":\"other ").write(
      toFile: log, atomically: true, encoding: .utf8)
    let other = try replay(run, rank: 1, step: 2).outcome
    #expect(!other.isComparable && other.lossDifference == 0 && other.normDifference == 0)
  }

  @Test func stagesAreReplayedFromTheirOwnFirstWeights() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let stages =
      "stages=[{name: first, max_steps: 4}, {name: then en, init: first, languages: [en], "
      + "max_steps: 4, reset_optimizer: false}]"
    try train(try small.configuration("run", ["log_gradients=true", stages]), ranks: 2)
    let run = small.folder + "/run"
    for (stage, rank, step) in [("first", 1, 4), ("then en", 0, 1), ("then en", 1, 3)] {
      #expect(try replay(run, rank: rank, step: step, stage: stage).outcome.isEqual)
    }
    #expect(throws: UsageError.self) { _ = try replay(run, rank: 0, step: 1) }
  }

  /// What a log says is not trusted: nothing is written, and nothing traps.
  @Test func aLogOfAnotherRunIsRefused() throws {
    let small = try SmallRun()
    defer { small.remove() }
    try train(try small.configuration("run", ["log_gradients=true", "max_steps=3"]), ranks: 2)
    let run = small.folder + "/run"
    let log = run + "/train/gradients/rank-0.jsonl"
    let text = try String(contentsOfFile: log, encoding: .utf8)
    func message(_ text: String, step: Int) throws -> String {
      try text.write(toFile: log, atomically: true, encoding: .utf8)
      let before = try files(run)
      defer { #expect((try? files(run)) == before) }
      do {
        return "equal: \(try replay(run, rank: 0, step: step).outcome.isEqual)"
      } catch {
        return "\(error)"
      }
    }
    #expect(try message(text, step: 3) == "equal: true")
    let later = text.replacing("\"step\":3}", with: "\"step\":9}")
    #expect(try message(later, step: 9).contains("the stage ended before step 9"))
    let many = text.replacing("\"ranks\":2", with: "\"ranks\":9")
    #expect(try message(many, step: 2).contains("9 ranks of a run of 8 shards"))
    let none = text.replacing("\"ranks\":2", with: "\"ranks\":0")
    #expect(try message(none, step: 2).contains("rank 0 of 0"))
    #expect(try message("{}\n", step: 2).contains("is no log of gradients"))
    let cut = text.replacing("\"norms\":[", with: "\"norms\":[1,")
    #expect(try message(cut, step: 2) == "equal: true")
  }

  /// A step whose gradient is not finite is logged too, and made again.
  @Test func aStepThatFailedIsReplayed() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration("run", ["log_gradients=true"])
    #expect(throws: RunError.self) {
      _ = try ThreadGroup.run(ranks: 2) { communicator in
        try SmallRun.execute(
          configuration, over: communicator,
          observer: DebugObserver(fault: Fault(.nan, rank: 1, step: 3)))
      }
    }
    let run = small.folder + "/run"
    #expect(try replay(run, rank: 0, step: 3).outcome.isEqual)
    // The fault was the machine's: made again, the gradient is finite.
    let outcome = try replay(run, rank: 1, step: 3).outcome
    #expect(!outcome.isEqual && outcome.norm.isFinite)
    #expect(outcome.lossDifference == 0 && outcome.normDifference == .infinity)
  }
}

/// The same by the command line.
@Suite(.enabled(if: Program.isBuilt, "needs the program beside the tests"))
struct ReplayCommandTests {
  @Test func theCommandGivesItsVerdict() throws {
    let small = try SmallRun(sentences: 40)
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    let trained = try Program.run(
      ["train", config, "max_steps=3", "--simulate-ranks", "3", "--debug", "--threads", "1"])
    #expect(trained.code == 0, "\(trained.error)")
    let run = small.folder + "/out"
    func replay(_ arguments: String...) throws -> Program.Outcome {
      try Program.run(["replay", run, "--threads", "1"] + arguments)
    }
    let equal = try replay("--rank", "2", "--step", "3")
    #expect(equal.code == 0 && equal.output.contains("equal to the logged hash"), "\(equal)")
    #expect(equal.output.contains(".train.conll:"))
    let json = try replay("--rank", "2", "--step", "3", "--json")
    let report = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
    #expect(report?["equal"] as? Bool == true && report?["ranks"] as? Int == 3)

    let log = run + "/train/gradients/rank-2.jsonl"
    let text = try String(contentsOfFile: log, encoding: .utf8)
    let hash = try #require(report?["hash"] as? String)
    try text.replacing(hash, with: "0").write(toFile: log, atomically: true, encoding: .utf8)
    let differs = try replay("--rank", "2", "--step", "3")
    #expect(differs.code == 70 && differs.output.contains("differs from the logged hash 0"))

    for (arguments, code, fragment) in [
      (["--rank", "3", "--step", "1"], Int32(64), "no rank 3"),
      (["--rank", "0", "--step", "4"], 64, "step 4 of stage 'train' was not logged"),
      (["--rank", "0", "--step", "0"], 64, "--step"), (["--rank", "0"], 64, "--step"),
      (["--rank", "0", "--step", "1", "--stage", "x"], 64, "no stage 'x'"),
    ] {
      let outcome = try Program.run(["replay", run] + arguments)
      #expect(outcome.code == code && outcome.error.contains(fragment), "\(outcome)")
      #expect(outcome.error.split(separator: "\n").count == 1)
    }
    let none = try Program.run(["replay", small.folder + "/sample", "--rank", "0", "--step", "1"])
    #expect(none.code == 66 && none.error.contains("run.yaml"), "\(none)")
  }
}
