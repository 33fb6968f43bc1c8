import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

@Test func fileOfPythonIsReadToTheBit() throws {
  let file = try SafetensorsFile(fixture("python.safetensors"))
  let line = (-60..<60).map { Float($0) }
  #expect(file.metadata == ["format": "pt", "note": "naïve — “quoted”\n"])
  #expect(
    Set(file.tensors.map(\.name))
      == ["single", "half", "brain", "double", "scalar", "empty", "whole", "flags"])
  #expect(file["single"]?.shape == [2, 3, 20])
  #expect(file["half"]?.elementType == .f16)
  #expect(file["scalar"]?.shape == [])
  #expect(file["empty"]?.shape == [0, 4])
  #expect(try floats("single", of: file) == line.map { $0 * 0.1 })
  #expect(try floats("half", of: file) == line.map { $0 / 16 })
  #expect(try floats("brain", of: file) == line.map { $0 * 3 })
  #expect(try floats("double", of: file) == line.map { Float(Double($0) / 3) })
  #expect(try floats("scalar", of: file) == [2.5])
  #expect(try floats("empty", of: file) == [])
  var whole = [Int64](repeating: 0, count: 5)
  var span = whole.mutableSpan
  try file.readExactly("whole", shape: [5], into: &span)
  #expect(whole == [-2, -1, 0, 1, 2])
  let flags = try file.withBytes(of: "flags") { (bytes) throws(FileError) in
    (0..<bytes.byteCount).map { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
  }
  #expect(flags == [1, 0, 1])
}

@Test func tensorThatIsNotAsWantedIsRefusedByName() throws {
  let file = try SafetensorsFile(fixture("python.safetensors"))
  func message(_ name: String, shape: [Int]?, count: Int) -> String {
    var values = [Float](repeating: 0, count: count)
    var span = values.mutableSpan
    do throws(FileError) {
      try file.read(name, shape: shape, into: &span)
    } catch {
      #expect(error.field == name)
      return error.message
    }
    return ""
  }
  #expect(message("absent", shape: nil, count: 1).contains("no such tensor"))
  #expect(message("single", shape: [6, 20], count: 120).contains("[2, 3, 20], where [6, 20]"))
  #expect(message("single", shape: nil, count: 119).contains("120 elements, where 119"))
  #expect(message("whole", shape: [5], count: 5).contains("I64"))
  var bytes = [UInt8](repeating: 0, count: 5)
  var span = bytes.mutableSpan
  #expect(throws: FileError.self) { try file.readExactly("whole", into: &span) }
}

@Test func whatIsWrittenReadsBack() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("x.safetensors")
  let values: [Float] = [0, -0.0, 1, -1, .infinity, .leastNonzeroMagnitude, 3.14159, 65504]
  let counts: [Int64] = [.min, 0, .max]
  let steps: [Int32] = [.min, 7]
  let declared: [SafetensorsWriter.Declaration] = [
    .init("bytes", [3], .u8), .init("single", [2, 4]), .init("half", [8], .f16),
    .init("brain", [8], .bf16), .init("counts", [3], .i64), .init("none", [0]),
    .init("wide", [8], .f64), .init("steps", [2], .i32), .init("naïve \"quoted\"\n", [], .f32),
  ]
  try SafetensorsWriter.write(to: path, declared, metadata: ["format": "pt", "b": "é"]) {
    writer throws(FileError) in
    try writer.append("half", values.span)
    try writer.append("single", values.span.extracting(0..<3))
    try writer.appendExactly("counts", counts.span)
    try writer.append("single", values.span.extracting(3..<8))
    try writer.append("brain", values.span)
    try writer.append("wide", values.span)
    try writer.appendExactly("steps", steps.span)
    try writer.append("naïve \"quoted\"\n", ([4] as [Float]).span)
    try writer.appendExactly("bytes", ([1, 2, 255] as [UInt8]).span)
  }
  #expect(try directory.names() == ["x.safetensors"])
  let file = try SafetensorsFile(path)
  let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
  let wanted = SafetensorsWriter.byteCount(declared, metadata: ["format": "pt", "b": "é"])
  #expect(size == wanted)
  #expect(file.metadata == ["format": "pt", "b": "é"])
  #expect(file.tensors.count == declared.count)
  for tensor in file.tensors {
    #expect(tensor.byteRange.lowerBound % tensor.elementType.size == 0, "\(tensor.name)")
  }
  func bits(_ name: String) throws -> [UInt32] { try floats(name, of: file).map(\.bitPattern) }
  #expect(try bits("single") == values.map(\.bitPattern))
  #expect(try bits("wide") == values.map(\.bitPattern))
  let halves = values.map { HalfPrecision.float(f16: HalfPrecision.f16($0)).bitPattern }
  #expect(try bits("half") == halves)
  #expect(try floats("brain", of: file)[6] == 3.140625)
  #expect(try floats("naïve \"quoted\"\n", of: file) == [4])
  var readCounts = [Int64](repeating: 1, count: 3)
  var span = readCounts.mutableSpan
  try file.readExactly("counts", into: &span)
  #expect(readCounts == counts)
}

