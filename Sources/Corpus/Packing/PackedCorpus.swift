import Determinism
public import Files
import Foundation
import Tokenizers

/// What `isogloss data pack` made of one language's text: shards of token ids.
///
/// A document is the pieces of its lines, one after the other, and then ``Index/documentEnd``. A document
/// that was cut at the end of a shard goes on in the next one.
public struct PackedCorpus: Sendable {
  /// What the index tells of a shard.
  public struct Shard: Sendable, Equatable, Codable {
    /// The file's name in the directory: `00000.tokens`.
    public var name: String
    /// The ids, those that end documents included.
    public var tokens: Int
    /// The documents that end in this shard.
    public var documents: Int
    public var lines: Int
    /// CRC-32 of the ids' bytes.
    public var checksum: UInt32
  }

  /// How much text was packed.
  public struct Counts: Sendable, Equatable, Codable {
    /// The lines that are not blank and were kept.
    public var lines = 0
    /// The parts between blank lines that have a piece.
    public var documents = 0
    /// The runs of bytes between ASCII white space.
    public var words = 0
    /// All ids: pieces, and one a document.
    public var tokens = 0
    /// The pieces that are the unknown one.
    public var unknownTokens = 0
    /// The lines that were dropped because they were there before; of the whole text, told with `train`.
    public var duplicateLines = 0
    /// The UTF-8 bytes of the kept lines, without their ends.
    public var bytes = 0

    public init() {}
  }

  /// A file that was packed.
  public struct Source: Sendable, Equatable, Codable {
    /// The last component of its path.
    public var name: String
    /// Its size as it lies there, compressed or not.
    public var bytes: Int
    /// CRC-32 of its first and last 64 KiB.
    public var checksum: UInt32
  }

  /// The content of `index.json`.
  public struct Index: Sendable, Equatable, Codable {
    public static let formatVersion = 1

    public var formatVersion = Index.formatVersion
    /// The language's code.
    public var language: String
    /// `train` or `dev`.
    public var part: String
    public var vocabularySize: Int
    /// The tokenizer's fingerprint, 16 hexadecimal digits.
    public var tokenizer: String
    /// The id that ends every document.
    public var documentEnd: Int32
    /// After how many ids a shard ends with its line.
    public var shardTokens: Int
    /// Every how many kept lines one goes to `dev`; 0 if none does.
    public var devEvery: Int
    /// Whether lines that were there before were dropped.
    public var dropDuplicates: Bool
    public var sources: [Source]
    public var counts = Counts()
    public var shards: [Shard] = []
  }

  /// The name of the file that makes a directory a packed corpus.
  public static let indexName = "index.json"
  /// No index of a corpus that fits on disks is larger.
  private static let indexByteLimit = 256 << 20

  public let directory: String
  public let index: Index

  /// Reads the index and compares the sizes of the shards' files; does not read those.
  ///
  /// - Throws: ``FileError``: `missing` if there is no index or a shard is not there, `data` that names
  ///   the file if one is not what it should be.
  public init(directory: String) throws(FileError) {
    self.directory = directory
    index = try PackedCorpus.readIndex(directory + "/" + PackedCorpus.indexName)
    for shard in index.shards {
      let path = directory + "/" + shard.name
      let size = try OpenFile(input: path).size()
      let told = PackedCorpus.fileBytes(
        tokens: shard.tokens, vocabularySize: index.vocabularySize)
      guard size == told else {
        throw FileError(
          .data, path,
          "has \(size) bytes where index.json tells of \(told ?? 0); copy it again or pack the text again"
        )
      }
    }
  }

  /// Maps a shard and checks all of it: header, checksum, and that each id is of the vocabulary.
  ///
  /// - Precondition: `number` is in `0 ..< index.shards.count`.
  /// - Throws: ``FileError`` that names the file.
  public func shard(_ number: Int) throws(FileError) -> TokenShard {
    precondition(index.shards.indices.contains(number), "shard \(number) of \(index.shards.count)")
    let shard = index.shards[number]
    return try TokenShard(
      path: directory + "/" + shard.name, expected: shard, vocabularySize: index.vocabularySize,
      documentEnd: index.documentEnd)
  }

  /// A number that other shards are not likely to have: of the vocabulary and the shards in their order.
  public var fingerprint: UInt64 {
    var hash = FNV1a()
    for byte in index.tokenizer.utf8 { hash.add(byte: byte) }
    hash.add(word: UInt64(index.vocabularySize))
    hash.add(word: UInt64(bitPattern: Int64(index.documentEnd)))
    for shard in index.shards {
      for byte in shard.name.utf8 { hash.add(byte: byte) }
      for number in [shard.tokens, shard.documents, shard.lines, Int(shard.checksum)] {
        hash.add(word: UInt64(bitPattern: Int64(number)))
      }
    }
    return hash.value
  }

