import Files
import Testing

@Test func thePlaceStandsBeforeTheMessage() {
  #expect(FileError(.data, "a", "is empty").description == "a: is empty")
  #expect(FileError(.data, "a", line: 3, "is empty").description == "a:3: is empty")
  #expect(FileError(.data, "a", field: "b", "is empty").description == "a: b: is empty")
  #expect(FileError(.data, "a", subject: "b", "is empty").description == "a: b is empty")
  #expect(
    FileError(.data, "a", line: 3, subject: "b", "is no JSON").description == "a:3: b is no JSON")
  #expect(
    FileError(.data, "a", line: 3, subject: nil, "is no JSON").description == "a:3: is no JSON")
}

@Test func namesAndWordsOfFilesStayOnOneLine() {
  let hostile = String(repeating: "x\n\u{1B}[2J\u{202E}", count: 1000)
  let text = FileError(.data, hostile, field: hostile, hostile).description
  #expect(!text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x202E })
  #expect(text.utf8.count < 32_000)
  #expect(FileError(.data, "a", "an\u{1B}").description == "a: an\\u{1b}")
  // Persian words are spelt with it.
  #expect(
    FileError(.data, "a", "\u{645}\u{200C}\u{646}").description == "a: \u{645}\u{200C}\u{646}")
}
