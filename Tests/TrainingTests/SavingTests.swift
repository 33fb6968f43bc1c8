import Checkpoints
import Collectives
import Configuration
import Files
import Foundation
import Synchronization
import TestSupport
import Testing
import Training

/// Checkpoints that are written beside the steps.
@Suite struct SavingTests {
  private func files(_ path: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: path + "/" + name))
    }
    return files
  }

  /// What was written while later steps changed the weights is what a run that stopped there wrote.
  @Test(arguments: [[], ["embedding_weight_decay=dense", "weight_decay=0.1"]])
  func stepsLeaveWhatIsWritten(overrides: [String]) throws {
    let small = try SmallRun()
    defer { small.remove() }
    // The second stage's word table is mapped from the first one's file.
    func configuration(_ name: String, _ saving: String) throws -> RunConfiguration {
      try small.configuration(
        name,
        overrides + [
          "stages=[{name: first, max_steps: 3}, {name: second, init: first, max_steps: 9\(saving)}]"
        ])
    }
    let beside = try configuration("beside", ", save_strategy: steps, save_steps: 4")
    let result = try #require(SmallRun.execute(beside)?.last)
    let between = try configuration("between", "")
    #expect(try SmallRun.execute(between, stopAfter: 3 + 4) == nil)
    let saved = try files(small.folder + "/beside/second/checkpoint-4")
    let stopped = try files(small.folder + "/between/second/checkpoint-4")
    for name in ["model.safetensors", "optimizer.safetensors", "trainer_state.json"] {
      #expect(saved[name] == stopped[name] && saved[name] != nil, "\(name)")
    }
    // Nor does writing change the steps.
    #expect(
      try SmallRun.execute(between, resume: .auto)?.last?.weightHash == result.weightHash)
  }

  /// Files that cannot be written end the run, and leave those before them.
  @Test func aFailedWriteEndsTheRun() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "run",
      [
        "save_strategy=steps", "save_steps=4", "eval_strategy=steps", "eval_steps=6",
        "load_best_model_at_end=true",
      ])
    #expect(try SmallRun.execute(configuration, stopAfter: 5) == nil)
    let stage = small.folder + "/run/train"
    // A directory that is no checkpoint is not replaced.
    try FileManager.default.createDirectory(
      atPath: stage + "/best", withIntermediateDirectories: false)
    let error = #expect(throws: FileError.self) {
      try SmallRun.execute(configuration, resume: .auto)
    }
    #expect(error?.path.hasSuffix("/best") == true)
    try CheckpointDirectory.verify(stage + "/checkpoint-5")
    #expect(!FileManager.default.fileExists(atPath: stage + "/model"))
  }

  /// A stage may end, by patience, at a step that was just saved, and leave its moments to another: once is enough.
  @Test func aStepIsSavedOnce() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "run",
      [
        "shard_optimizer=true", "learning_rate=1.0e-12", "ddp_timeout=20",
        "stages=[{name: first, max_steps: 40, save_strategy: steps, save_steps: 2, eval_strategy: steps, "
          + "eval_steps: 2, early_stopping_patience: 1, load_best_model_at_end: true}, "
          + "{name: second, init: first, max_steps: 2, reset_optimizer: false}]",
      ])
    let results = try ThreadGroup.run(ranks: 2) { try SmallRun.execute(configuration, over: $0) }
    #expect(results[0]?.map(\.steps) == [4, 2])
    let names = try FileManager.default.contentsOfDirectory(atPath: small.folder + "/run/first")
    #expect(
      Set(names) == ["best", "checkpoint-2", "checkpoint-4", "model", "predictions", "result.json"])
  }

  @Test func nothingHiddenIsLeftByShards() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "run", ["save_strategy=steps", "save_steps=3", "shard_optimizer=true", "save_total_limit=2"])
    _ = try ThreadGroup.run(ranks: 3) { try SmallRun.execute(configuration, over: $0) }
    let names = try FileManager.default.contentsOfDirectory(atPath: small.folder + "/run/train")
    #expect(Set(names) == ["checkpoint-6", "checkpoint-9", "model", "predictions", "result.json"])
  }

  /// A rank whose part does not come is named; one whose part grows is waited for.
  @Test func aPartThatDoesNotComeIsNamed() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let folder = small.folder
    let messages = try ThreadGroup.run(ranks: 3) { communicator in
      let parts = try MomentParts(directory: folder, timeout: 0.6, over: communicator)
      try parts.check(over: communicator)
      let own = parts.path(ofRank: communicator.rank, step: 7)
      if communicator.rank == 1 {
        let growing = own + ".partial-5"
        for count in 1...4 {
          try String(repeating: "x", count: count)
            .write(toFile: growing, atomically: false, encoding: .utf8)
          Thread.sleep(forTimeInterval: 0.3)
        }
        try FileManager.default.moveItem(atPath: growing, toPath: own)
      }
      let start = ContinuousClock.now
      guard communicator.rank == 0 else { return "" }
      do {
        _ = try parts.wait(step: 7)
        return "came"
      } catch let error as RunError {
        #expect(ContinuousClock.now - start > .seconds(1.5))
        return error.message
      }
    }
    #expect(messages[0].contains("the moments of rank 2 on "), "\(messages[0])")
    #expect(messages[0].contains("checkpoint-7"))
  }

  @Test func workGoesOnInOrderAndStopsAtAnError() throws {
    let log = Mutex<[Int]>([])
    let first = BackgroundWork {
      Thread.sleep(forTimeInterval: 0.1)
      log.withLock { $0.append(1) }
    }
    let second = BackgroundWork(after: first) {
      log.withLock { $0.append(2) }
      throw RunError(.io, "no room")
    }
    let third = BackgroundWork(after: second) { log.withLock { $0.append(3) } }
    try first.wait()
    #expect(throws: RunError.self) { try second.wait() }
    #expect(throws: RunError.self) { try third.wait() }
    #expect(throws: RunError.self) { try third.seconds() }
    #expect(log.withLock { $0 } == [1, 2])
  }
}
