import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

@Test func inspectionTellsWhatTheDirectoryHolds() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("checkpoint-5")
  var config = HuggingFaceConfig(.xlmRoberta)
  config.labels = ["O", "B-PER"]
  try CheckpointDirectory.write(
    to: path, programVersion: "0.1", facts: ["parent": "checkpoint-4", "steps": 5]
  ) { partial throws(FileError) in
    try config.write(directory: partial)
    try SafetensorsWriter.write(
      to: partial + "/model.safetensors", [.init("x", [2, 3]), .init("y", [4], .bf16)]
    ) { writer throws(FileError) in
      try writer.append("x", [Float](repeating: 1, count: 6).span)
      try writer.append("y", [Float](repeating: 1, count: 4).span)
    }
  }
  let inspection = try CheckpointInspection(directory: path, hashes: true)
  #expect(inspection.parameterCount == 10)
  #expect(inspection.files.map(\.name) == ["config.json", "isogloss.json", "model.safetensors"])
  let size = try FileManager.default.attributesOfItem(atPath: path + "/model.safetensors")[.size]
  #expect(inspection.files[2].size == size as? Int)
  #expect(
    try inspection.files[2].sha256 == SHA256.digest(ofFile: path + "/model.safetensors"))
  #expect(inspection.config?["model_type"]?.string == "xlm-roberta")
  #expect(inspection.manifest?.facts["parent"]?.string == "checkpoint-4")
  let text = inspection.text
  for words in ["parameters: 10", "x  F32  [2 × 3]", "y  BF16  [4]", "12 layers", "O B-PER", "0.1"]
  {
    #expect(text.contains(words), "\(words)")
  }
  let coded = try JSONDecoder().decode(
    CheckpointInspection.self, from: JSONEncoder().encode(inspection))
  #expect(coded.tensors == inspection.tensors && coded.files == inspection.files)
  #expect(coded.parameterCount == 10)
}

@Test func inspectionOfADirectoryOfOthersFollowsLinksToFiles() throws {
  let directory = try TemporaryDirectory()
  try directory.write("hello", to: "blob")
  let snapshot = directory.file("snapshot")
  try FileManager.default.createDirectory(atPath: snapshot, withIntermediateDirectories: true)
  try FileManager.default.createSymbolicLink(
    atPath: snapshot + "/vocab.txt", withDestinationPath: "../blob")
  let inspection = try CheckpointInspection(directory: snapshot)
  #expect(inspection.files.map(\.name) == ["vocab.txt"] && inspection.files[0].size == 5)
  #expect(inspection.manifest == nil && inspection.config == nil && inspection.tensors.isEmpty)
  let absent = checkpointError { () throws(FileError) in
    try CheckpointInspection(directory: snapshot + "/no")
  }
  #expect(absent?.code == .missing)
}
