import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

@Suite struct CheckpointLineageTests {
  @Test func theChainIsToldByTheLast() throws {
    let directory = try TemporaryDirectory()
    try SampleModel.write(to: directory.file("encoder"))
    try FileManager.default.removeItem(atPath: directory.file("encoder/isogloss.json"))
    try SampleModel.write(
      to: directory.file("polyglot"), parents: [directory.file("encoder")],
      facts: ["stage": "polyglot", "weight_hash": "1a2b"])
    try SampleModel.write(
      to: directory.file("ru"), parents: [directory.file("polyglot")],
      facts: ["stage": "fine-tune ru", "weight_hash": "3c4d"])
    try FileManager.default.removeItem(atPath: directory.file("encoder"))
    try FileManager.default.removeItem(atPath: directory.file("polyglot"))
    let lineage = try CheckpointManifest(directory: directory.file("ru")).lineage
    #expect(lineage.ancestors.map(\.name) == ["polyglot", "encoder"])
    #expect(lineage.ancestors[0].parents == [lineage.ancestors[1].identity])
    let lines = lineage.text(of: "ru").split(separator: "\n")
    #expect(lines.count == 3 && lines[0] == "ru")
    #expect(lines[1].hasPrefix("  polyglot (identity "))
    #expect(lines[1].contains("stage polyglot, weight_hash 1a2b)"))
    #expect(lines[2].hasPrefix("    encoder (identity "))
  }

  @Test func aCircleOfLiesEnds() throws {
    let directory = try TemporaryDirectory()
    let one = String(repeating: "1", count: 64)
    try SampleModel.write(
      to: directory.file("liar"),
      facts: [
        "parents": [.string(one)],
        "ancestors": [
          ["name": "a\u{1b}[31m", "identity": .string(one), "parents": [.string(one)]]
        ],
      ])
    let text = try CheckpointManifest(directory: directory.file("liar")).lineage.text(of: "liar")
    #expect(text.split(separator: "\n").count == 3 && text.hasSuffix("as above"))
    #expect(!text.contains("\u{1b}"))
  }

  @Test func muchThatIsSaidIsCut() throws {
    let directory = try TemporaryDirectory()
    let ids = (0..<400).map { number in
      String(repeating: "0", count: 60) + String(10000 + number).suffix(4)
    }
    let everyone = JSONValue.array(ids.map { .string($0) })
    try SampleModel.write(
      to: directory.file("liar"),
      facts: [
        "parents": everyone,
        "ancestors": .array(
          ids.map {
            [
              "name": .string(String(repeating: "a", count: 1000)), "identity": .string($0),
              "parents": everyone, "stage": .string(String(repeating: "b", count: 1000)),
            ]
          }),
      ])
    let text = try CheckpointManifest(directory: directory.file("liar")).lineage.text(of: "liar")
    #expect(text.utf8.count < 1 << 25)
    try SampleModel.write(to: directory.file("child"), parents: [directory.file("liar")])
    #expect(
      try Data(contentsOf: URL(filePath: directory.file("child/isogloss.json"))).count < 1 << 24)
  }

  /// A snapshot of the Hub's cache is made of links.
  @Test func aDirectoryOfLinksIsAParentToo() throws {
    let directory = try TemporaryDirectory()
    try SampleModel.write(to: directory.file("blobs"))
    try FileManager.default.createDirectory(
      atPath: directory.file("snapshot"), withIntermediateDirectories: true)
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
      try FileManager.default.createSymbolicLink(
        atPath: directory.file("snapshot/" + name),
        withDestinationPath: directory.file("blobs/" + name))
    }
    try directory.write("not a tensor", to: "snapshot/pointer.safetensors")
    let lineage = try CheckpointLineage(of: [directory.file("snapshot")])
    #expect(lineage.ancestors.map(\.name) == ["snapshot"])
  }
}
