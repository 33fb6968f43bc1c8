import Checkpoints
import Commands
import Configuration
import Files
import Foundation
import Tensors
import TestSupport
import Testing
import Training

/// Files of earlier versions are read, and files of other programs and optimisers are errors.
@Suite struct OldFilesTests {
  /// A run.yaml as the version before tasks had schemas wrote it: every key in the run or in each stage, and a stage for
  /// each language under the name of them all.
  private static let record = """
    task: token-classification
    labels: per-language
    head: crf
    seed: 42
    full_determinism: false
    shards: 8
    precision: fp32
    gradient_dtype: fp32
    ddp_bucket_cap_mb: 4
    shard_optimizer: false
    ddp_timeout: 1800
    replica_check_steps: 500
    log_gradients: false
    preemption_signal: USR1
    output_dir: OUT
    model: {family: bert, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64, max_position_embeddings: 64, type_vocab_size: 2, layer_norm_eps: 1e-12, hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, initializer_range: 0.02, initializer: normal}
    tokenizer: FOLDER/sample/tokenizer
    columns: {token: 0, tag: -1}
    languages:
      en:
        train: [FOLDER/sample/en.train.conll]
        dev: [FOLDER/sample/en.dev.conll]
        test: [FOLDER/sample/en.test.conll]
      ru:
        train: [FOLDER/sample/ru.train.conll]
        dev: [FOLDER/sample/ru.dev.conll]
        test: [FOLDER/sample/ru.test.conll]
    stages:

    """

  private static func stage(_ head: String, _ languages: String, steps: Int) -> String {
    """
      - \(head)
        languages: [\(languages)]
        reset_optimizer: true
        per_step_sentences: 24
        max_steps: \(steps)
        sampling_alpha: 1.0
        learning_rate: 0.001
        layer_learning_rate_decay: 1.0
        lr_scheduler_type: linear
        warmup_steps: 2
        weight_decay: 0.01
        weight_decay_on: matrices
        embedding_weight_decay: touched
        adam_beta1: 0.9
        adam_beta2: 0.999
        adam_epsilon: 1e-08
        max_grad_norm: 1.0
        label_smoothing_factor: 0.0
        freeze: {embeddings: false, layers: 0}
        eval_strategy: no
        eval_tokens_per_batch: 4096
        save_strategy: end
        save_dtype: fp32
        load_best_model_at_end: false
        metric_for_best_model: macro_f1
        metric_languages: [\(languages)]
        logging_steps: 1000

    """
  }

  /// The record stands for the config that wrote it: the run goes on, with the same random numbers.
  @Test func anOldRecordIsContinued() throws {
    let small = try SmallRun()
    defer { small.remove() }
    func configuration(_ name: String) throws -> RunConfiguration {
      try small.configuration(
        name,
        [
          "head=crf", "labels=per-language",
          "stages=[{name: first, max_steps: 3}, {name: 'second {language}', each: language, init: first, max_steps: 5}]",
        ])
    }
    let unbroken = try #require(try SmallRun.execute(try configuration("unbroken")))
    let broken = try configuration("broken")
    #expect(try SmallRun.execute(broken, stopAfter: 10) == nil)
    let each = "name: \"second {language}\"\n    each: language\n    init: first"
    let record =
      Self.record + Self.stage("name: first", "en, ru", steps: 3)
      + Self.stage(each, "en", steps: 5) + Self.stage(each, "ru", steps: 5)
    try record.replacing("FOLDER", with: small.folder)
      .replacing("OUT", with: small.folder + "/broken")
      .write(toFile: small.folder + "/broken/run.yaml", atomically: true, encoding: .utf8)
    let recorded = try RunConfiguration(
      recordedIn: small.folder + "/broken", tasks: standardTasks.map { $0.schema })
    #expect(recorded.stages.map(\.name) == ["first", "second en", "second ru"])
    #expect(recorded.stages.map(\.randomKey) == broken.stages.map(\.randomKey))
    let resumed = try #require(try SmallRun.execute(broken, resume: .auto))
    #expect(resumed.map(\.weightHash) == unbroken.map(\.weightHash))
  }

  /// A layout of a matrix, a vector and a table.
  private static let layout: ParameterLayout = {
    var layout = ParameterLayout()
    _ = layout.addTable("table", 6, 2)
    _ = layout.add("matrix", 2, 3)
    _ = layout.add("vector", 4)
    return layout
  }()

  private func write(_ path: String, _ metadata: [String: String]) throws {
    try SafetensorsWriter.write(
      to: path,
      [
        .init("rows.table", [2], .i32), .init("exp_avg.table", [2, 2]),
        .init("exp_avg_sq.table", [2, 2]), .init("exp_avg.matrix", [2, 3]),
        .init("exp_avg_sq.matrix", [2, 3]), .init("exp_avg.vector", [4]),
        .init("exp_avg_sq.vector", [4]),
      ], metadata: metadata
    ) { (writer) throws(FileError) in
      let rows: [Int32] = [1, 4]
      try writer.appendExactly("rows.table", rows.span)
      for (name, count) in [("table", 4), ("matrix", 6), ("vector", 4)] {
        for kind in ["exp_avg", "exp_avg_sq"] {
          let values = (0..<count).map { Float($0) + (kind == "exp_avg" ? 0.5 : 0.25) }
          try writer.append("\(kind).\(name)", values.span)
        }
      }
    }
  }

  /// Moments whose file names no optimiser are AdamW's; those of another one are not taken for them.
  @Test func momentsAreOfTheirOptimiser() throws {
    let folder = NSTemporaryDirectory() + "isogloss-test-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/optimizer.safetensors"
    let adamW = Optimiser(.adamW(AdamW()))
    try write(path, ["format": "pt"])
    let old = try OptimiserFiles.read(adamW, layout: Self.layout, updates: 7, from: path)
    #expect(old.step == 7)
    #expect(old.rowsInUse.map { $0.rows.sorted() }.first == [1, 4])
    try FileManager.default.removeItem(atPath: path)
    try write(path, ["format": "pt", "optimizer": "sgd"])
    #expect {
      _ = try OptimiserFiles.read(adamW, layout: Self.layout, updates: 7, from: path)
    } throws: {
      "\($0)".contains("holds the moments of sgd, and the config asks for adamw")
    }
  }

  /// A head that this version does not know is said, not taken for softmax.
  @Test func anUnknownHeadIsAnError() throws {
    let small = try SmallRun()
    defer { small.remove() }
    _ = try SmallRun.execute(try small.configuration("run", ["max_steps=2"]))
    let directory = small.folder + "/run/train/model"
    let path = directory + "/isogloss.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains("\"head\": \"softmax\""))
    try text.replacing("\"head\": \"softmax\"", with: "\"head\": \"biaffine\"")
      .write(toFile: path, atomically: true, encoding: .utf8)
    #expect { _ = try StoredCheckpoint(directory: directory).predictor(standardTasks) } throws: {
      "\($0)".contains("biaffine")
    }
  }
}
