import Checkpoints
import Determinism
import Files
import Foundation
import TestSupport
import Testing

/// Files that strangers send, by the thousand: each is read, or refused by one line that says what is wrong in which file, in
/// little memory. `ISOGLOSS_MUTATIONS=200000 swift test --sanitize=address --filter Hostile` looks at many more, at
/// every access to memory, and at what is allocated.
@Suite(.serialized) struct HostileFilesTests {
  static let count =
    ProcessInfo.processInfo.environment["ISOGLOSS_MUTATIONS"].flatMap { Int($0) } ?? 4000

  private static let header = """
    {"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},\
    "b":{"dtype":"BF16","shape":[5],"data_offsets":[24,34]},\
    "c":{"dtype":"I64","shape":[],"data_offsets":[34,42]},\
    "d":{"dtype":"U8","shape":[0,7],"data_offsets":[42,42]}}
    """

  /// Runs `read` on `Self.count` mutations of a text that `write` has put in place.
  private func mutations(
    of seeds: [[UInt8]], _ seed: Int, write: ([UInt8]) throws -> Void,
    read: () throws(FileError) -> Void
  ) throws {
    var refused = 0
    for number in 0..<Self.count {
      var mutator = JSONMutator(seed: seed + number)
      let bytes = mutator.mutate(seeds[number % seeds.count])
      try write(bytes)
      let limit = 32 * bytes.count + 1 << 20
      do throws(FileError) {
        let peak = try HeapWatch.peakBytes(read)
        if let peak { #expect(peak <= limit, "mutation \(seed + number): \(peak) bytes") }
      } catch {
        refused += 1
        let line = "\(error)"
        let isOneLine = !line.unicodeScalars.contains { $0.value < 0x20 } && line.utf8.count < 4000
        let isPlaced =
          error.field != nil || line.contains("at byte") || error.code != .data
          || line.contains("is not a JSON object") || line.contains("over the limit")
        #expect(isOneLine && isPlaced, "mutation \(seed + number): \(line)")
      }
    }
    // Mutations that leave nothing to refuse would test nothing.
    #expect(refused > Self.count / 2, "only \(refused) of \(Self.count) were refused")
  }

  /// Where nothing counted, the limits would hold for anything.
  @Test(.enabled(if: HeapWatch.isOn, "counted with --sanitize=address alone"))
  func whatIsAllocatedIsCounted() {
    let peak = HeapWatch.peakBytes {
      let bytes = [UInt8](repeating: 1, count: 1 << 20)
      #expect(bytes.reduce(0) { $0 + Int($1) } == 1 << 20)
    }
    #expect(peak.map { $0 >= 1 << 20 && $0 < 1 << 21 } == true)
  }

  /// Long lists of short values take the most memory a byte. Where they grow by doubling, a count just above a power of
  /// two takes more than the limit.
  @Test(
    .enabled(if: HeapWatch.isOn, "counted with --sanitize=address alone"),
    arguments: ["0", "[]", "[0]", "[[0]]", "[0,0,0,0,0]", "{\"\":0}"])
  func listsTakeLittleMemory(element: String) throws {
    let list = "[" + repeatElement(element, count: 1_050_000).joined(separator: ",") + "]"
    let bytes = Array(list.utf8)
    let peak = try HeapWatch.peakBytes { () throws(FileError) in
      guard case .array(let values) = try JSONValue(parsing: bytes, path: "a list") else { return }
      #expect(values.count == 1_050_000)
    }
    let taken = try #require(peak)
    #expect(
      taken <= 32 * bytes.count + 1 << 20, "\(Double(taken) / Double(bytes.count)) bytes a byte")
  }

