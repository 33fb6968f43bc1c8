import Collectives
import Commands
import Configuration
import Corpus
import Diagnostics
import Foundation
import Tensors
import TestSupport
import Testing
import Tokenizers
import Training

/// A run over a small sample corpus in a folder of its own.
struct SmallRun {
  let folder: String

  init(sentences: Int = 80, languages: [String] = ["en", "ru"]) throws {
    folder = NSTemporaryDirectory() + "isogloss-test-\(UUID().uuidString)"
    try SampleCorpus(languages: languages, sentences: sentences, seed: 3).write(
      to: folder + "/sample")
  }

  /// A folder that another rank made.
  init(folder: String) { self.folder = folder }

  func remove() { try? FileManager.default.removeItem(atPath: folder) }

  static let settings = """
    task: token-classification
    model: {family: bert, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4,
      intermediate_size: 64, max_position_embeddings: 64, type_vocab_size: 2}
    tokenizer: sample/tokenizer
    languages:
      en: {train: [sample/en.train.conll], dev: [sample/en.dev.conll], test: [sample/en.test.conll]}
      ru: {train: [sample/ru.train.conll], dev: [sample/ru.dev.conll], test: [sample/ru.test.conll]}
    output_dir: out
    learning_rate: 1.0e-3
    per_step_sentences: 24
    max_steps: 12
    warmup_steps: 2
    logging_steps: 1000
    """

  /// Resolves the small config with overrides. `name` is the run's folder.
  func configuration(
    _ name: String, _ overrides: [String] = []
  ) throws -> RunConfiguration {
    let path = folder + "/run-\(UUID().uuidString).yaml"
    try Self.settings.write(toFile: path, atomically: true, encoding: .utf8)
    return try RunConfiguration(
      path: path, overrides: overrides, outputDirectory: folder + "/" + name,
      tasks: standardTasks.map { $0.schema })
  }

  /// Runs a config on one rank's communicator, to the end or to a step at which a stop is asked for.
  static func execute(
    _ configuration: RunConfiguration, over communicator: any Communicator = SingleRank(),
    threads: Int = 1, resume: Run.Resume = .no, observer: DebugObserver = DebugObserver(),
    stopAfter polls: Int? = nil
  ) throws -> [StageResult]? {
    let workspace = Workspace(
      kernels: try KernelTable.chosen(), threadCount: threads,
      precision: configuration.precision)
    defer { workspace.stop() }
    let counter = PollCounter()
    let run = Run(
      configuration, tasks: standardTasks, communicator: communicator, workspace: workspace,
      reporter: .silent, programVersion: "test", observer: observer,
      stopRequested: { polls.flatMap { counter.next() > $0 ? .interrupt : nil } })
    try run.prepare(resume: resume)
    switch try run.execute(resume: resume) {
    case .finished(let results): return results
    case .stopped: return nil
    }
  }

  /// How many different ends a run of some settings has over numbers of ranks and threads and sizes of passes: the bits of
  /// its weights and its test scores. Moments are sharded over more than two ranks.
  static func countEnds(
    _ settings: [String], over plans: [(ranks: Int, threads: Int, tokensPerPass: Int)]
  ) throws -> Int {
    struct End: Hashable {
      var weights: String
      var scores: [[String: Double]]
    }
    let small = try SmallRun()
    defer { small.remove() }
    var ends: Set<End> = []
    for (ranks, threads, tokens) in plans {
      let configuration = try small.configuration(
        "run-\(ranks)-\(threads)-\(tokens)",
        settings + [
          "full_determinism=true", "shard_optimizer=\(ranks > 2)", "max_tokens_per_pass=\(tokens)",
        ])
      let results = try ThreadGroup.run(ranks: ranks) { communicator in
        try execute(configuration, over: communicator, threads: threads)
      }
      for result in results {
        let stage = try #require(result?.first)
        ends.insert(End(weights: stage.weightHash, scores: stage.test.map(\.values)))
      }
    }
    return ends.count
  }
}

/// Counts how often a run has asked whether to stop: once a step.
private final class PollCounter: @unchecked Sendable {
  private var count = 0

  func next() -> Int {
    count += 1
    return count
  }
}
