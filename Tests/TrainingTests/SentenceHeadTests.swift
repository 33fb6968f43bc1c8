import Commands
import Configuration
import Corpus
import Files
import Foundation
import Tensors
import TestSupport
import Testing
import Training

/// Token classification with an LSTM over the words of a sentence, from several layers of the encoder.
@Suite struct SentenceHeadTests {
  private static let settings = [
    "head=crf", "head_layers=2", "sentence_units=8", "chain_ends=false",
  ]

  @Test(arguments: [
    settings, settings + ["labels=per-language"], settings + ["head=softmax", "bf16=true"],
    ["head_layers=3"],
  ])
  func weightsHaveTheSameBitsForAnyRanksThreadsAndPasses(overrides: [String]) throws {
    let ends = try SmallRun.countEnds(
      overrides + ["max_steps=8"],
      over: [
        (1, 1, 100_000), (1, 3, 300), (2, 1, 100_000), (3, 2, 300), (8, 1, 100_000),
      ])
    #expect(ends == 1)
  }

  @Test func aCheckpointGivesTheScoresOfItsRun() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let test = small.folder + "/sample/ru.test.conll"
    try FileManager.default.copyItem(atPath: test, toPath: small.folder + "/sample/copy.conll")
    let result = try #require(
      try SmallRun.execute(
        try small.configuration(
          "out",
          Self.settings + [
            "max_steps=250", "learning_rate=1.0e-2", "classifier_dropout=0",
            "languages.ru.train=[sample/copy.conll]",
          ]))?.first)
    let score = try #require(result.test.first { $0.language == "ru" })
    #expect(score["f1"] > 0.5, "\(score.values)")
    let predictor = try StoredCheckpoint(directory: small.folder + "/out/train/model")
      .predictor(standardTasks)
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 2)
    defer { workspace.stop() }
    let evaluation = try predictor.evaluate(
      test, columns: ColumnChoice(), language: nil,
      mode: "default", in: workspace)
    let report = try JSONDecoder().decode(SpanReport.self, from: Data(evaluation.json.utf8))
    #expect(report.overallF1 == score["f1"])
  }

  /// A stranger's manifest is a line, whatever it says of the head.
  @Test(arguments: [
    ("head_layers", "99"), ("head_layers", "1e9"), ("head_layers", "9"), ("head_layers", "1"),
    ("sentence_units", "-1"), ("sentence_units", "16"), ("sentence_units", "0"),
  ])
  func aWrongManifestIsALine(field: String, value: String) throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    _ = try SmallRun.execute(try small.configuration("out", Self.settings + ["max_steps=2"]))
    let model = small.folder + "/out/train/model"
    let manifest = try String(contentsOfFile: model + "/isogloss.json", encoding: .utf8)
    let changed = manifest.replacing(
      try Regex("\"\(field)\"( *: *)[0-9]+"), with: "\"\(field)\": \(value)")
    #expect(changed != manifest)
    try changed.write(toFile: model + "/isogloss.json", atomically: true, encoding: .utf8)
    #expect {
      _ = try StoredCheckpoint(directory: model).predictor(standardTasks)
    } throws: { error in
      let line = "\(error)"
      return !line.contains("\n")
        && (line.contains(field) || line.contains("lstm") || line.contains("classifier"))
    }
  }

  @Test func moreLayersThanTheEncoderHasAreALine() throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    #expect {
      _ = try SmallRun.execute(
        try small.configuration("out", ["head_layers=50", "max_steps=2"]))
    } throws: { error in
      "\(error)".contains("head_layers: 50") && !"\(error)".contains("\n")
    }
  }
}
