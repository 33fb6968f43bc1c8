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
  var evaluations: [Evaluation] = []

  /// The scores of one evaluation on dev.
  struct Evaluation: Codable, Equatable {
    var step: Int
    var metric: Double
    var f1: [Language]

    struct Language: Codable, Equatable {
      var language: String
      var f1: Double
    }
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
  /// Micro F1 on test, seqeval's default, for each language that has a test file.
  public var test: [Score]
  /// The same on dev.
  public var dev: [Score]

  public struct Score: Codable, Equatable, Sendable {
    public var language: String
    public var precision: Double
    public var recall: Double
    public var f1: Double
    public var entities: Int
  }
}

/// A table of F1 in per cent: a row a language, a column a group of stages.
public struct ResultTable {
  private let results: [StageResult]
  private let languages: [String]

  public init(_ results: [StageResult], languages: [String]) {
    self.results = results
    self.languages = languages
  }

  public var text: String {
    var groups: [String] = []
    for result in results where !groups.contains(result.group) { groups.append(result.group) }
    var lines = [["test F1"] + groups]
    var sums = [[Double]](repeating: [], count: groups.count)
    for language in languages {
      var line = [language]
      for (column, group) in groups.enumerated() {
        let score = results.lazy.filter { $0.group == group }.flatMap(\.test)
          .first { $0.language == language }
        line.append(score.map { Self.percent($0.f1) } ?? "-")
        if let score { sums[column].append(score.f1) }
      }
      lines.append(line)
    }
    if languages.count > 1 {
      lines.append(
        ["mean"]
          + sums.map { $0.isEmpty ? "-" : Self.percent($0.reduce(0, +) / Double($0.count)) })
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
