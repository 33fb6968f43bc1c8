/// `text` with its control and invisible characters as `\u{…}`, cut after `limit` of its scalars.
///
/// - Parameter kept: Invisible characters that stay as they are.
package func printable(
  _ text: String, limit: Int, except kept: Set<Unicode.Scalar> = []
) -> String {
  var line = ""
  for (index, scalar) in text.unicodeScalars.enumerated() {
    if index == limit { return line + "…" }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator:
      if kept.contains(scalar) {
        line.unicodeScalars.append(scalar)
      } else {
        line += "\\u{" + String(scalar.value, radix: 16) + "}"
      }
    default: line.unicodeScalars.append(scalar)
    }
  }
  return line
}
