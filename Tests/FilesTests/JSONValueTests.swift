import Files
import Foundation
import Testing

private func parse(_ text: String) throws(FileError) -> JSONValue {
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
  let error = #expect(throws: FileError.self) { try parse(text) }
  #expect(error?.code == .data)
  #expect(error?.description.contains("\n") == false)
}

@Test func nestingIsBounded() throws {
  let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
  #expect(try parse(deep).array != nil)
  #expect(throws: FileError.self) { try parse("[" + deep + "]") }
  #expect(throws: FileError.self) {
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

/// Composed and decomposed, one letter is one string and two pieces of a vocabulary.
@Test func namesMayBeDistinctOrAny() throws {
  let text = Array("{\"\u{E9}\":1,\"e\u{301}\":2,\"a\":3,\"a\":4}".utf8)
  #expect(throws: FileError.self) { try JSONValue(parsing: text, path: "text") }
  let members = try #require(try JSONValue(parsing: text, names: .any).object).members
  #expect(members.map { Array($0.name.unicodeScalars).count } == [1, 2, 1, 1])
  #expect(members.map(\.value.int) == [1, 2, 3, 4])
}

@Test func errorsNameTheMemberAndTheByte() throws {
  let error = #expect(throws: FileError.self) { try parse("{\"a\":[1,{\"b\":tru}]}") }
  #expect(error?.field == "a[1].b")
  #expect(error?.description == "text: a[1].b: no such word in JSON, at byte 13 of the JSON text")
}

@Test func flatListsAndSmallFlatObjectsAreGroups() throws {
  let value = try parse(
    "[[1,2],{\"a\":1,\"b\":[3]},{\"a\":1,\"b\":2,\"c\":3,\"d\":4},{\"a\":null},[]]")
  #expect(
    value.text(.groups) == """
      [
        [1, 2],
        {
          "a": 1,
          "b": [3]
        },
        {
          "a": 1,
          "b": 2,
          "c": 3,
          "d": 4
        },
        {"a": null},
        []
      ]
      """)
}

/// What the Rust library (tokenizers 0.23) makes of a score that a file has.
@Test(arguments: [
  ("-96.4341925412248244757710465e-16", 0xBD05_B70D_7EED_6B8E),
  ("-52.622e37", 0xC7F8_BE24_918B_9F63), ("72.174104090161033962e-15", 0x3D34_50B1_3A16_2644),
  ("86.324682034176848787e+10", 0x4269_1FB0_A47E_B898),
  ("-79.3169861443680387e-40", 0xB805_9796_517E_8463),
  ("57.28576139634101908421859468", 0x404C_A493_D455_DF3B),
  ("123456789012345678901234.5", 0x44BA_249B_1F10_A06C),
  ("99999999999999999999.25e-3", 0x4376_3457_85D8_A000),
  ("18446744073709551616.0", 0x43F0_0000_0000_0000), ("1.5E-300", 0x01B0_1297_D23A_B682),
  ("0.000000000000000000000000000001234567", 0x39B9_0A3D_04E1_EA5B),
  ("1.2345678901234567e-310", 0x0000_16B9_F4D3_CD48), ("-7", 0xC01C_0000_0000_0000),
  ("0e99999999999999999999", 0), ("1e-99999999999999999999", 0),
])
func numbersAreReadAsByTheRustLibrary(text: String, bits: UInt64) {
  #expect(Double(serdeJSON: text)?.bitPattern == bits)
}

@Test func numbersThatAreTooGreatAreNone() {
  #expect(["1e309", "-1e99999999999999999999", "18e307"].compactMap(Double.init(serdeJSON:)) == [])
}
