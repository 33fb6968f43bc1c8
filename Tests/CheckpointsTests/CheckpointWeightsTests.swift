import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

private func writeShard(_ path: String, _ tensors: [String: Float]) throws(FileError) {
  let names = tensors.keys.sorted()
  try SafetensorsWriter.write(to: path, names.map { .init($0, [1]) }) {
    writer throws(FileError) in
    for name in names { try writer.append(name, [tensors[name] ?? .nan].span) }
  }
}

private func writeIndex(_ directory: borrowing TemporaryDirectory, _ map: String) throws {
  try directory.write("{\"metadata\": {\"total_size\": 8}, \"weight_map\": \(map)}", to: indexName)
}

private let indexName = "model.safetensors.index.json"

private func value(_ name: String, of weights: CheckpointWeights) throws -> Float {
  var values: [Float] = [.nan]
  var span = values.mutableSpan
  try weights.read(name, shape: [1], into: &span)
  return values[0]
}

@Test func shardsAreOneMap() throws {
  let directory = try TemporaryDirectory()
  try writeShard(directory.file("a.safetensors"), ["x": 1, "y": 2, "unlisted": 9])
  try writeShard(directory.file("b.safetensors"), ["z": 3])
  try writeIndex(
    directory, "{\"z\": \"b.safetensors\", \"x\": \"a.safetensors\", \"y\": \"a.safetensors\"}")
  let weights = try CheckpointWeights(directory: directory.path)
  #expect(weights.tensors.map(\.name) == ["x", "y", "z"])
  #expect(try value("x", of: weights) == 1)
  #expect(try value("y", of: weights) == 2)
  #expect(try value("z", of: weights) == 3)
  #expect(throws: FileError.self) { try value("unlisted", of: weights) }
}

@Test func oneFileIsPreferredToAnIndex() throws {
  let directory = try TemporaryDirectory()
  try writeShard(directory.file("model.safetensors"), ["x": 1])
  try directory.write("lies", to: indexName)
  #expect(try value("x", of: CheckpointWeights(directory: directory.path)) == 1)
}

@Test func directoryWithoutWeightsIsMissing() throws {
  let directory = try TemporaryDirectory()
  let path = directory.path
  let error = checkpointError { () throws(FileError) in
    try CheckpointWeights(directory: path)
  }
  #expect(error?.code == .missing)
}

@Test(
  arguments: [
    ("{\"x\": \"/etc/passwd\"}", "weight_map", "plain name"),
    ("{\"x\": \"../outside.safetensors\"}", "weight_map", "plain name"),
    ("{\"x\": \"..\"}", "weight_map", "plain name"),
    ("{\"x\": \".\"}", "weight_map", "plain name"),
    ("{\"x\": \"\"}", "weight_map", "plain name"),
    ("{\"x\": \"sub/a.safetensors\"}", "weight_map", "plain name"),
    ("{\"x\": \"..\\\\outside.safetensors\"}", "weight_map", "plain name"),
    ("{\"x\": \"a.safetensors\\u0000.txt\"}", "weight_map", "plain name"),
    ("{\"x\": \"link.safetensors\"}", "weight_map", "leaves the directory"),
    ("{\"x\": \"sibling.safetensors\"}", "weight_map", "leaves the directory"),
    ("{\"x\": \"absent.safetensors\"}", nil, "needs this shard"),
    ("{\"x\": \"sub\"}", nil, "regular file"),
    ("{\"x\": \"a.safetensors\", \"w\": \"a.safetensors\"}", "w", "is not in a.safetensors"),
    ("{\"x\": 1}", "x", "not a string"),
    ("{\"x\": \"a.safetensors\", \"x\": \"a.safetensors\"}", "weight_map.x", "twice"),
    ("[]", "weight_map", "not an object"),
    ("{", nil, "‘}’ expected"),
    (
      String(repeating: "[", count: 100_000),
      "…" + String(repeating: "[0]", count: 33), "nesting"
    ),
  ] as [(String, String?, String)])
func indexThatTricksIsRefused(map: String, field: String?, message: String) throws {
  let directory = try TemporaryDirectory()
  let inside = directory.path + "/model"
  let manager = FileManager.default
  try manager.createDirectory(atPath: inside + "/sub", withIntermediateDirectories: true)
  // A directory whose name begins as the model's does.
  try manager.createDirectory(atPath: inside + "-2", withIntermediateDirectories: true)
  try writeShard(inside + "/a.safetensors", ["x": 1])
  try writeShard(directory.file("outside.safetensors"), ["x": 2])
  try writeShard(inside + "-2/s.safetensors", ["x": 3])
  try manager.createSymbolicLink(
    atPath: inside + "/link.safetensors", withDestinationPath: "../outside.safetensors")
  try manager.createSymbolicLink(
    atPath: inside + "/sibling.safetensors", withDestinationPath: "../model-2/s.safetensors")
  try directory.write("{\"weight_map\": \(map)}", to: "model/" + indexName)
  let error = checkpointError { () throws(FileError) in
    try CheckpointWeights(directory: inside)
  }
  #expect(error?.field == field, "\(String(describing: error))")
  #expect(error?.message.contains(message) == true, "\(String(describing: error))")
}

@Test(arguments: [nil, 1, 12, 40, 1000] as [Int?])
func writtenShardsAreReadBack(shardBytes: Int?) throws {
  let directory = try TemporaryDirectory()
  let shapes = [("a", [3]), ("b", [2, 2]), ("c", [1]), ("d", [5])]
  let tensors = shapes.map { SafetensorsWriter.Declaration($0.0, $0.1) }
  try CheckpointWeights.write(tensors, into: directory.path, shardBytes: shardBytes) {
    (index, writer) throws(FileError) in
    let count = shapes[index].1.reduce(1, *)
    let values = (0..<count).map { Float(10 * index + $0) }
    try writer.append(shapes[index].0, values.span)
  }
  let weights = try CheckpointWeights(directory: directory.path)
  for (index, (name, shape)) in shapes.enumerated() {
    var values = [Float](repeating: .nan, count: shape.reduce(1, *))
    var span = values.mutableSpan
    try weights.read(name, shape: shape, into: &span)
    #expect(values == values.indices.map { Float(10 * index + $0) })
  }
  // 12, 16, 4 and 20 bytes: a file takes what fits, and one tensor in any case.
  let files = [1: 4, 12: 4, 40: 2][shardBytes ?? 0] ?? 1
  let names = try directory.names()
  #expect(weights.files.count == files)
  #expect(names.contains("model.safetensors.index.json") == (files > 1))
  if files == 2 { #expect(names[0] == "model-00001-of-00002.safetensors") }
}
