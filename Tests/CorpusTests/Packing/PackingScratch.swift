import Corpus
import Determinism
import Foundation
import Testing
import Tokenizers

/// Gives `body` a new directory, and removes it.
func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory
    .appending(path: "isogloss-packing-\(UUID().uuidString)").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try body(folder)
}

/// The files under a directory that are not hidden, with their bytes.
func files(in folder: String) throws -> [String: Data] {
  var found: [String: Data] = [:]
  for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
    if let data = FileManager.default.contents(atPath: folder + "/" + name),
      (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + name)) == nil
    {
      var isDirectory: ObjCBool = false
      _ = unsafe FileManager.default.fileExists(
        atPath: folder + "/" + name, isDirectory: &isDirectory)
      if !isDirectory.boolValue { found[name] = data }
    }
  }
  return found
}

/// All ids of a packed corpus, shard after shard.
func ids(of directory: String) throws -> [Int32] {
  let corpus = try PackedCorpus(directory: directory)
  var ids: [Int32] = []
  for number in corpus.index.shards.indices {
    let shard = try corpus.shard(number)
    shard.append(0..<shard.count, to: &ids)
  }
  return ids
}

/// Lines of letters, some blank, some there before.
func someText(lines: Int, seed: UInt64 = 1) -> String {
  var random = RandomStream(seed: seed, ["packing"])
  var made: [String] = []
  for _ in 0..<lines {
    switch random.below(10) {
    case 0: made.append(["", " \t", "\r"][random.below(3)])
    case 1 where !made.isEmpty: made.append(made[random.below(made.count)])
    default:
      let words = (0...random.below(5)).map { _ in
        String(
          (0...random.below(6)).map { _ in Character(["a", "b", "c", "é", "_"][random.below(5)]) })
      }
      made.append(words.joined(separator: " "))
    }
  }
  return made.joined(separator: "\n") + "\n"
}

/// What packing has to come to, worked out in the plainest way: the ids of `train` and of `dev`.
func expectedIds(
  _ texts: [String], tokenizer: any Tokenizer, devEvery: Int = 0, dropDuplicates: Bool = false
) -> (train: [Int32], dev: [Int32], duplicates: Int) {
  var parts: [[Int32]] = [[], []]
  var open = [false, false]
  var seen: Set<String> = []
  var (kept, duplicates) = (0, 0)
  func end() {
    for part in 0..<2 where open[part] {
      parts[part].append(tokenizer.specials.end)
      open[part] = false
    }
  }
  for text in texts {
    // Bytes, since a carriage return and a line feed are one Character.
    var lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { String(Substring($0)) }
    if lines.last == "" { lines.removeLast() }
    for line in lines {
      if line.utf8.allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) {
        end()
        continue
      }
      let bytes = Array(line.utf8)
      let line = bytes.last == 0x0D ? String(decoding: bytes.dropLast(), as: UTF8.self) : line
      if dropDuplicates, !seen.insert(line).inserted {
        duplicates += 1
        continue
      }
      kept += 1
      let part = devEvery > 0 && kept % devEvery == 0 ? 1 : 0
      let ids = tokenizer.encode(line)
      parts[part] += ids
      if !ids.isEmpty { open[part] = true }
    }
    end()
  }
  return (parts[0], parts[1], duplicates)
}

/// A plan whose blocks, and what is sorted at a time, are small.
func smallPlan(
  _ inputs: [String], to directory: String, tokenizer: any Tokenizer = LetterTokenizer(),
  devEvery: Int = 0, dropDuplicates: Bool = false, shardTokens: Int = 100, threads: Int = 1
) -> PackingPlan {
  var plan = PackingPlan(
    language: "xx", inputs: inputs, tokenizer: tokenizer, directory: directory,
    devEvery: devEvery, dropDuplicates: dropDuplicates, shardTokens: shardTokens, threads: threads)
  plan.blockBytes = 64
  plan.sorting.memoryBytes = 24 * 8
  plan.sorting.openFiles = 3
  plan.sorting.fileBytes = 48
  return plan
}
