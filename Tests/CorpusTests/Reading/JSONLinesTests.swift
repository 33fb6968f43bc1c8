import Corpus
import Files
import Testing

@Suite struct JSONLinesTests {
  @Test(arguments: [
    #"{"words": ["Ada", "Lovelace", "ran"], "tags": ["B-PER", "I-PER", "O"]}"#,
    #"{"tokens": ["Ada", "Lovelace", "ran"], "ner_tags": ["B-PER", "I-PER", "O"]}"#,
    #"{"words": ["Ada", "Lovelace", "ran"], "spans": [[0, 2, "PER"]]}"#,
    #"{"id": 3, "words": ["Ada", "Lovelace", "ran"], "tags": null, "entities": [{"start": 0, "end": 2, "label": "PER"}]}"#,
    #"{"tokens": ["Ada", "Lovelace", "ran"], "spans": [{"end": 2, "start": 0, "type": "PER", "text": "Ada L"}]}"#,
  ])
  func everyFormIsReadAlike(record: String) throws {
    let sentences = try read("\u{FEFF}\n\(record)\r\n \n\(record)", ending: ".jsonl")
    #expect(sentences.map(\.words) == [["Ada", "Lovelace", "ran"], ["Ada", "Lovelace", "ran"]])
    #expect(sentences.map(\.tags) == [["B-PER", "I-PER", "O"], ["B-PER", "I-PER", "O"]])
    #expect(sentences.map(\.line) == [2, 4])
    #expect(sentences[1].line(ofWord: 2) == 4)
  }

  @Test func neighbouringSpansStayApart() throws {
    let sentences = try read(
      #"{"words": ["a", "b", "c"], "spans": [[2, 3, "X"], [0, 2, "X"]]}"#, ending: ".jsonl")
    #expect(sentences.first?.tags == ["B-X", "I-X", "B-X"])
  }

  @Test func wordsAreReadWithoutTags() throws {
    #expect(
      try read(#"{"words": ["a"]}"#, ending: ".jsonl", tagged: false).map(\.words) == [["a"]])
  }

  @Test(arguments: [
    (#"["a"]"#, "not a JSON object"), (#"{"words": ["a"]"#, "not a JSON object"),
    (#"{"tags": ["O"]}"#, "neither 'words' nor 'tokens'"),
    (#"{"words": [1], "tags": ["O"]}"#, "strings"),
    (#"{"words": [], "tags": []}"#, "empty"),
    (#"{"words": ["a", ""], "tags": ["O", "O"]}"#, "word 1"),
    (#"{"words": ["a\tb"], "tags": ["O"]}"#, "word 0"), (#"{"words": ["a"]}"#, "has no 'tags'"),
    (#"{"words": ["a"], "tags": []}"#, "0 tags for 1 words"),
    (#"{"words": ["a"], "tags": [0]}"#, "by name"),
    (#"{"words": ["a"], "tags": [""]}"#, "without a tag"),
    (#"{"words": ["a"], "spans": 3}"#, "not a list"),
    (#"{"words": ["a"], "spans": [[0, 2, "X"]]}"#, "0..<2 of 1"),
    (#"{"words": ["a"], "spans": [[-1, 1, "X"]]}"#, "-1..<1 of 1"),
    (#"{"words": ["a"], "spans": [[0, 0, "X"]]}"#, "0..<0 of 1"),
    (#"{"words": ["a"], "spans": [[0, 0.5, "X"]]}"#, "span 0"),
    (#"{"words": ["a"], "spans": [[0, 1]]}"#, "span 0"),
    (#"{"words": ["a"], "spans": [[9223372036854775807, -9223372036854775808, "X"]]}"#, "of 1"),
    (#"{"words": ["a"], "spans": [[1e300, 1, "X"]]}"#, "span 0"),
    (#"{"words": ["a", "b"], "spans": [[0, 2, "X"], [1, 2, "Y"]]}"#, "overlaps"),
  ])
  func wrongRecordsAreErrorsAtTheirLine(record: String, message: String) throws {
    let good = #"{"words": ["a"], "tags": ["O"]}"#
    let error = try failure("\(good)\n\(record)\n\(good)\n", ending: ".jsonl")
    #expect(error.code == .data && error.line == 2)
    #expect(error.message.contains(message), "\(error)")
  }

  @Test func deepNestingIsAnError() throws {
    let record = "{\"words\": " + String(repeating: "[", count: 200_000)
    #expect(try failure(record, ending: ".jsonl").message.contains("not a JSON object"))
  }

  @Test func emptyFilesAreErrors() throws {
    #expect(try failure("\n", ending: ".jsonl").message.contains("no sentence"))
  }
}
