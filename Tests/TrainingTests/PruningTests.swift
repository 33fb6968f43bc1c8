import Collectives
import Commands
import Corpus
import Foundation
import Tensors
import TestSupport
import Testing
import Training

/// Models without their smallest weights.
@Suite struct PruningTests {
  private static let settings = [
    "task=byte-crf", "model=null", "tokenizer=null", "embedding_size=8", "word_units=8",
    "sentence_units=12", "weight_decay=0", "max_steps=200", "learning_rate=1.0e-2", "dropout=0",
  ]

  private static func model(_ small: SmallRun, _ overrides: [String] = settings) throws
    -> any Predictor
  {
    _ = try SmallRun.execute(try small.configuration("out", overrides))
    return try StoredCheckpoint(directory: small.folder + "/out/train/model")
      .predictor(standardTasks)
  }

  private static func weights(_ set: ParameterSet) -> [[Float]] {
    set.layout.entries.indices.map { entry in
      set.read(entry: entry) { span in span.indices.map { span[$0] } }
    }
  }

  /// A set of two entries of one layer and one of another, with ties.
  private static func small() -> ParameterSet {
    var layout = ParameterLayout()
    _ = layout.at(depth: 0, group: .encoder) { $0.add("a.weight", 2, 2) }
    _ = layout.at(depth: 0, group: .encoder) { $0.add("a.bias", 2) }
    _ = layout.at(depth: 1, group: .head) { $0.add("b.weight", 4) }
    var set = ParameterSet(layout: layout)
    for (entry, values) in ([[1, -2, 2, 8], [-0.5, 2], [9, -7, 2, 6]] as [[Float]]).enumerated() {
      set.update(entry: entry) { span in for i in span.indices { span[i] = values[i] } }
    }
    return set
  }

  @Test func theSmallestGoFirstAndTiesInOrder() {
    let set = Self.small()
    let global = Pruning.pruned(set, percent: 40, by: .global)
    #expect(Self.weights(global.parameters) == [[0, 0, 0, 8], [0, 2], [9, -7, 2, 6]])
    #expect(global.kept == 6)
    let layer = Pruning.pruned(set, percent: 50, by: .layer)
    #expect(Self.weights(layer.parameters) == [[0, 0, 2, 8], [0, 2], [9, -7, 0, 0]])
    #expect(layer.kept == 5)
    #expect(Self.weights(set) == [[1, -2, 2, 8], [-0.5, 2], [9, -7, 2, 6]])
  }

  @Test(arguments: Pruning.Scope.allCases) func keptWeightsFallAndTheEndsAreAllAndNone(
    scope: Pruning.Scope
  ) throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    let predictor = try Self.model(small, Self.settings + ["max_steps=3"])
    let set = predictor.model.parameters
    var kept: [Int] = []
    for percent in Pruning.levels {
      let pruned = Pruning.pruned(set, percent: percent, by: scope)
      kept.append(pruned.kept)
      let zeros = Self.weights(pruned.parameters).joined().count { $0 == 0 }
      #expect(zeros >= set.layout.count - pruned.kept)
      if percent == 0 { #expect(pruned.parameters.hash == set.hash) }
    }
    #expect(kept.first == set.layout.count && kept.last == 0)
    #expect(zip(kept, kept.dropFirst()).allSatisfy { $0 > $1 })
  }

  /// At 0 % the outputs are the model's, bit by bit; at 100 % every word has the same scores. Both for a model whose weights
  /// are copied and one whose weights lie in their file, which stays as it is.
  @Test(arguments: [true, false]) func outputsAtTheEnds(ofBytes: Bool) throws {
    let small = try SmallRun(sentences: 12)
    defer { small.remove() }
    let predictor = try Self.model(
      small, ofBytes ? Self.settings + ["max_steps=3"] : ["max_steps=3"])
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 1)
    defer { workspace.stop() }
    let sentences = try TaggedText(reading: [small.folder + "/sample/en.dev.conll"]).sentences
    func predictions(_ percent: Int) throws -> [Prediction] {
      var copy = predictor
      copy.model.parameters =
        Pruning.pruned(predictor.model.parameters, percent: percent, by: .global).parameters
      return try copy.predictions(of: sentences, language: nil, scores: .logits, in: workspace)
    }
    let whole = try predictor.predictions(
      of: sentences, language: nil, scores: .logits, in: workspace)
    #expect(try predictions(0) == whole)
    #expect(Set(try predictions(100).flatMap(\.scores)).count == 1)
    #expect(try predictions(0) == whole)
    try predictor.confirmUnwritten()
  }

  /// A model that has learned its sentences has the scores of its evaluation at 0 %, and any number of ranks the same curve.
  @Test func curvesBeginAtTheScoreAndAreThoseOfAnyRanks() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let predictor = try Self.model(small)
    let files = ["en", "ru"].map { small.folder + "/sample/\($0).train.conll" }
    let sets = try files.map { try TaggedText(reading: [$0]).sentences }
    @Sendable func curves(over communicator: any Communicator) throws -> [Pruning.Curve] {
      let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 1)
      defer { workspace.stop() }
      return try Pruning.curves(
        of: predictor, sets, language: nil, by: .global, in: workspace, over: communicator)
    }
    let alone = try curves(over: SingleRank())
    let workspace = Workspace(kernels: try KernelTable.chosen(), threadCount: 1)
    defer { workspace.stop() }
    let labels = try predictor.labels(of: nil)
    for (place, (file, curve)) in zip(files, alone).enumerated() {
      let evaluation = try predictor.evaluate(
        file, columns: ColumnChoice(), language: nil, mode: "default", in: workspace)
      let report = try JSONDecoder().decode(SpanReport.self, from: Data(evaluation.json.utf8))
      #expect(curve.points.map(\.percent) == Pruning.levels)
      #expect(curve.points[0].f1 == report.overallF1 && report.overallF1 > 0.5)
      // Constant scores: every word has the first label.
      let constant = try SpanCounts(
        gold: sets[place].map(\.tags),
        predicted: sets[place].map { $0.tags.map { _ in labels[0] } }, mode: .default)
      #expect(curve.points[10].f1 == SpanScores(constant).micro.f1 && curve.safePercent < 100)
    }
    for ranks in [3, 4] {
      #expect(try ThreadGroup.run(ranks: ranks) { try curves(over: $0) }.allSatisfy { $0 == alone })
    }
  }

  @Test func theSafeLevelIsTheLastBeforeTheFirstFall() {
    func safe(_ scores: [Double]) -> Int {
      Pruning.Curve(
        scores.enumerated().map {
          .init(percent: 10 * $0, kept: 0, precision: 0, recall: 0, f1: $1)
        }
      ).safePercent
    }
    #expect(safe([0.8, 0.81, 0.79, 0.7899, 0.8]) == 20)
    #expect(safe([0.8, 0.5, 0.8]) == 0)
    #expect(safe([0, 0]) == 10)
  }
}
