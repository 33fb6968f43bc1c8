import Foundation

/// Scores as they are printed by `--json`: one object for a file and a mode.
///
/// Rates go from 0 to 1 in every mode. `number` is the count of gold spans.
public struct SpanReport: Codable, Sendable, Equatable {
  /// The scores of one type.
  public struct OfType: Codable, Sendable, Equatable {
    public var precision: Double
    public var recall: Double
    public var f1: Double
    public var number: Int
    public var predicted: Int
    public var correct: Int
  }

  public var file: String?
  public var language: String?
  /// `default`, `strict` or `conlleval`.
  public var mode: String
  /// How the tags are written, such as `IOB2`.
  public var scheme: String?
  public var overallPrecision: Double
  public var overallRecall: Double
  public var overallF1: Double
  public var overallAccuracy: Double
  public var number: Int
  public var predicted: Int
  public var correct: Int
  public var tokens: Int
  /// Absent if no type was seen.
  public var macro: SpanScores.Rates?
  public var weighted: SpanScores.Rates
  public var types: [String: OfType]

  private enum CodingKeys: String, CodingKey {
    case file, language, mode, scheme
    case overallPrecision = "overall_precision"
    case overallRecall = "overall_recall"
    case overallF1 = "overall_f1"
    case overallAccuracy = "overall_accuracy"
    case number, predicted, correct, tokens, macro, weighted, types
  }

  /// - Parameter scheme: How the file's tags are written; in strict mode the scheme asked for if nil.
  public init(
    _ scores: SpanScores, mode: SpanMode, scheme: String? = nil, file: String? = nil,
    language: String? = nil
  ) {
    self.file = file
    self.language = language
    self.mode = mode.name
    self.scheme = scheme
    if case .strict(let asked) = mode, scheme == nil { self.scheme = asked.rawValue }
    overallPrecision = scores.micro.precision
    overallRecall = scores.micro.recall
    overallF1 = scores.micro.f1
    overallAccuracy = scores.accuracy
    let overall = scores.counts.overall
    number = overall.gold
    predicted = overall.predicted
    correct = overall.correct
    tokens = scores.counts.tokens
    macro = scores.macro
    weighted = scores.weighted
    types = [:]
    for (row, rates) in zip(scores.counts.types, scores.perType) {
      types[row.type] = OfType(
        precision: rates.precision, recall: rates.recall, f1: rates.f1, number: row.gold,
        predicted: row.predicted, correct: row.correct)
    }
  }

  /// The scores as rows of cells, the heading first: a row for each type, then one for each average that there is.
  public var records: [[String]] {
    func row(_ name: String, _ precision: Double, _ recall: Double, _ f1: Double, _ support: Int)
      -> [String]
    {
      [file ?? "", language ?? "", mode, name, "\(precision)", "\(recall)", "\(f1)", "\(support)"]
    }
    let averages = [
      (
        "micro avg",
        SpanScores.Rates(precision: overallPrecision, recall: overallRecall, f1: overallF1)
      ),
      ("macro avg", macro), ("weighted avg", weighted),
    ]
    return [["file", "language", "mode", "type", "precision", "recall", "f1", "support"]]
      + types.sorted { $0.key < $1.key }.map {
        row($0.key, $0.value.precision, $0.value.recall, $0.value.f1, $0.value.number)
      }
      + averages.compactMap { name, rates in
        rates.map { row(name, $0.precision, $0.recall, $0.f1, number) }
      }
  }

  /// The report as JSON on one line, keys in alphabetical order.
  public var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    } catch {
      preconditionFailure("scores are finite and encode: \(error)")
    }
  }
}
