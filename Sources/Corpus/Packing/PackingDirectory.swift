import Files
import Foundation
import Glibc
import Tokenizers

/// Where packing stands; kept beside the shards until they are complete.
struct PackingJournal: Codable {
  static let formatVersion = 1
  var formatVersion = PackingJournal.formatVersion
  /// The index of `train`, without counts and shards.
  var plan: PackedCorpus.Index
  /// The first line that is not packed.
  var position = TextPosition()
  /// The lines before it that were kept.
  var keptLines = 0
  var train = ShardWriter.State()
  var dev = ShardWriter.State()
}

/// The directory of a language, for one process at a time.
final class PackingDirectory {
  let path: String
  var train: String { path + "/train" }
  var dev: String { path + "/dev" }
  /// Of 64-bit numbers: the ordinals of the lines to leave out.
  var duplicates: String { path + "/.duplicates" }
  /// The folder of what is sorted to find them.
  var sorting: String { path + "/.sorting" }
  var journalPath: String { path + "/.progress.json" }
  private let descriptor: Int32

  /// Makes the directory if it is not there, and locks it.
  init(_ plan: PackingPlan) throws(FileError) {
    path = plan.directory + "/" + plan.language
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw FileError(.io, path, "cannot be made: \(error.localizedDescription)")
    }
    descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw OutputFile.failure("opening", path) }
    // File systems that know no locks say so in other ways.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
      throw FileError(.io, path, "is being packed by another process; wait for it to end")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The index of `train` as it will be, without counts and shards.
  func plannedIndex(_ plan: PackingPlan) throws(FileError) -> PackedCorpus.Index {
    var sources: [PackedCorpus.Source] = []
    for input in plan.inputs { sources.append(try PackingDirectory.source(input)) }
    return PackedCorpus.Index(
      language: plan.language, part: "train", vocabularySize: plan.tokenizer.vocabularySize,
      tokenizer: plan.tokenizer.fingerprintText, documentEnd: plan.tokenizer.specials.end,
      shardTokens: plan.shardTokens, devEvery: plan.devEvery, dropDuplicates: plan.dropDuplicates,
      sources: sources)
  }

  private static func source(_ path: String) throws(FileError) -> PackedCorpus.Source {
    let file = try OpenFile(input: path)
    let size = try file.size()
    let sample = 1 << 16
    let ends = try file.read(sample, at: 0) + file.read(sample, at: max(0, size - sample))
    return PackedCorpus.Source(
      name: path.split(separator: "/").last.map(String.init) ?? path, bytes: size,
      checksum: Checksum.crc32(ends.span))
  }

  /// What an earlier run completed, if it was for the same; nil if none was completed.
  func complete(_ wanted: PackedCorpus.Index) throws(FileError) -> PackingResult? {
    let indexPath = train + "/" + PackedCorpus.indexName
    guard OutputFile.exists(indexPath) else { return nil }
    let found = try PackedCorpus(directory: train).index
    try check(found, wanted, in: indexPath)
    let foundDev = wanted.devEvery > 0 ? try PackedCorpus(directory: dev).index : nil
    try removeTraces()
    return PackingResult(train: found, dev: foundDev, wasComplete: true)
  }

  /// Where an earlier run was stopped, if it was for the same, or the beginning.
  func journal(_ wanted: PackedCorpus.Index) throws(FileError) -> PackingJournal {
    guard OutputFile.exists(journalPath) else {
      for part in [train, dev] where OutputFile.exists(part) {
        throw FileError(
          .data, part,
          "is there without a journal or index of packing; remove it, or name another --out")
      }
      try removeTraces()
      let journal = PackingJournal(plan: wanted)
      try write(journal)
      return journal
    }
    let file = try OpenFile(input: journalPath)
    let bytes = try file.read(min(file.size(), 1 << 26), at: 0)
    guard let journal = try? JSONDecoder().decode(PackingJournal.self, from: Data(bytes)),
      journal.formatVersion == PackingJournal.formatVersion
    else {
      throw FileError(
        .data, journalPath, "is no journal that this program reads; remove \(path) to begin anew")
    }
    try check(journal.plan, wanted, in: journalPath)
    // An index of the other part may be there already, and is not true while packing goes on.
    try OutputFile.remove(dev + "/" + PackedCorpus.indexName)
    return journal
  }

  func write(_ journal: PackingJournal) throws(FileError) {
    try OutputFile.replace(journalPath, by: PackedCorpus.json(journal))
  }

  /// Removes what is of use only while packing goes on.
  func removeTraces() throws(FileError) {
    try OutputFile.remove(duplicates)
    try removeSorting()
    try OutputFile.remove(journalPath)
  }

  /// Removes the folder of what is sorted, if it is there.
  func removeSorting() throws(FileError) {
    guard OutputFile.exists(sorting) else { return }
    do {
      try FileManager.default.removeItem(atPath: sorting)
    } catch {
      throw FileError(.io, sorting, "cannot be removed: \(error.localizedDescription)")
    }
  }

  /// Refuses to go on with what was begun for something else.
  private func check(
    _ found: PackedCorpus.Index, _ wanted: PackedCorpus.Index, in file: String
  ) throws(FileError) {
    func differ(_ what: String, _ found: some Equatable, _ wanted: some Equatable)
      throws(FileError)
    {
      let (found, wanted) = ("\(found)", "\(wanted)")
      guard found != wanted else { return }
      throw FileError(
        .data, file,
        "was packed with \(what) \(found), and now it is \(wanted); name another --out, or remove \(path)"
      )
    }
    try differ("the tokenizer", found.tokenizer, wanted.tokenizer)
    try differ("a vocabulary of", found.vocabularySize, wanted.vocabularySize)
    try differ("--dev-every", found.devEvery, wanted.devEvery)
    try differ("--drop-duplicates", found.dropDuplicates, wanted.dropDuplicates)
    try differ("--shard-tokens", found.shardTokens, wanted.shardTokens)
    try differ("the inputs", found.sources.map(\.name), wanted.sources.map(\.name))
    for (old, new) in zip(found.sources, wanted.sources) {
      try differ("a \(new.name) of bytes", old.bytes, new.bytes)
      try differ("a \(new.name) of checksum", old.checksum, new.checksum)
    }
  }
}
