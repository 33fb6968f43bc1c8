public import Configuration
import Files
import Foundation

/// A table of scores on test: a row a language, a column a group of stages.
public struct ResultTable {
  private let results: [StageResult]
  private let languages: [String]
  private let column: TaskMetric.Column

  /// What a metric shows of each language, with its mean.
  public init(_ results: [StageResult], languages: [String], metric: TaskMetric) {
    self.results = results
    self.languages = languages
    column = metric.table
  }

  public var text: String {
    var groups: [String] = []
    for result in results where !groups.contains(result.group) { groups.append(result.group) }
    var lines = [[column.heading] + groups]
    var sums = [[Double]](repeating: [], count: groups.count)
    for language in languages {
      var line = [language]
      for (index, group) in groups.enumerated() {
        let score = results.lazy.filter { $0.group == group }
          .flatMap { self.column.part == .dev ? $0.dev : $0.test }
          .first { $0.language == language }?[self.column.score]
        line.append(score.map(self.column.format.text) ?? "-")
        if let score { sums[index].append(score) }
      }
      lines.append(line)
    }
    if languages.count > 1 {
      lines.append(
        ["mean"]
          + sums.map {
            $0.isEmpty ? "-" : self.column.format.text($0.reduce(0, +) / Double($0.count))
          })
    }
    return TextTable(lines).text
  }
}

extension TaskMetric.Format {
  /// A number as this format prints it.
  public func text(_ value: Double) -> String {
    switch self {
    case .decimals(let digits): return String(format: "%.\(digits)f", value)
    case .percent:
      let hundredths = Int((value * 10_000).rounded())
      let rest = hundredths % 100
      return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
  }
}
