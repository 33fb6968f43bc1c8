import Checkpoints
import Commands
import Configuration
import Corpus
import Determinism
import Files
import Foundation
import Tensors
import TestSupport
import Testing
import Training

/// Labels from types of bytes: the task `char-ner`.
@Suite struct CharNERTests {
  private static let settings = [
    "task=char-ner", "model=null", "tokenizer=null", "embedding_size=8", "layers=2",
    "layer_units=8", "weight_decay=0",
  ]

  @Test(arguments: [[], ["bf16=true"], ["layers=1", "byte_dropout=0.5"]])
  func weightsHaveTheSameBitsForAnyRanksThreadsAndPasses(overrides: [String]) throws {
    let ends = try SmallRun.countEnds(
      Self.settings + overrides + ["max_steps=12"],
      over: [
        (1, 1, 100_000), (1, 3, 300), (2, 1, 100_000), (3, 2, 300), (8, 1, 100_000),
      ])
    #expect(ends == 1)
  }

  /// It learns a small corpus by heart, and the checkpoint gives what the run has seen.
  @Test(arguments: ["log_probabilities", "probabilities"])
  func aCheckpointGivesTheScoresOfItsRun(decodeBy: String) throws {
    let small = try SmallRun()
    defer { small.remove() }
    let test = small.folder + "/sample/ru.test.conll"
    try FileManager.default.copyItem(atPath: test, toPath: small.folder + "/sample/copy.conll")
    let configuration = try small.configuration(
      "out",
      Self.settings + [
        "max_steps=300", "learning_rate=1.0e-2", "byte_dropout=0", "dropout=0", "last_dropout=0",
        "layer_units=16", "decode_by=\(decodeBy)", "languages.ru.train=[sample/copy.conll]",
      ])
    let result = try #require(try SmallRun.execute(configuration)?.first)
    let score = try #require(result.test.first { $0.language == "ru" })
    #expect(score["f1"] > 0.8, "\(score.values)")
    let predictor = try StoredCheckpoint(directory: small.folder + "/out/train/model")
      .predictor(standardTasks)
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 2)
    defer { workspace.stop() }
    let evaluation = try predictor.evaluate(
      test, columns: ColumnChoice(), language: nil, mode: "default", in: workspace)
    let report = try JSONDecoder().decode(SpanReport.self, from: Data(evaluation.json.utf8))
    #expect(report.overallF1 == score["f1"])
    let odd = [Sentence(words: ["a"]), Sentence(words: ["", "é", ""]), Sentence(words: [])]
    let found = try predictor.predictions(of: odd, language: nil, scores: .none, in: workspace)
    #expect(found.map(\.tags.count) == [1, 3, 0])
    #expect(found[1].tags[0] == "O" && found[1].tags[2] == "O")
    let labels = try predictor.labels(of: nil).count
    let scored = try predictor.predictions(of: odd, language: nil, scores: .logits, in: workspace)
    #expect(scored.map(\.scores.count) == [labels, 3 * labels, 0])
    #expect(scored.map(\.tags) == found.map(\.tags))
  }

  /// The paper's sizes have the paper's parameters: 1,872,896 and 257 a type.
  @Test func theSizeIsThePapers() throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    let configuration = try small.configuration(
      "out",
      ["task=char-ner", "model=null", "tokenizer=null", "max_steps=2", "per_step_sentences=2"])
    _ = try SmallRun.execute(configuration)
    let model = small.folder + "/out/train/model"
    let config = try JSONValue(
      parsing: try WholeFile.read(model + "/config.json", limit: 1 << 20), path: "config.json")
    let types = (try #require(config["labels"]?.array).count + 1) / 2
    let tensors = try SafetensorsFile(model + "/model.safetensors").tensors
    let count = tensors.reduce(0) { $0 + $1.count }
    #expect(count == 1_872_896 + 257 * types, "\(types) types")
  }

  @Test func labelsOfOtherSchemesAreALine() throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    let file = small.folder + "/sample/en.train.conll"
    let text = try String(contentsOfFile: file, encoding: .utf8)
    try text.replacing(" O\n", with: " NOUN\n").replacing("\tO\n", with: "\tNOUN\n")
      .write(toFile: file, atomically: true, encoding: .utf8)
    #expect {
      _ = try SmallRun.execute(try small.configuration("out", Self.settings + ["max_steps=2"]))
    } throws: { error in
      "\(error)".contains("en.train.conll:1: tag 'NOUN'") && !"\(error)".contains("\n")
    }
  }

  @Test(arguments: [
    ("\"layers\": 2", "\"layers\": 99", "layers"),
    ("\"log_probabilities\"", "\"odds\"", "decode_by"), ("\"I-LOC\"", "\"I-SEA\"", "labels"),
    ("\"layer_units\": 8", "\"layer_units\": [8]", "layer_units"),
    ("\"layer_units\": 8", "\"layer_units\": 16", "weight_ih_l0"),
  ])
  func aWrongConfigIsALine(text: String, replacement: String, field: String) throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    _ = try SmallRun.execute(try small.configuration("out", Self.settings + ["max_steps=2"]))
    let model = small.folder + "/out/train/model"
    let config = try String(contentsOfFile: model + "/config.json", encoding: .utf8)
    #expect(config.contains(text), "\(config)")
    try config.replacing(text, with: replacement)
      .write(toFile: model + "/config.json", atomically: true, encoding: .utf8)
    #expect {
      _ = try StoredCheckpoint(directory: model).predictor(standardTasks)
    } throws: { error in
      "\(error)".contains(field) && !"\(error)".contains("\n")
    }
  }
}