  /// The size of a shard's file; nil if there is no such number.
  static func fileBytes(tokens: Int, vocabularySize: Int) -> Int? {
    let (bytes, isTooMuch) = tokens.multipliedReportingOverflow(
      by: ShardHeader.elementBytes(vocabularySize: vocabularySize))
    let (size, isTooLarge) = bytes.addingReportingOverflow(ShardHeader.byteCount)
    return isTooMuch || isTooLarge ? nil : size
  }

  // MARK: index.json

  static func readIndex(_ path: String) throws(FileError) -> Index {
    let file = try OpenFile(input: path)
    let size = try file.size()
    guard size <= indexByteLimit else {
      throw FileError(.data, path, "has \(size) bytes, which no index of a packed corpus has")
    }
    guard let bytes = FileManager.default.contents(atPath: path) else {
      throw FileError(.io, path, "cannot be read; check the disk")
    }
    struct Version: Decodable { var formatVersion: Int }
    let decoder = JSONDecoder()
    guard let version = try? decoder.decode(Version.self, from: bytes) else {
      throw FileError(.data, path, "is no index of a packed corpus; pack the text again")
    }
    guard version.formatVersion == Index.formatVersion else {
      throw FileError(
        .data, path,
        "is an index of version \(version.formatVersion), and this program reads version \(Index.formatVersion); use the program that wrote it, or pack the text again"
      )
    }
    let index: Index
    do {
      index = try decoder.decode(Index.self, from: bytes)
    } catch {
      throw FileError(
        .data, path, "is damaged (\(PackedCorpus.member(of: error))); pack the text again")
    }
    if let problem = index.problem {
      throw FileError(.data, path, "\(problem); pack the text again")
    }
    return index
  }

  /// Which member of a JSON text is missing or of the wrong kind.
  private static func member(of error: any Error) -> String {
    guard let error = error as? DecodingError else { return "not JSON" }
    switch error {
    case .keyNotFound(let key, _): return "'\(key.stringValue)' is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      return "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' is of a wrong kind"
    case .dataCorrupted(let context):
      let path = context.codingPath.map(\.stringValue).joined(separator: ".")
      return path.isEmpty ? "not JSON" : "'\(path)' is wrong"
    @unknown default: return "not JSON"
    }
  }
}

extension PackedCorpus.Index {
  /// What cannot be; nil if the index agrees with itself.
  var problem: String? {
    guard (1...Int(Int32.max)) ~= vocabularySize else {
      return "vocabularySize is \(vocabularySize)"
    }
    guard documentEnd >= 0, documentEnd < vocabularySize else {
      return "documentEnd is \(documentEnd), of a vocabulary of \(vocabularySize)"
    }
    guard tokenizer.utf8.count == 16, tokenizer.allSatisfy(\.isHexDigit) else {
      return "tokenizer is not 16 hexadecimal digits"
    }
    guard shardTokens > 0, devEvery >= 0 else {
      return "shardTokens is \(shardTokens) and devEvery \(devEvery)"
    }
    let all = [
      counts.lines, counts.documents, counts.words, counts.tokens, counts.unknownTokens,
      counts.duplicateLines, counts.bytes,
    ]
    // No text has more; and sums over corpora stay numbers.
    guard all.allSatisfy({ (0...1 << 56).contains($0) }), sources.allSatisfy({ $0.bytes >= 0 })
    else {
      return "a count is negative, or more than any text has"
    }
    var sum = (tokens: 0, documents: 0, lines: 0)
    for (number, shard) in shards.enumerated() {
      // The one name that the writer gives: no name leads out of the directory.
      guard shard.name == PackedCorpus.shardName(number) else {
        return
          "shard \(number) is named \(shard.name.debugDescription) where it should be '\(PackedCorpus.shardName(number))'"
      }
      guard shard.tokens > 0, (0...shard.tokens) ~= shard.documents, shard.lines >= 0,
        PackedCorpus.fileBytes(tokens: shard.tokens, vocabularySize: vocabularySize) != nil
      else { return "\(shard.name) has impossible counts" }
      let tokens = sum.tokens.addingReportingOverflow(shard.tokens)
      let lines = sum.lines.addingReportingOverflow(shard.lines)
      guard !tokens.overflow, !lines.overflow else { return "\(shard.name) has impossible counts" }
      sum = (tokens.partialValue, sum.documents + shard.documents, lines.partialValue)
    }
    guard sum == (counts.tokens, counts.documents, counts.lines) else {
      return
        "the shards have \(sum.tokens) tokens, \(sum.documents) documents and \(sum.lines) lines, the counts \(counts.tokens), \(counts.documents) and \(counts.lines)"
    }
    return nil
  }
}

extension PackedCorpus {
  /// `00000.tokens`, `00001.tokens`, …
  static func shardName(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".tokens"
  }
}
