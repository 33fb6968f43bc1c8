import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

@Suite struct CheckpointMergeTests {
  private static let body = "bert.encoder.layer.0.output.dense.weight"

  private func tensor(_ name: String, _ directory: String) throws -> [Float] {
    try floats(name, of: SafetensorsFile(directory + "/model.safetensors"))
  }

  /// Writes models that are the sample times a factor.
  private func models(
    _ directory: borrowing TemporaryDirectory, _ factors: [(String, Float)]
  ) throws {
    for (name, factor) in factors {
      try SampleModel.write(to: directory.file(name)) { _, values in
        values = values.map { $0 * factor }
      }
    }
  }

  @Test func theAverageIsWeighted() throws {
    let directory = try TemporaryDirectory()
    try models(directory, [("a", 1), ("b", 2), ("c", 5)])
    let merge = try CheckpointMerge(
      .average,
      of: [("a", 1), ("b", 2), ("c", 1)].map {
        .init(directory: directory.file($0.0), weight: $0.1)
      })
    try merge.write(to: directory.file("out"), programVersion: "0.1")
    let one = try tensor(Self.body, directory.file("a"))
    let merged = try tensor(Self.body, directory.file("out"))
    // (1 + 2 · 2 + 5) / 4 times the sample.
    for (found, value) in zip(merged, one) {
      let (b, c) = (Double(value * 2), Double(value * 5))
      #expect(found == Float(Double(value) * 0.25 + b * 0.5 + c * 0.25))
    }
    let manifest = try CheckpointDirectory.verify(directory.file("out"))
    #expect(manifest.lineage.ancestors.map(\.name) == ["a", "b", "c"])
    #expect(manifest.facts["merge"]?["method"] == "average")
    #expect(manifest.files.contains { $0.name == "vocab.txt" })
  }

  @Test func oneModelMergesToItself() throws {
    let directory = try TemporaryDirectory()
    try models(directory, [("a", 1)])
    for (method, out) in [
      (CheckpointMerge.Method.average, "x"), (.taskArithmetic(base: directory.file("a")), "y"),
    ] {
      try CheckpointMerge(method, of: [.init(directory: directory.file("a"), weight: 3)])
        .write(to: directory.file(out), programVersion: "0.1")
      let files = try [out, "a"].map {
        try Data(contentsOf: URL(filePath: directory.file($0 + "/model.safetensors")))
      }
      #expect(files[0] == files[1])
    }
  }

  @Test func taskArithmeticAddsWhatWasLearned() throws {
    let directory = try TemporaryDirectory()
    try models(directory, [("base", 1), ("a", 1.5), ("b", 3)])
    try CheckpointMerge(
      .taskArithmetic(base: directory.file("base")),
      of: [
        .init(directory: directory.file("a"), weight: 0.5),
        .init(directory: directory.file("b"), weight: -0.25),
      ]
    ).write(to: directory.file("out"), programVersion: "0.1")
    let base = try tensor(Self.body, directory.file("base"))
    let merged = try tensor(Self.body, directory.file("out"))
    // 1 + 0.5 · (1.5 − 1) − 0.25 · (3 − 1)
    for (found, value) in zip(merged, base) { #expect(abs(found - value * 0.75) < 1e-6) }
    let manifest = try CheckpointDirectory.verify(directory.file("out"))
    #expect(manifest.facts["merge"]?["base"] == "base")
    #expect(manifest.lineage.parents.count == 3)
  }

  @Test func headsThatDifferAreChosen() throws {
    let directory = try TemporaryDirectory()
    try models(directory, [("a", 1)])
    var tensors = SampleModel.tensors
    tensors[4] = .init("classifier.weight", [2, 64])
    tensors[5] = .init("classifier.bias", [2])
    try SampleModel.write(
      to: directory.file("b"), tensors: tensors, labels: #"{"0": "O", "1": "B-LOC"}"#)
    let parts = ["a", "b"].map {
      CheckpointMerge.Part(directory: directory.file($0), weight: 1)
    }
    let error = checkpointError { () throws(FileError) in
      try CheckpointMerge(.average, of: parts)
    }
    #expect(error?.field == "classifier.weight")
    #expect(error?.message.hasSuffix("say whose heads to keep") == true)
    try CheckpointMerge(.average, of: parts, headsFrom: directory.file("b"))
      .write(to: directory.file("out"), programVersion: "0.1")
    #expect(
      try tensor("classifier.weight", directory.file("out"))
        == tensor("classifier.weight", directory.file("b")))
    #expect(try HuggingFaceConfig(directory: directory.file("out")).labels == ["O", "B-LOC"])
  }

  @Test func modelsThatDoNotGoTogetherAreNamed() throws {
    let directory = try TemporaryDirectory()
    try models(directory, [("a", 1)])
    try SampleModel.write(to: directory.file("words"), vocabulary: "other")
    var tensors = SampleModel.tensors
    tensors[1] = .init(Self.body, [64, 32])
    try SampleModel.write(to: directory.file("narrow"), tensors: tensors)
    func error(_ name: String) -> FileError? {
      checkpointError { () throws(FileError) in
        try CheckpointMerge(
          .average,
          of: ["a", name].map { .init(directory: directory.path + "/" + $0, weight: 1) })
      }
    }
    #expect(error("words")?.field == "vocab.txt")
    #expect(error("narrow")?.field == Self.body)
  }

  @Test func aSumThatOverflowsIsNoModel() throws {
    let directory = try TemporaryDirectory()
    try models(directory, [("a", 1e38), ("b", 1)])
    let error = checkpointError { () throws(FileError) in
      try CheckpointMerge(
        .taskArithmetic(base: directory.path + "/b"),
        of: [.init(directory: directory.path + "/a", weight: 1e6)]
      ).write(to: directory.path + "/out", programVersion: "0.1")
    }
    #expect(error?.message.contains("is not finite") == true)
    let isThere = directory.exists("out")
    #expect(!isThere)
  }
}
