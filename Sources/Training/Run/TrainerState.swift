public import Configuration
import Foundation

/// Where a stage stands, as `trainer_state.json`. It does not depend on the rank count.
struct TrainerState: Codable, Equatable {
  var formatVersion = 1
  var stage: String
  /// The steps done.
  var step = 0
  var totalSteps: Int
  /// The updates in the optimiser's moments.
  var optimiserUpdates = 0
  var bestMetric: Double?
  var bestStep: Int?
  /// The hash of the best weights' bits.
  var bestHash: String?
  var evaluationsWithoutImprovement = 0
  /// The hash of the weights' bits.
  var weightHash: String
  /// How much of packed text has come; nil where the step says it.
  var text: TextCursor?
  var evaluations: [Evaluation] = []

  /// The scores of one evaluation on dev.
  struct Evaluation: Codable, Equatable {
    var step: Int
    var metric: Double
    var scores: [StageResult.Score]
  }
}

/// What came of a stage, as `result.json` in its directory.
public struct StageResult: Codable, Equatable, Sendable {
  public var stage: String
  /// The stage's name without its language: stages of one group stand in one column of a table.
  public var group: String
  public var steps: Int
  public var seconds: Double
  public var tokensPerSecond: Double
  public var weightHash: String
  /// What was scored on test, for each language that has a test part: of token classification micro precision, recall
  /// and F1 as seqeval has them by default and the number of entities; of masked-lm loss, perplexity and tokens.
  public var test: [Score]
  /// The same on dev.
  public var dev: [Score]

  /// The scores of a language, by name.
  public struct Score: Codable, Equatable, Sendable {
    public var language: String
    public var values: [String: Double]

    public init(language: String, values: [String: Double]) {
      self.language = language
      self.values = values
    }

    /// A score that there is.
    public subscript(name: String) -> Double {
      guard let value = values[name] else { preconditionFailure("no score \(name)") }
      return value
    }

    private struct Name: CodingKey {
      var stringValue: String
      var intValue: Int? { nil }
      init(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    public init(from decoder: any Decoder) throws {
      let members = try decoder.container(keyedBy: Name.self)
      language = try members.decode(String.self, forKey: Name(stringValue: "language"))
      values = [:]
      for key in members.allKeys where key.stringValue != "language" {
        values[key.stringValue] = try members.decode(Double.self, forKey: key)
      }
    }

    public func encode(to encoder: any Encoder) throws {
      var members = encoder.container(keyedBy: Name.self)
      try members.encode(language, forKey: Name(stringValue: "language"))
      for (name, value) in values {
        try members.encode(value, forKey: Name(stringValue: name))
      }
    }
  }
}

/// A table of scores on test: a row a language, a column a group of stages.
public struct ResultTable {
  private let results: [StageResult]
  private let languages: [String]
  private let heading: String
  private let part: (StageResult) -> [StageResult.Score]
  private let cell: (StageResult.Score) -> Double
  private let format: (Double) -> String

  /// F1 in per cent on test, or of masked-lm the perplexity on dev, each with its mean.
  public init(_ results: [StageResult], languages: [String], task: RunConfiguration.Task) {
    self.results = results
    self.languages = languages
    switch task {
    case .tokenClassification:
      (heading, part, cell, format) = ("test F1", \.test, { $0["f1"] }, Self.percent)
    case .maskedLM:
      (heading, part, cell, format) = (
        "dev perplexity", \.dev, { $0["perplexity"] },
        { String(format: "%.2f", $0) }
      )
    }
  }

  public var text: String {
    var groups: [String] = []
    for result in results where !groups.contains(result.group) { groups.append(result.group) }
    var lines = [[heading] + groups]
    var sums = [[Double]](repeating: [], count: groups.count)
    for language in languages {
      var line = [language]
      for (column, group) in groups.enumerated() {
        let score = results.lazy.filter { $0.group == group }.flatMap(part)
          .first { $0.language == language }
        line.append(score.map { format(cell($0)) } ?? "-")
        if let score { sums[column].append(cell(score)) }
      }
      lines.append(line)
    }
    if languages.count > 1 {
      lines.append(
        ["mean"]
          + sums.map { $0.isEmpty ? "-" : format($0.reduce(0, +) / Double($0.count)) })
    }
    let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { line in
      zip(line, widths).enumerated().map { column, cell in
        let padding = String(repeating: " ", count: cell.1 - cell.0.count)
        return column == 0 ? cell.0 + padding : padding + cell.0
      }.joined(separator: "  ") + "\n"
    }.joined()
  }

  static func percent(_ share: Double) -> String {
    let hundredths = Int((share * 10_000).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }
}
