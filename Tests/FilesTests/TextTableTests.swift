import Files
import Testing

@Suite struct TextTableTests {
  @Test func columnsAreAligned() {
    let rows = [["language", "n", "share"], ["de", "12345", "7.0 %"], ["all", "1", "100.0 %"]]
    #expect(
      TextTable(rows).lines == [
        "language      n    share",
        "de        12345    7.0 %",
        "all           1  100.0 %",
      ])
    #expect(TextTable(rows, leftColumns: 2).lines[2] == "all       1      100.0 %")
    #expect(TextTable(rows, leftColumns: 0).text.hasPrefix("language      n    share\n      de"))
    #expect(TextTable([]).text == "")
  }
}
