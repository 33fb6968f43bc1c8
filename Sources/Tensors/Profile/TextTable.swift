/// Lines of cells as text: the first column to the left, the others to the right.
func aligned(_ lines: [[String]]) -> String {
  let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
  return lines.map { cells in
    zip(cells, widths).enumerated().map { column, cell in
      let padding = String(repeating: " ", count: cell.1 - cell.0.count)
      return column == 0 ? cell.0 + padding : padding + cell.0
    }.joined(separator: "  ")
  }.joined(separator: "\n")
}

/// A number with at most two digits behind the point.
func fixed(_ value: Double, _ digits: Int) -> String {
  let factor = [1, 10, 100][digits]
  let scaled = Int((value * Double(factor)).rounded())
  if digits == 0 { return "\(scaled)" }
  let rest = "\(scaled % factor)"
  return "\(scaled / factor)." + String(repeating: "0", count: digits - rest.count) + rest
}
