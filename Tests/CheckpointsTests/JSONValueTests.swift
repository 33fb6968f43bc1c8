import Checkpoints
import Foundation
import Testing

private func parse(_ text: String) throws(CheckpointError) -> JSONValue {
  try JSONValue(parsing: Array(text.utf8), path: "text")
}

@Test(arguments: [
  "null", "true", "false", "0", "-0.0", "1.50", "1e-12", "1E+5", "\"\"", "\"é😀\"", "[]", "{}",
  "[1,[2,{}],\"\\\"\\\\\"]", "{\"b\":1,\"a\":{\"\":null}}", "\"\\u0001\\n\"",
])
func valueIsWrittenAsItWasRead(text: String) throws {
  let value = try parse(text)
  #expect(value.compactText == text)
  #expect(try parse(value.text) == value)
  let coded = try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode([value]))
  #expect(coded.array?.count == 1)
}

@Test(arguments: [
  "", " ", "nul", "tru", "01", "1.", ".5", "+1", "-", "1e", "0x10", "NaN", "Infinity", "[", "[1",
  "[1,]", "[,1]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "\"", "\"\\\"", "\"\\u12\"", "\"\\uDC00\"",
  "\"\t\"", "1 2", "{\"a\":1,\"a\":2}", "'a'", "[1]]",
])
func textThatIsNoJSONIsRefused(text: String) {
  let error = checkpointError { () throws(CheckpointError) in try parse(text) }
  #expect(error?.code == .data)
}

@Test func nestingIsBounded() throws {
  let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
  #expect(try parse(deep).array != nil)
  #expect(throws: CheckpointError.self) { try parse("[" + deep + "]") }
  #expect(throws: CheckpointError.self) {
    try parse(String(repeating: "{\"a\":", count: 1_000_000))
  }
}

@Test func escapesAreRead() throws {
  #expect(try parse("\"\\u00e9\\ud83d\\uDE00\\/\\b\\f\\r\\t\"").string == "é😀/\u{8}\u{C}\r\t")
}

@Test func objectKeepsTheOrderOfItsMembers() throws {
  var object = try #require(try parse("{\"b\":1,\"a\":2}").object)
  object["c"] = 3
  object["b"] = 4
  object["a"] = nil
  #expect(JSONValue.object(object).compactText == "{\"b\":4,\"c\":3}")
  #expect(JSONValue.object(object).text == "{\n  \"b\": 4,\n  \"c\": 3\n}")
}

@Test func numbersAreTakenOnlyAsTheyAreWritten() throws {
  #expect(try parse("3").int == 3)
  #expect(try parse("3.0").int == nil)
  #expect(try parse("9223372036854775808").int == nil)
  #expect(try parse("1e999").double == nil)
  #expect(try parse("\"3\"").int == nil)
  #expect(JSONValue(0.1 + 0.2).double == 0.1 + 0.2)
}
