public import Files
import Foundation
import Glibc
public import Tokenizers

/// How the text of a language is packed.
public struct PackingPlan: Sendable {
  /// The language's code, which names the directory of its shards.
  public var language: String
  /// Text files, plain, gzip or Zstandard, in the order in which they are packed.
  public var inputs: [String]
  public var tokenizer: any Tokenizer
  /// Where the language's directory goes.
  public var directory: String
  /// Every how many kept lines one goes to `dev`; 0 for none.
  public var devEvery: Int
  /// Whether lines that were there before are dropped.
  public var dropDuplicates: Bool
  /// After how many ids a shard ends with its line.
  public var shardTokens: Int
  public var threads: Int
  /// Sizes that tests make small.
  package var blockBytes = 1 << 18
  package var sorting = SortingBounds()

  /// - Precondition: `devEvery` is not negative; `shardTokens` and `threads` are at least 1.
  public init(
    language: String, inputs: [String], tokenizer: any Tokenizer, directory: String,
    devEvery: Int = 0, dropDuplicates: Bool = false, shardTokens: Int = 1 << 22, threads: Int = 1
  ) {
    precondition(
      devEvery >= 0 && shardTokens >= 1 && threads >= 1,
      "devEvery \(devEvery), shardTokens \(shardTokens), threads \(threads)")
    self.language = language
    self.inputs = inputs
    self.tokenizer = tokenizer
    self.directory = directory
    self.devEvery = devEvery
    self.dropDuplicates = dropDuplicates
    self.shardTokens = shardTokens
    self.threads = threads
  }
}

/// What came of packing a language.
public struct PackingResult: Sendable {
  public var train: PackedCorpus.Index
  /// Nil if no lines go there.
  public var dev: PackedCorpus.Index?
  /// Whether all was there before, and was left as it is.
  public var wasComplete = false
}

/// How far packing is.
public struct PackingProgress: Sendable {
  public enum Phase: Sendable {
    /// Looking for lines that were there before.
    case hashing
    case packing
  }
  public var phase: Phase
  public var language: String
  /// Of text, those of earlier runs left out.
  public var bytes: Int
  public var lines: Int
  public var tokens: Int
  /// Of the sources' files, from 0 to 1.
  public var share: Double
}

/// A moment in packing at which a test may stop it.
package enum PackingEvent: Sendable {
  case began
  case progress(PackingProgress)
  case duplicatesFound
  case shardFinished
  case journalWritten
  case allShardsFinished
  case devIndexWritten
  case indexWritten
}

/// Packs text into shards, and goes on where an earlier run was stopped.
public enum TextPacker {
  /// Packs a language.
  ///
  /// Files are the same whatever the number of threads, and whether or not runs were stopped in between.
  ///
  /// - Parameter report: Called every block.
  /// - Throws: ``FileError`` that names the file, and line, that is wrong.
  /// - Complexity: Memory does not depend on the length of the text.
  public static func pack(
    _ plan: PackingPlan, report: (PackingProgress) -> Void = { _ in }
  ) throws(FileError) -> PackingResult {
    try pack(plan) { (event) throws(FileError) in
      if case .progress(let progress) = event { report(progress) }
    }
  }

  /// Packs a language; what `event` throws stops it like a crash would.
  package static func pack(
    _ plan: PackingPlan, event: (PackingEvent) throws(FileError) -> Void
  ) throws(FileError) -> PackingResult {
    let place = try PackingDirectory(plan)
    let wanted = try place.plannedIndex(plan)
    if let done = try place.complete(wanted) { return done }
    let journal = try place.journal(wanted)
    try event(.began)
    if plan.dropDuplicates, !OutputFile.exists(place.duplicates) {
      try DuplicateLines.find(plan, to: place, event: event)
      try event(.duplicatesFound)
    }
    var run = try PackingRun(plan, place: place, journal: journal)
    try run.run(event: event)
    return try run.finish(event: event)
  }
}