  @Test func safetensorsHeaders() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("model.safetensors")
    var random = RandomStream(seed: 1, "lengths")
    try mutations(of: [Array(Self.header.utf8)], 0) { header in
      var length = UInt64(header.count)
      // Lengths that lie, now and then.
      if random.below(10) == 0 { length = UInt64(truncatingIfNeeded: random.below(1 << 40)) }
      let prefix = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
      let data = [UInt8](repeating: 7, count: random.below(20) == 0 ? random.below(60) : 42)
      try directory.write(prefix + header + data, to: "model.safetensors")
    } read: { () throws(FileError) in
      let file = try SafetensorsFile(path)
      for tensor in file.tensors {
        let sum = try file.withBytes(of: tensor.name) { bytes in
          (0..<bytes.byteCount).reduce(0) {
            unsafe $0 + Int(bytes.unsafeLoad(fromByteOffset: $1, as: UInt8.self))
          }
        }
        #expect(sum >= 0)
      }
    }
  }

  @Test func indexFiles() throws {
    let directory = try TemporaryDirectory()
    for name in ["one", "two"] {
      try SafetensorsWriter.write(
        to: directory.file("\(name).safetensors"), [.init("\(name).weight", [3])]
      ) { (writer) throws(FileError) in
        try writer.append("\(name).weight", ([1, 2, 3] as [Float]).span)
      }
    }
    try FileManager.default.createSymbolicLink(
      atPath: directory.file("link"), withDestinationPath: "/etc/passwd")
    let index = """
      {"metadata": {"total_size": 24}, "weight_map": {"one.weight": "one.safetensors", \
      "two.weight": "two.safetensors"}}
      """
    try mutations(of: [Array(index.utf8)], 1 << 32) { bytes in
      try directory.write(bytes, to: "model.safetensors.index.json")
    } read: { () throws(FileError) in
      let weights = try CheckpointWeights(directory: directory.path)
      for file in weights.files { #expect(file.path.hasPrefix(directory.path + "/")) }
    }
  }

  @Test func configs() throws {
    let directory = try TemporaryDirectory()
    var config = HuggingFaceConfig(.xlmRoberta)
    config.labels = ["O", "B-PER", "I-PER"]
    config.architectures = ["XLMRobertaForTokenClassification"]
    let seeds = [config, HuggingFaceConfig(.bert)].map { Array($0.json.text.utf8) }
    try mutations(of: seeds, 2 << 32) { bytes in
      try directory.write(bytes, to: "config.json")
    } read: { () throws(FileError) in
      let config = try HuggingFaceConfig(directory: directory.path)
      #expect(config.hiddenSize % config.headCount == 0)
    }
  }

  @Test func manifestsSignaturesAndRecipes() throws {
    let directory = try TemporaryDirectory()
    let model = directory.file("model")
    try SampleModel.write(
      to: model, tensors: [.init("a", [3])], facts: ["stage": "x"])
    let manifest = try Data(contentsOf: URL(filePath: model + "/isogloss.json"))
    try SigningKey.generate(at: directory.file("key"))
    try CheckpointSignatures.sign(
      model, with: SigningKey(path: directory.file("key"), notIn: model))
    let signatures = try Data(contentsOf: URL(filePath: model + "/isogloss.sig"))
    let store = try CheckpointStore(directory.file("store"), creating: true)
    _ = try store.push(model, as: "model")
    let recipe = try Data(contentsOf: URL(filePath: directory.file("store/refs/model.json")))

    try mutations(of: [Array(manifest)], 3 << 32) { bytes in
      try directory.write(bytes, to: "model/isogloss.json")
    } read: { () throws(FileError) in
      let manifest = try CheckpointDirectory.verify(model)
      #expect(!manifest.lineage.text(of: "model").contains("\u{1b}"))
      #expect(!ModelCard(name: "model", facts: manifest.facts).text().isEmpty)
    }
    try manifest.write(to: URL(filePath: model + "/isogloss.json"))
    try mutations(of: [Array(signatures)], 4 << 32) { bytes in
      try directory.write(bytes, to: "model/isogloss.sig")
    } read: { () throws(FileError) in
      try CheckpointDirectory.verify(
        model, signedBy: VerifyingKey(path: directory.file("key.pub")))
    }
    var number = 0
    try mutations(of: [Array(recipe)], 5 << 32) { bytes in
      try directory.write(bytes, to: "store/refs/model.json")
      number += 1
    } read: { () throws(FileError) in
      try store.pull("model", to: directory.file("out-\(number)"))
    }
  }
}
