import Configuration
import Files
import Foundation

extension Option {
  /// What tables are printed as.
  static let tableForm = Option(
    "format", value: TableForm.allCases.map(\.rawValue).joined(separator: "|"), default: "text",
    "What tables on standard output are printed as.")
}

extension TextTable {
  /// Rows of cells with a heading: with all digits for programs, with four behind the point for people.
  static func ofScores(_ rows: [[String]], as form: TableForm) -> String {
    if form == .csv || form == .tsv { return TextTable(rows).text(as: form) }
    let rounded = rows.map { row in
      row.enumerated().map { column, cell in
        guard column >= 4, cell.contains("."), let value = Double(cell) else { return cell }
        return String(format: "%.4f", value)
      }
    }
    return TextTable(rounded, leftColumns: 4).text(as: form)
  }
}

extension ParsedArguments {
  /// - Throws: ``UsageError`` for a form that there is not.
  func tableForm() throws(UsageError) -> TableForm {
    let name = try choice("format", of: TableForm.allCases.map(\.rawValue))
    return name.flatMap(TableForm.init(rawValue:)) ?? .text
  }
}
