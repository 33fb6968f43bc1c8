/// Rows of cells in aligned columns, for people: the first columns to the left, the others to the right.
package struct TextTable {
  /// The table's lines, without line feeds.
  package let lines: [String]

  /// - Parameters:
  ///   - rows: The heading and the other rows, all with the same number of cells.
  ///   - leftColumns: How many columns stand to the left.
  package init(_ rows: [[String]], leftColumns: Int = 1) {
    let columns = rows.first?.indices ?? 0..<0
    let widths = columns.map { column in rows.map { $0[column].count }.max() ?? 0 }
    lines = rows.map { row in
      zip(row, widths).enumerated().map { column, cell in
        let blanks = String(repeating: " ", count: cell.1 - cell.0.count)
        return column < leftColumns ? cell.0 + blanks : blanks + cell.0
      }.joined(separator: "  ")
    }
  }

  /// The lines, each with a line feed.
  package var text: String { lines.map { $0 + "\n" }.joined() }
}
