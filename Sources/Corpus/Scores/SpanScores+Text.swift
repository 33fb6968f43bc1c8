import Files
import Foundation

extension SpanScores {
  /// The table of seqeval's `classification_report`, letter for letter: a line for each type, then
  /// the three averages.
  ///
  /// - Parameter digits: Digits after the point; seqeval's own default is 2.
  public func table(digits: Int = 4) -> String {
    let names = counts.types.map { printable($0.type, limit: .max) }
    let width = max(names.map(\.unicodeScalars.count).max() ?? 0, "weighted avg".count, digits)
    func cell(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.unicodeScalars.count)) + text
    }
    func row(_ name: String, _ rates: Rates?, _ support: Int) -> String {
      let values = [rates?.precision, rates?.recall, rates?.f1].map {
        " " + cell($0.map { String(format: "%.\(digits)f", $0) } ?? "nan", 9)
      }
      return cell(name, width) + " " + values.joined() + " " + cell(String(support), 9)
    }
    let titles = ["precision", "recall", "f1-score", "support"].map { " " + cell($0, 9) }
    let support = counts.overall.gold
    let lines =
      [cell("", width) + " " + titles.joined(), ""]
      + zip(zip(counts.types, names), perType).map { row($0.1, $1, $0.0.gold) }
      + [
        "", row("micro avg", micro, support), row("macro avg", macro, support),
        row("weighted avg", weighted, support), "",
      ]
    return lines.joined(separator: "\n")
  }
}
