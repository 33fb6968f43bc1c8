import Configuration
import Files

extension Option {
  /// What tables are printed as.
  static let tableForm = Option(
    "format", value: TableForm.allCases.map(\.rawValue).joined(separator: "|"), default: "text",
    "What tables on standard output are printed as.")
}

extension ParsedArguments {
  /// - Throws: ``UsageError`` for a form that there is not.
  func tableForm() throws(UsageError) -> TableForm {
    let name = try choice("format", of: TableForm.allCases.map(\.rawValue))
    return name.flatMap(TableForm.init(rawValue:)) ?? .text
  }
}
