import Checkpoints
import Determinism
import Files
import Foundation

/// Small checkpoints of random numbers, for tests of what is done with whole directories.
enum SampleModel {
  /// Tensor names, shapes and types; `classifier.…` is the head.
  static let tensors: [SafetensorsWriter.Declaration] = [
    .init("bert.embeddings.word_embeddings.weight", [5000, 260]),
    .init("bert.encoder.layer.0.output.dense.weight", [64, 64]),
    .init("bert.encoder.layer.0.output.dense.bias", [63], .bf16),
    .init("bert.encoder.layer.1.output.dense.weight", [64, 65], .f16),
    .init("classifier.weight", [3, 64]),
    .init("classifier.bias", [3]),
  ]

  /// Numbers of a seed for a tensor.
  static func values(_ name: String, _ count: Int, seed: UInt64) -> [Float] {
    var random = RandomStream(seed: seed, "values", .text(name))
    return (0..<count).map { _ in Float(random.below(1 << 20)) / 0x1p21 - 0.25 }
  }

  /// Writes a checkpoint whose tensors are those of seed 1, but for some that `change` rewrites.
  ///
  /// - Parameter parents: Directories that the manifest names as its parents.
  @discardableResult
  static func write(
    to path: String, tensors: [SafetensorsWriter.Declaration] = tensors,
    vocabulary: String = "a\nb",
    labels: String = #"{"0": "O", "1": "B-PER", "2": "I-PER"}"#, parents: [String] = [],
    facts extra: [String: JSONValue] = [:],
    change: (String, inout [Float]) -> Void = { _, _ in }
  ) throws -> CheckpointManifest {
    var facts = JSONObject()
    for (name, value) in extra { facts[name] = value }
    try CheckpointLineage(of: parents).write(into: &facts)
    return try CheckpointDirectory.write(
      to: path, programVersion: "0.1", facts: .object(facts)
    ) { (partial) throws(FileError) in
      try WholeFile.write(
        #"{"model_type": "bert", "id2label": \#(labels)}"#, to: partial + "/config.json")
      try WholeFile.write(vocabulary, to: partial + "/vocab.txt")
      try SafetensorsWriter.write(to: partial + "/model.safetensors", tensors) {
        (writer) throws(FileError) in
        for tensor in tensors {
          var values = values(tensor.name, tensor.shape.reduce(1, *), seed: 1)
          change(tensor.name, &values)
          try writer.append(tensor.name, values.span)
        }
      }
    }
  }

  /// All files below a directory with their bytes.
  static func files(_ path: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
      var isDirectory: ObjCBool = false
      guard
        unsafe FileManager.default.fileExists(
          atPath: path + "/" + name, isDirectory: &isDirectory)
      else { continue }
      if !isDirectory.boolValue {
        files[name] = try Data(contentsOf: URL(filePath: path + "/" + name))
      }
    }
    return files
  }
}

/// Changes one byte of a file.
func flip(byte offset: Int, of path: String) throws {
  var data = try Data(contentsOf: URL(filePath: path))
  data[offset] ^= 1
  try data.write(to: URL(filePath: path))
}
