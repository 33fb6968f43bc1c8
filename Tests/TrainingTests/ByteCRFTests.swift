import Commands
import Configuration
import Corpus
import Files
import Foundation
import Tensors
import TestSupport
import Testing
import Training

/// Labels from bytes and characters: the task `byte-crf`.
@Suite struct ByteCRFTests {
  private static let settings = [
    "task=byte-crf", "model=null", "tokenizer=null", "embedding_size=8", "word_units=8",
    "sentence_units=12", "weight_decay=0",
  ]

  @Test(arguments: [
    [], ["units=characters", "chain_ends=true", "sentence_layers=2"], ["bf16=true"],
    ["per_step_sentences=null", "per_step_tokens=900"],
  ])
  func weightsHaveTheSameBitsForAnyRanksThreadsAndPasses(overrides: [String]) throws {
    let ends = try SmallRun.countEnds(
      Self.settings + overrides + ["max_steps=20"],
      over: [
        (1, 1, 100_000), (1, 3, 100_000), (1, 2, 300), (1, 1, 20), (2, 1, 100_000), (3, 2, 300),
        (4, 1, 100_000), (8, 1, 100_000),
      ])
    #expect(ends == 1)
  }

  /// It learns a small corpus by heart, and the checkpoint gives what the run has seen.
  @Test(arguments: ["bytes", "characters"]) func aCheckpointGivesTheScoresOfItsRun(units: String)
    throws
  {
    let small = try SmallRun()
    defer { small.remove() }
    let test = small.folder + "/sample/ru.test.conll"
    try FileManager.default.copyItem(atPath: test, toPath: small.folder + "/sample/copy.conll")
    let configuration = try small.configuration(
      "out",
      Self.settings + [
        "units=\(units)", "max_steps=250", "learning_rate=1.0e-2", "dropout=0",
        "languages.ru.train=[sample/copy.conll]",
      ])
    let result = try #require(try SmallRun.execute(configuration)?.first)
    let score = try #require(result.test.first { $0.language == "ru" })
    #expect(score["f1"] > 0.8, "\(score.values)")
    let checkpoint = try StoredCheckpoint(directory: small.folder + "/out/train/model")
    let predictor = try checkpoint.predictor(standardTasks)
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 2)
    defer { workspace.stop() }
    let evaluation = try predictor.evaluate(
      test, columns: ColumnChoice(), language: nil, mode: "default", in: workspace)
    let report = try JSONDecoder().decode(SpanReport.self, from: Data(evaluation.json.utf8))
    #expect(report.overallF1 == score["f1"])
    // Words by themselves, and one whose characters nobody has seen.
    let odd = [
      Sentence(words: ["a"]), Sentence(words: ["\u{1F600}", String(repeating: "ab", count: 5000)]),
    ]
    let found = try predictor.predictions(
      of: odd, language: nil, scores: .logits, in: workspace)
    let labels = try predictor.labels(of: nil).count
    #expect(found.map(\.tags.count) == [1, 2] && found[1].scores.count == 2 * labels)
    #expect(throws: RunError.self) {
      try predictor.predictions(of: odd, language: nil, scores: .probabilities, in: workspace)
    }
  }

  /// A fine-tuning at a rate that rounds to 0 is the model it began with, and words that are cut are counted.
  @Test func stagesBeginWithEachOther() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration(
      "out",
      Self.settings + [
        "word_length=5",
        "stages=[{name: polyglot}, {name: fine, init: polyglot, learning_rate: 1.0e-300, languages: [ru]}]",
      ])
    let results = try #require(try SmallRun.execute(configuration))
    #expect(results[0].weightHash == results[1].weightHash)
    let ledger = try #require(results[0].ledger)
    let column = try #require(ledger[0].firstIndex(of: "cut words"))
    #expect(ledger.dropFirst().allSatisfy { Int($0[column]) ?? 0 > 100 }, "\(ledger)")
  }

  /// A stranger's config.json is a line, whatever it says.
  @Test(arguments: [
    ("\"units\": \"bytes\"", "\"units\": \"pixels\"", "units"),
    ("\"word_units\": 8", "\"word_units\": 1e18", "word_units"),
    ("\"word_layers\": 2", "\"word_layers\": 9", "word_layers"),
    ("\"word_units\": 8", "\"word_units\": 16", "weight_ih_l0"),
    ("\"dropout\": 0.2", "\"dropout\": -1", "dropout"),
    ("\"chain_ends\": false", "\"chain_ends\": 3", "chain_ends"),
    ("\"units\": \"bytes\"", "\"units\": \"bytes\", \"characters\": [1]", "characters"),
    ("\"B-LOC\"", "\"O\"", "labels"),
    ("isogloss-byte-crf", "bert", "model_type"),
  ])
  func aWrongConfigIsALine(text: String, replacement: String, field: String) throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    _ = try SmallRun.execute(try small.configuration("out", Self.settings + ["max_steps=2"]))
    let model = small.folder + "/out/train/model"
    let config = try String(contentsOfFile: model + "/config.json", encoding: .utf8)
    #expect(config.contains(text))
    try config.replacing(text, with: replacement)
      .write(toFile: model + "/config.json", atomically: true, encoding: .utf8)
    #expect {
      _ = try StoredCheckpoint(directory: model).predictor(standardTasks)
    } throws: { error in
      "\(error)".contains(field) && !"\(error)".contains("\n")
    }
  }
}
