public import Collectives
public import Corpus
import Determinism
public import Tensors

/// Magnitude pruning: a model without its smallest weights, not trained again (Mueller, Andrews and Dredze, ACL 2020,
/// section 5).
public enum Pruning {
  /// Among which weights the smallest ones are looked for.
  public enum Scope: String, CaseIterable, Sendable {
    /// All of the model.
    case global
    /// Those of each ``ModelLayer`` by themselves.
    case layer
  }

  /// The percentages of the weights that a curve sets to zero.
  public static let levels = Array(stride(from: 0, through: 100, by: 10))

  /// The weights with the `percent` of them that have the smallest magnitudes zero, rounded down to a whole number of
  /// weights. Of equal magnitudes, those that stand first in the layout go first.
  ///
  /// Weights that lie in a file are copied before they are changed; at 0 nothing is.
  ///
  /// - Returns: The weights, and how many were not set to zero.
  public static func pruned(
    _ parameters: ParameterSet, percent: Int, by scope: Scope
  ) -> (parameters: ParameterSet, kept: Int) {
    precondition((0...100).contains(percent), "\(percent) % of the weights")
    let layout = parameters.layout
    let groups =
      scope == .global
      ? [Array(layout.entries.indices)] : ModelLayer.all(of: layout).map(\.entries)
    var result = parameters
    var kept = layout.count
    for entries in groups {
      let count = entries.reduce(0) { $0 + layout.entries[$1].count } * percent / 100
      if count == 0 { continue }
      let last = MagnitudeRank(count - 1) { body in
        for entry in entries { parameters.read(entry: entry) { body($0) } }
      }
      var ties = count - last.below
      for entry in entries {
        result.update(entry: entry) { weights in
          for index in weights.indices {
            let bits = weights[index].magnitude.bitPattern
            if bits > last.bits || bits == last.bits && ties == 0 { continue }
            if bits == last.bits { ties -= 1 }
            weights[index] = 0
          }
        }
      }
      kept -= count
    }
    return (result, kept)
  }

  /// How well a model labels sentences at each level.
  public struct Curve: Sendable, Equatable {
    public struct Point: Sendable, Equatable {
      /// How many of a hundred weights were set to zero.
      public var percent: Int
      /// The weights that were not.
      public var kept: Int
      /// Of entities as seqeval's default mode counts them, from 0 to 1.
      public var precision: Double
      public var recall: Double
      public var f1: Double

      public init(percent: Int, kept: Int, precision: Double, recall: Double, f1: Double) {
        self.percent = percent
        self.kept = kept
        self.precision = precision
        self.recall = recall
        self.f1 = f1
      }
    }

    /// By level, the unpruned model first.
    public var points: [Point]

    public init(_ points: [Point]) { self.points = points }

    /// The last level before F1 falls more than a point, 0.01, below that of the unpruned model.
    public var safePercent: Int {
      let safe = points.prefix { $0.f1 >= points[0].f1 - 0.01 - 1e-12 }
      return safe.last?.percent ?? 0
    }
  }

  /// The curves of a model over some sets of sentences, the levels shared among ranks. Every rank calls it and gets the same.
  ///
  /// - Parameter sets: Sentences with tags, each scored by itself.
  public static func curves(
    of predictor: any Predictor, _ sets: [[Sentence]], language: String?, by scope: Scope,
    in workspace: Workspace, over communicator: any Communicator
  ) throws -> [Curve] {
    // By level, then by set: kept weights, then gold, predicted and correct entities.
    var own: [Int64] = []
    for level in stride(from: communicator.rank, to: levels.count, by: communicator.size) {
      let (parameters, kept) = pruned(
        predictor.model.parameters, percent: levels[level], by: scope)
      var pruned = predictor
      pruned.model.parameters = parameters
      for sentences in sets {
        let tags = try pruned.predictions(
          of: sentences, language: language, scores: .none, in: workspace
        ).map(\.tags)
        let counts = try SpanCounts(
          gold: sentences.map(\.tags), predicted: tags, mode: .default
        ).overall
        own += [kept, counts.gold, counts.predicted, counts.correct].map(Int64.init)
      }
    }
    let all = try communicator.allGather(own)
    return sets.indices.map { set in
      Curve(
        levels.indices.map { level in
          let turn = level / communicator.size * sets.count + set
          let found = all[level % communicator.size][turn * 4..<turn * 4 + 4].map { Int($0) }
          let rates = SpanScores.Rates(gold: found[1], predicted: found[2], correct: found[3])
          return Curve.Point(
            percent: levels[level], kept: found[0], precision: rates.precision,
            recall: rates.recall, f1: rates.f1)
        })
    }
  }
}
