/// Rows of cells, for people and for programs: the first columns to the left, the others to the right.
package struct TextTable {
  private let rows: [[String]]
  private let leftColumns: Int

  /// - Parameters:
  ///   - rows: The heading and the other rows, all with the same number of cells.
  ///   - leftColumns: How many columns stand to the left.
  ///     Their invisible characters are escaped.
  package init(_ rows: [[String]], leftColumns: Int = 1) {
    self.rows = rows.map { row in row.map { printable($0, limit: .max) } }
    self.leftColumns = leftColumns
  }

  /// The table's lines in aligned columns, without line feeds.
  package var lines: [String] {
    let columns = rows.first?.indices ?? 0..<0
    let widths = columns.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      zip(row, widths).enumerated().map { column, cell in
        let blanks = String(repeating: " ", count: cell.1 - cell.0.count)
        return column < leftColumns ? cell.0 + blanks : blanks + cell.0
      }.joined(separator: "  ")
    }
  }

  /// The lines, each with a line feed.
  package var text: String { lines.map { $0 + "\n" }.joined() }

  /// The table in some form, with a line feed at its end.
  package func text(as form: TableForm) -> String {
    switch form {
    case .text: text
    case .csv: joined(",") { Self.quoted($0) }
    // IANA's text/tab-separated-values has no quotes.
    case .tsv: joined("\t") { $0 }
    case .markdown: markdown
    case .latex: latex
    }
  }

  private func joined(_ separator: String, _ cell: (String) -> String) -> String {
    rows.map { $0.map(cell).joined(separator: separator) + "\n" }.joined()
  }

  /// A cell of CSV, as RFC 4180 quotes it.
  private static func quoted(_ cell: String) -> String {
    cell.utf8.contains { ",\"\r\n".utf8.contains($0) }
      ? "\"" + cell.replacing("\"", with: "\"\"") + "\"" : cell
  }

  private var markdown: String {
    func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
    let marks = rows.first?.indices.map { $0 < leftColumns ? "---" : "---:" } ?? []
    let lines = rows.map { row in
      line(row.map { $0.replacing("|", with: "\\|") })
    }
    return lines.prefix(1).joined() + line(marks) + lines.dropFirst().joined()
  }

  private var latex: String {
    let marks: [Character: String] = [
      "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
      "±": "$\\pm$", "−": "$-$", "–": "--", "≤": "$\\le$", "†": "$\\dagger$",
    ]
    func escaped(_ cell: String) -> String {
      cell.map { character in
        marks[character] ?? ("&%$#_{}".contains(character) ? "\\\(character)" : "\(character)")
      }.joined()
    }
    let columns = rows.first?.indices.map { $0 < leftColumns ? "l" : "r" }.joined() ?? ""
    let lines = rows.map { $0.map(escaped).joined(separator: " & ") + " \\\\\n" }
    return "\\begin{tabular}{\(columns)}\n\\hline\n" + lines.prefix(1).joined() + "\\hline\n"
      + lines.dropFirst().joined() + "\\hline\n\\end{tabular}\n"
  }
}

/// What a table is printed as.
package enum TableForm: String, CaseIterable, Sendable { case text, csv, tsv, markdown, latex }