/// Types of words from scores of bytes.
@Suite struct ByteTypeDecoderTests {
  /// The best of all labellings of the bytes that the rule allows, tried one by one.
  @Test(arguments: [ByteScores.logProbabilities, .probabilities])
  func itFindsTheBestOfAllLabellings(scores: ByteScores) {
    for draw in 0..<200 {
      var random = RandomStream(seed: UInt64(draw), ["decoder"])
      let types = 2 + Int(random.next() % 2)
      var bounds = [0]
      for word in 0..<1 + Int(random.next() % 3) {
        let bytes = 1 + Int(random.next() % 2) + (word > 0 ? 1 : 0)
        bounds.append(bounds[word] + bytes)
      }
      let bytes = bounds[bounds.count - 1]
      let logits = (0..<bytes * types).map { _ in Float(random.next() % 1000) / 250 }
      let rows = (0..<bytes).map { byte in
        let row = logits[byte * types..<(byte + 1) * types].map { exp(Double($0)) }
        let sum = row.reduce(0, +)
        return row.map { scores == .probabilities ? $0 / sum : log($0 / sum) }
      }
      let spaces = Set(bounds.dropFirst().dropLast())
      var best = (-Double.infinity, [Int]())
      var labels = [Int](repeating: 0, count: bytes)
      func search(_ byte: Int, _ sum: Double) {
        if byte == bytes {
          if sum > best.0 + 1e-12 { best = (sum, labels) }
          return
        }
        for type in 0..<types {
          if byte > 0, type != labels[byte - 1] {
            let leaves = spaces.contains(byte - 1) && labels[byte - 1] == 0
            let enters = spaces.contains(byte) && type == 0
            if !leaves && !enters { continue }
          }
          labels[byte] = type
          search(byte + 1, sum + rows[byte][type])
        }
      }
      search(0, 0)
      let wanted = (0..<bounds.count - 1).map { word in
        let first = bounds[word] + (word > 0 ? 1 : 0)
        return ByteTypeDecoder.Word(
          type: best.1[first],
          continues: word > 0 && best.1[bounds[word]] != 0)
      }
      let decoder = ByteTypeDecoder(types: types, scores: scores)
      #expect(
        decoder.decode(decoder.scores(logits, wordBounds: bounds[...])) == wanted, "draw \(draw)")
    }
  }
}