@Test func tensorLargerThanAChunkIsConvertedWhole() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("x.safetensors")
  let values = (0..<300_001).map { Float($0 % 2000) }
  try SafetensorsWriter.write(to: path, [.init("x", [300_001], .f16)]) {
    writer throws(FileError) in try writer.append("x", values.span)
  }
  #expect(try floats("x", of: SafetensorsFile(path)) == values)
}

@Test func failedWriteLeavesTheOlderFile() throws {
  let directory = try TemporaryDirectory()
  try directory.write("older", to: "x.safetensors")
  let path = directory.file("x.safetensors")
  let error = checkpointError { () throws(FileError) in
    try SafetensorsWriter.write(to: path, [.init("x", [3])]) { writer throws(FileError) in
      try writer.append("x", ([1, 2] as [Float]).span)
      throw FileError(.io, "source", "the source failed")
    }
  }
  #expect(error?.message == "the source failed")
  #expect(try directory.names() == ["x.safetensors"])
  #expect(try String(contentsOfFile: path, encoding: .utf8) == "older")
}

@Test func fileThatIsReplacedIsNoticed() throws {
  let directory = try TemporaryDirectory()
  let bytes = try Array(Data(contentsOf: URL(filePath: fixture("python.safetensors"))))
  try directory.write(bytes, to: "x")
  let file = try SafetensorsFile(directory.file("x"))
  try file.confirmUnchanged()
  try directory.write(bytes, to: "y")
  try FileManager.default.removeItem(atPath: directory.file("x"))
  try FileManager.default.moveItem(atPath: directory.file("y"), toPath: directory.file("x"))
  #expect(throws: FileError.self) { try file.confirmUnchanged() }
  #expect(try floats("scalar", of: file) == [2.5])
}

@Test(.enabled(if: SharedFiles.isPresent("checkpoints/all-minilm-l6-v2/model.safetensors")))
func realCheckpointIsRead() throws {
  let directory = SharedFiles.path("checkpoints/all-minilm-l6-v2")
  let config = try HuggingFaceConfig(directory: directory)
  let weights = try CheckpointWeights(directory: directory)
  #expect(config.hiddenSize == 384 && config.layerCount == 6 && config.headCount == 12)
  let words = try #require(weights["embeddings.word_embeddings.weight"])
  #expect(words.shape == [config.vocabularySize, config.hiddenSize])
  var values = [Float](repeating: .nan, count: words.count)
  var span = values.mutableSpan
  try weights.read(words.name, shape: words.shape, into: &span)
  #expect(values.allSatisfy(\.isFinite) && values.contains { $0 != 0 })
  let inspection = try CheckpointInspection(directory: directory)
  #expect(inspection.parameterCount == weights.tensors.reduce(0) { $0 + $1.count })
}
