import Checkpoints
import Determinism
import Files
import Foundation
import TestSupport
import Testing

/// A file of `header` and `dataLength` bytes of data, with a length field that may lie.
private func image(_ header: String, data dataLength: Int, length: UInt64? = nil) -> [UInt8] {
  let header = Array(header.utf8)
  let length = length ?? UInt64(header.count)
  let prefix = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
  return prefix + header + (0..<dataLength).map { UInt8(truncatingIfNeeded: $0) }
}

/// A file that lies: what is wrong in which field, and a word of the message.
struct Lie: Sendable, CustomTestStringConvertible {
  var header: String
  var dataLength: Int
  var field: String
  var message: String
  var testDescription: String { header.isEmpty ? message : String(header.prefix(100)) }

  init(_ header: String, _ dataLength: Int, _ field: String, _ message: String) {
    self.header = header
    self.dataLength = dataLength
    self.field = field
    self.message = message
  }

  /// A header of one tensor `w` with these members.
  static func tensor(_ members: String, _ dataLength: Int, _ message: String) -> Lie {
    Lie("{\"w\":{\(members)}}", dataLength, "w", message)
  }
}

private let lies: [Lie] = [
  // The JSON itself.
  Lie("", 0, "header", "begin with"),
  Lie(" {}", 0, "header", "begin with"),
  Lie("[]", 0, "header", "begin with"),
  Lie("null", 0, "header", "begin with"),
  Lie("{", 0, "header", "name in quotes"),
  Lie("{}}", 0, "header", "after the end"),
  Lie("{},", 0, "header", "after the end"),
  Lie("{\"w\"}", 0, "header", "‘:’"),
  Lie("{\"w\":}", 0, "w", "‘{’"),
  Lie("{\"w\":[]}", 0, "w", "‘{’"),
  Lie("{\"w\":null}", 0, "w", "‘{’"),
  Lie("{\"w\":{}", 0, "w", "dtype is missing"),
  Lie("{\"w", 0, "header", "ends within a string"),
  Lie("{\"w\\", 0, "header", "ends within a string"),
  Lie("{\"w\\q\":{}}", 0, "header", "escape"),
  Lie("{\"w\\uD800\":{}}", 0, "header", "surrogate"),
  Lie("{\"w\\uD800\\u0041\":{}}", 0, "header", "surrogate"),
  Lie("{\"w\\u12\":{}}", 0, "header", "hexadecimal"),
  Lie("{\"w\u{1}\":{}}", 0, "header", "control character"),
  Lie("{'w':{}}", 0, "header", "quotes"),
  Lie(String(repeating: "{\"a\":", count: 100_000), 0, "a", "none of dtype"),
  Lie("{\"w\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},}", 1, "header", "quotes"),
  // Names.
  Lie(
    "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      + "\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "w", "twice"),
  Lie(
    "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      + "\"\\u0077\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "w", "twice"),
  .tensor("\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]", 1, "twice"),
  // Metadata.
  Lie("{\"__metadata__\":[]}", 0, "__metadata__", "‘{’"),
  Lie("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__", "not a string"),
  Lie("{\"__metadata__\":{\"a\":{}}}", 0, "__metadata__", "not a string"),
  Lie("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "__metadata__", "‘a’ appears twice"),
  Lie("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__", "twice"),
  // The element type.
  .tensor("\"shape\":[1],\"data_offsets\":[0,1]", 1, "dtype is missing"),
  .tensor("\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]", 4, "F33"),
  .tensor("\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]", 4, "f32"),
  .tensor("\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]", 4, "before a string"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1", 1, "‘x’"),
  // The shape.
  .tensor("\"dtype\":\"U8\",\"data_offsets\":[0,1]", 1, "shape is missing"),
  .tensor("\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]", 1, "shape: ‘[’"),
  .tensor("\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]", 1, "shape: -1"),
  .tensor("\"dtype\":\"U8\",\"shape\":[-0],\"data_offsets\":[0,0]", 0, "shape: -0"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]", 1, "shape: 1.0"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]", 1, "shape: 1e0"),
  .tensor("\"dtype\":\"U8\",\"shape\":[01],\"data_offsets\":[0,1]", 1, "shape: "),
  .tensor("\"dtype\":\"U8\",\"shape\":[true],\"data_offsets\":[0,1]", 1, "shape: a digit"),
  .tensor("\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]", 1, "shape: a digit"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1,],\"data_offsets\":[0,1]", 1, "shape: a digit"),
  .tensor(
    "\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,1]", 1, "shape: 922"),
  .tensor(
    "\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]", 4, "overflows"),
  .tensor(
    "\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]", 0, "overflows"),
  .tensor(
    "\"dtype\":\"U8\",\"shape\":[\(Array(repeating: "1", count: 33).joined(separator: ","))],"
      + "\"data_offsets\":[0,1]", 1, "more than 32"),
  // The offsets.
  .tensor("\"dtype\":\"U8\",\"shape\":[1]", 1, "data_offsets is missing"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]", 1, "begin and an end"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[]", 1, "begin and an end"),
  .tensor(
    "\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]", 1, "data_offsets: more than 2"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]", 1, "begin and an end"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]", 1, "data_offsets: -1"),
  .tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]", 4, "takes 8"),
  .tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]", 8, "takes 4"),
  .tensor("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]", 4, "end at byte 8 of 4"),
  .tensor("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]", 2, "gap"),
  .tensor(
    "\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[9223372036854775807,9223372036854775807]", 0,
    "end at byte 9223372036854775807 of 0"),
  .tensor(
    "\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,9223372036854775807]",
    1, "end at byte"),
  Lie(
    "{\"v\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
      + "\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "w", "overlap"),
  Lie(
    "{\"v\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
      + "\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "w", "overlap"),
  Lie(
    "{\"v\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
      + "\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}", 5, "w", "gap"),
  Lie(
    "{\"v\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
      + "\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}}", 2, "w", "overlap"),
  .init("{\"w\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 2, "header", "to none"),
  Lie("{}", 1, "header", "to none"),
]

@Test(arguments: lies)
func lyingHeaderIsRefusedByField(lie: Lie) throws {
  let directory = try TemporaryDirectory()
  try directory.write(image(lie.header, data: lie.dataLength), to: "lie.safetensors")
  let path = directory.file("lie.safetensors")
  let error = checkpointError { () throws(FileError) in try SafetensorsFile(path) }
  #expect(error?.code == .data)
  #expect(error?.path == path)
  #expect(error?.field == lie.field, "\(String(describing: error))")
  #expect(error?.message.contains(lie.message) == true, "\(String(describing: error))")
}

@Test(
  arguments: [
    ([], "fewer than the 8"), ([2, 0, 0, 0, 0, 0, 0], "fewer than the 8"),
    ([0, 0, 0, 0, 0, 0, 0, 0x80], "over the limit"),
    ([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "over the limit"),
    ([0x01, 0xE1, 0xF5, 0x05, 0, 0, 0, 0], "over the limit"),
    ([0x00, 0xE1, 0xF5, 0x05, 0, 0, 0, 0], "cut short"),
    ([3, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D], "cut short"),
  ] as [([UInt8], String)])
func lyingHeaderLengthIsRefused(bytes: [UInt8], message: String) throws {
  let directory = try TemporaryDirectory()
  try directory.write(bytes, to: "lie")
  let path = directory.file("lie")
  let error = checkpointError { () throws(FileError) in try SafetensorsFile(path) }
  #expect(error?.code == .data)
  #expect(error?.field == "header length")
  #expect(error?.message.contains(message) == true, "\(String(describing: error))")
}

@Test func invalidUTF8InANameIsRefused() throws {
  let directory = try TemporaryDirectory()
  var bytes = image("{\"wXw\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", data: 1)
  bytes[11] = 0xC0
  try directory.write(bytes, to: "lie")
  let path = directory.file("lie")
  let error = checkpointError { () throws(FileError) in try SafetensorsFile(path) }
  #expect(error?.message.contains("UTF-8") == true)
}

@Test func aFileThatIsNoFileIsRefused() throws {
  let directory = try TemporaryDirectory()
  let path = directory.path
  let folder = checkpointError { () throws(FileError) in try SafetensorsFile(path) }
  #expect(folder?.message.contains("regular file") == true)
  let absent = checkpointError { () throws(FileError) in try SafetensorsFile(path + "/no") }
  #expect(absent?.code == .missing)
}

@Test(arguments: [
  ("{}", 0), ("{}   \n\t ", 0), ("{\"__metadata__\":{}}", 0),
  ("{\"w\":{\"data_offsets\":[0,0],\"shape\":[3,0],\"dtype\":\"F64\"}}", 0),
  ("{ \"\" : { \"dtype\" : \"BOOL\" , \"shape\" : [ ] , \"data_offsets\" : [ 0 , 1 ] } }", 1),
  (
    "{\"z\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]},"
      + "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]},"
      + "\"m\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 3
  ),
])
func oddButHonestHeaderIsRead(header: String, dataLength: Int) throws {
  let directory = try TemporaryDirectory()
  try directory.write(image(header, data: dataLength), to: "honest")
  let file = try SafetensorsFile(directory.file("honest"))
  #expect(file.tensors.reduce(0) { $0 + $1.byteRange.count } == dataLength)
}

/// Any bytes give an error of this module or a file whose tensors lie within it.
@Test func twentyThousandMutationsNeitherCrashNorEscape() throws {
  let directory = try TemporaryDirectory()
  let valid = try Array(Data(contentsOf: URL(filePath: fixture("python.safetensors"))))
  let headerEnd = 8 + Int(valid[0]) + Int(valid[1]) << 8
  let path = directory.file("mutated")
  let alphabet = Array("0123456789-.eE\"\\{}[],: untrfF36BU".utf8)
  var random = RandomStream(seed: 20, "mutations")
  var accepted = 0
  for round in 0..<20_000 {
    var bytes = valid
    for _ in 0...random.below(4) {
      let place = random.below(headerEnd)
      let byte =
        random.below(2) == 0
        ? UInt8(truncatingIfNeeded: random.next()) : alphabet[random.below(alphabet.count)]
      switch random.below(8) {
      case 0: bytes.insert(byte, at: place)
      case 1: bytes.remove(at: place)
      case 2: bytes.removeLast(random.below(min(64, bytes.count)))
      default: bytes[place] = byte
      }
      if bytes.count < headerEnd { break }
    }
    // A new file each time: some file systems wait for the disk when one is cut and written again.
    try? FileManager.default.removeItem(atPath: path)
    try directory.write(bytes, to: "mutated")
    do throws(FileError) {
      let file = try SafetensorsFile(path)
      accepted += 1
      for tensor in file.tensors {
        let size = tensor.shape.reduce(tensor.elementType.size, *)
        #expect(tensor.byteRange.count == size, "round \(round)")
        #expect(tensor.byteRange.upperBound <= bytes.count, "round \(round)")
        let sum = try file.withBytes(of: tensor.name) { (span) throws(FileError) in
          (0..<span.byteCount).reduce(0) {
            unsafe $0 + Int(span.unsafeLoad(fromByteOffset: $1, as: UInt8.self))
          }
        }
        #expect(sum >= 0)
      }
    } catch {
      #expect(error.code == .data, "round \(round): \(error)")
      #expect(error.field != nil && !error.description.contains("\n"), "round \(round): \(error)")
    }
  }
  // Most changes break a header; one within a tensor's name or a metadata string does not.
  #expect(accepted > 0 && accepted < 20_000, "\(accepted) were accepted")
}

// MARK: Memory

/// The most memory that this process has held, in bytes, since it was last reset.
private func peakMemory(reset: Bool = false) throws -> Int {
  if reset {
    let file = try #require(FileHandle(forWritingAtPath: "/proc/self/clear_refs"))
    try file.write(contentsOf: Data("5".utf8))
  }
  let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
  let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
  return try #require(
    line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
      .flatMap { Int($0) }) * 1024
}

/// Writes a header that holds as many names, strings or numbers as its bytes allow; returns its length.
///
/// It goes out in small pieces: memory that was taken and given back before would hide the reader's.
private func writeLargeHeader(_ kind: String, to path: String) throws -> Int {
  try Data(count: 8).write(to: URL(filePath: path))
  let file = try #require(FileHandle(forUpdatingAtPath: path))
  try file.seekToEnd()
  let ones = Array(repeating: "1", count: 30).joined(separator: ",")
  let end = "\"dtype\":\"U8\",\"data_offsets\":[0,0],\"shape\":[0"
  var piece = kind == "metadata" ? "{\"__metadata__\":{" : "{"
  var number = 0
  var length = 0
  func flush() throws {
    try file.write(contentsOf: Data(piece.utf8))
    length += piece.utf8.count
    piece = ""
  }
  while length < 6_000_000 {
    let comma = number == 0 ? "" : ","
    let name = String(number, radix: 36)
    number += 1
    switch kind {
    case "metadata": piece += "\(comma)\"\(name)\":\"\""
    case "tensors": piece += "\(comma)\"\(name)\":{\(end)]}"
    default: piece += "\(comma)\"\(name)\":{\(end),\(ones)]}"
    }
    if piece.utf8.count > 1 << 14 { try flush() }
  }
  piece += kind == "metadata" ? "}}" : "}"
  try flush()
  try file.seek(toOffset: 0)
  try file.write(contentsOf: Data((0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }))
  return length
}

@Test(.serialized, arguments: ["metadata", "tensors", "shapes"])
func headerTakesMemoryInProportionToItsBytes(kind: String) throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("large")
  let length = try writeLargeHeader(kind, to: path)
  let before = try peakMemory(reset: true)
  let file = try SafetensorsFile(path)
  let taken = try peakMemory() - before
  #expect(file.tensors.isEmpty == (kind == "metadata"))
  // The reader's bound is 32 times the header; tests that run beside this one take a few megabytes.
  #expect(taken <= 32 * length + 16 << 20, "\(taken) for \(length)")
}
