import Files
import Foundation
import TestSupport
import Testing
import Tokenizers

/// Tokenizers that strangers send, by the thousand: each is read, and gives ids of its vocabulary, or is refused by one line
/// that names the file and the member or the line. `ISOGLOSS_MUTATIONS=20000 swift test --sanitize=address --filter Hostile` looks at many more, and
/// at every access to memory.
@Suite(.serialized) struct HostileTokenizerTests {
  static let count =
    ProcessInfo.processInfo.environment["ISOGLOSS_MUTATIONS"].flatMap { Int($0) } ?? 1000

  private static let text = "The quick  brown fox\tläuft über 1,234 Zäune. 東京へ行く! ไทย \u{1F600}"
  private static let words =
    text.split(separator: " ").map(String.init) + ["", "\u{301}", "[MASK]"]

  /// The file of a tokenizer that is mutated, and those that lie beside it.
  struct Kind: CustomTestStringConvertible, Sendable {
    var folder: String
    var file: String
    var beside: [String] = []

    var testDescription: String { "\(folder)/\(file)" }
  }

  @Test(arguments: [
    Kind(folder: "cased", file: "tokenizer.json"), Kind(folder: "unigram", file: "tokenizer.json"),
    Kind(folder: "bpe", file: "tokenizer.json"), Kind(folder: "xlmr", file: "tokenizer.json"),
    Kind(folder: "uncased", file: "vocab.txt"),
    Kind(folder: "uncased", file: "tokenizer_config.json", beside: ["vocab.txt"]),
    Kind(folder: "uncased", file: "special_tokens_map.json", beside: ["vocab.txt"]),
    Kind(folder: "sentencepiece", file: "sentencepiece.bpe.model"),
  ])
  func aMutatedTokenizerIsRefusedOrWorks(kind: Kind) throws {
    let folder = NSTemporaryDirectory() + "isogloss-hostile-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func source(_ name: String) throws -> [UInt8] {
      [UInt8](try #require(FileManager.default.contents(atPath: fixture("\(kind.folder)/\(name)"))))
    }
    for name in kind.beside { try Data(source(name)).write(to: URL(filePath: "\(folder)/\(name)")) }
    let whole = try source(kind.file)
    var refused = 0
    for number in 0..<Self.count {
      let bytes: [UInt8]
      if kind.file.hasSuffix(".json") {
        var mutator = JSONMutator(seed: number)
        bytes = mutator.mutate(whole)
      } else {
        var mutator = ByteMutator(seed: number)
        bytes = mutator.mutate(whole)
      }
      try Data(bytes).write(to: URL(filePath: "\(folder)/\(kind.file)"))
      do throws(FileError) {
        var loaded: (any Tokenizer)?
        let peak = try HeapWatch.peakBytes { () throws(FileError) in
          loaded = try TokenizerLoader.load(folder)
        }
        let limit = 32 * max(bytes.count, whole.count) + 1 << 20
        if let peak { #expect(peak <= limit, "mutation \(number): \(peak) bytes of \(limit)") }
        guard let tokenizer = loaded else { preconditionFailure("loaded without a tokenizer") }
        let ids = tokenizer.encode(Self.text) + tokenizer.encode(words: Self.words).joined()
        let specials = [
          tokenizer.specials.start, tokenizer.specials.end, tokenizer.specials.padding,
          tokenizer.specials.unknown, tokenizer.specials.mask ?? 0,
        ]
        let size = tokenizer.vocabularySize
        let outside = (ids + specials).first { $0 < 0 || $0 >= size }
        #expect(outside == nil, "mutation \(number): id \(outside ?? 0) of \(size)")
        for id in ids { _ = tokenizer.piece(of: id) }
      } catch {
        refused += 1
        let line = "\(error)"
        let isOneLine = !line.unicodeScalars.contains { $0.value < 0x20 } && line.utf8.count < 8500
        let isPlaced = error.field != nil || error.line != nil
        #expect(isOneLine && isPlaced && line.hasPrefix(folder), "mutation \(number): \(line)")
      }
    }
    // Most changes hit one piece of many: but some must be refused, or nothing was tested.
    #expect(refused > Self.count / 50, "only \(refused) of \(Self.count) were refused")
  }

  /// Long lists of short values take the most memory a byte. Where they grow by doubling, a count just above a power of
  /// two takes more than the limit.
  @Test(
    .enabled(if: HeapWatch.isOn, "counted with --sanitize=address alone"),
    arguments: ["0", "[0]", "[[0]]", "{\"\":0,\"\":0,\"\":0}"])
  func listsTakeLittleMemory(element: String) throws {
    let folder = NSTemporaryDirectory() + "isogloss-hostile-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let list = "[" + repeatElement(element, count: 1_050_000).joined(separator: ",") + "]"
    try list.write(toFile: folder + "/tokenizer.json", atomically: false, encoding: .utf8)
    let peak = HeapWatch.peakBytes {
      #expect(throws: FileError.self) { _ = try TokenizerLoader.load(folder) }
    }
    let taken = try #require(peak)
    let size = list.utf8.count
    #expect(taken <= 32 * size + 1 << 20, "\(Double(taken) / Double(size)) bytes a byte")
  }
}
