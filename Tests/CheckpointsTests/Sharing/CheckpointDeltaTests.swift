import Checkpoints
import Determinism
import Files
import Foundation
import TestSupport
import Testing

@Suite struct CheckpointDeltaTests {
  private static func smallSteps(_ name: String, _ values: inout [Float]) {
    var random = RandomStream(seed: 2, "steps", .text(name))
    for index in values.indices {
      values[index] += (Float(random.below(1 << 20)) / 0x1p20 - 0.5) * 1e-3
    }
  }

  @Test func theChildComesBackByteByByte() throws {
    let directory = try TemporaryDirectory()
    let (parent, child) = (directory.file("parent"), directory.file("child"))
    try SampleModel.write(to: parent)
    // Another vocabulary, a tensor more and one less, rows and steps, numbers that are none.
    var tensors = SampleModel.tensors
    tensors.remove(at: 3)
    tensors.append(.init("heads.ru.weight", [7, 64]))
    try SampleModel.write(to: child, tensors: tensors, vocabulary: "a\nb\nc", parents: [parent]) {
      name, values in
      if name.hasSuffix("word_embeddings.weight") {
        for row in [0, 17, 4999] { for column in 0..<260 { values[row * 260 + column] *= -1.01 } }
        values[5] = -0.0
        values[6] = .nan
        values[7] = -.infinity
      } else {
        Self.smallSteps(name, &values)
      }
    }
    let delta = try CheckpointDelta(from: parent, to: child)
    #expect(delta.changedTensors == (6, 6))
    let out = directory.file("delta")
    let bytes = try delta.write(to: out, programVersion: "0.1")
    let estimate = try delta.estimatedBytes()
    #expect(abs(bytes - estimate) < bytes / 5 + 4000, "\(estimate) for \(bytes)")
    // Three rows of 5000, and small tensors.
    #expect(bytes < delta.childBytes / 20, "\(bytes) of \(delta.childBytes)")

    let again = directory.file("again")
    try CheckpointDelta.apply(out, to: parent, at: again)
    #expect(try SampleModel.files(again) == SampleModel.files(child))
    try CheckpointDirectory.verify(again)
  }

  @Test func whatIsNotChangedCostsNothing() throws {
    let directory = try TemporaryDirectory()
    try SampleModel.write(to: directory.file("parent"))
    try SampleModel.write(to: directory.file("child")) { name, values in
      if name.hasPrefix("classifier") { values = values.map { $0 + 1 } }
    }
    let delta = try CheckpointDelta(from: directory.file("parent"), to: directory.file("child"))
    #expect(delta.changedTensors == (2, 6))
    let bytes = try delta.write(to: directory.file("delta"), programVersion: "0.1")
    #expect(bytes < 8000)
  }

  /// Directories of transformers have no manifest.
  @Test func directoriesWithoutManifestsHaveDeltasToo() throws {
    let directory = try TemporaryDirectory()
    for (name, factor) in [("parent", 1), ("child", 1.001)] as [(String, Float)] {
      try SampleModel.write(to: directory.file(name)) { _, values in
        values = values.map { $0 * factor }
      }
      try FileManager.default.removeItem(atPath: directory.file(name + "/isogloss.json"))
    }
    let (parent, child) = (directory.file("parent"), directory.file("child"))
    _ = try CheckpointDelta(from: parent, to: child).write(
      to: directory.file("delta"), programVersion: "0.1")
    try CheckpointDelta.apply(directory.file("delta"), to: parent, at: directory.file("again"))
    #expect(try SampleModel.files(directory.file("again")) == SampleModel.files(child))
  }

  @Test func aCopyIsAChildThatChangesNothing() throws {
    let directory = try TemporaryDirectory()
    try SampleModel.write(to: directory.file("parent"))
    try FileManager.default.copyItem(
      atPath: directory.file("parent"), toPath: directory.file("child"))
    let delta = try CheckpointDelta(from: directory.file("parent"), to: directory.file("child"))
    #expect(delta.changedBytes == 0)
    _ = try delta.write(to: directory.file("delta"), programVersion: "0.1")
    try CheckpointDelta.apply(
      directory.file("delta"), to: directory.file("parent"), at: directory.file("again"))
    #expect(
      try SampleModel.files(directory.file("again")) == SampleModel.files(directory.file("child")))
  }

  @Test func anotherParentIsNamed() throws {
    let directory = try TemporaryDirectory()
    for (name, value) in [("parent", 1), ("child", 2), ("other", 3)] as [(String, Float)] {
      try SampleModel.write(to: directory.file(name)) { _, values in values[0] = value }
    }
    _ = try CheckpointDelta(from: directory.file("parent"), to: directory.file("child")).write(
      to: directory.file("delta"), programVersion: "0.1")
    let out = directory.file("again")
    let error = checkpointError { () throws(FileError) in
      try CheckpointDelta.apply(directory.file("delta"), to: directory.file("other"), at: out)
    }
    #expect(error?.code == .data)
    #expect(error?.message.hasPrefix("is not the parent of this delta, which is ‘parent’") == true)
    let isThere = directory.exists("again")
    #expect(!isThere)
  }

  @Test func aChangedDeltaIsRefused() throws {
    let directory = try TemporaryDirectory()
    try SampleModel.write(to: directory.file("parent"))
    try SampleModel.write(to: directory.file("child")) { Self.smallSteps($0, &$1) }
    let delta = directory.file("delta")
    _ = try CheckpointDelta(from: directory.file("parent"), to: directory.file("child")).write(
      to: delta, programVersion: "0.1")
    let object = try #require(
      SampleModel.files(delta).filter { $0.key.hasPrefix("objects/") && $0.value.count > 1000 }.keys
        .min())
    try flip(byte: 100, of: delta + "/" + object)
    let error = checkpointError { () throws(FileError) in
      try CheckpointDelta.apply(delta, to: directory.file("parent"), at: directory.file("again"))
    }
    #expect(error?.field == object)
    let isThere1 = directory.exists("again")
    #expect(!isThere1)
    // A manifest made for the changed file does not help: the child's files are hashed as they are made.
    try FileManager.default.removeItem(atPath: delta + "/isogloss.json")
    let files = try SampleModel.files(delta)
    try FileManager.default.removeItem(atPath: delta)
    try CheckpointDirectory.write(to: delta, programVersion: "0.1") {
      (partial) throws(FileError) in
      for (name, data) in files {
        try? FileManager.default.createDirectory(
          atPath: ((partial + "/" + name) as NSString).deletingLastPathComponent,
          withIntermediateDirectories: true)
        try WholeFile.write(Array(data), to: partial + "/" + name)
      }
    }
    let other = checkpointError { () throws(FileError) in
      try CheckpointDelta.apply(delta, to: directory.file("parent"), at: directory.file("again"))
    }
    #expect(other?.code == .data)
    let isThere2 = directory.exists("again")
    #expect(!isThere2)
  }

  @Test(arguments: ["../out", "/tmp/out", "a/../../out", "", "a//b", ".."])
  func namesThatLeadOutAreRefused(name: String) throws {
    let hash = String(repeating: "0", count: 64)
    let text = """
      {"format": "isogloss-recipe", "format_version": 1, "name": "x", "identity": "\(hash)", \
       "files": {"\(name)": {"sha256": "\(hash)", "pieces": []}}}
      """
    let error = checkpointError { () throws(FileError) in
      try Recipe(parsing: Array(text.utf8), path: "recipe.json")
    }
    #expect(error?.field == name && error?.message.contains("within the directory") == true)
  }
}
