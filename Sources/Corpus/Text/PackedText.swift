import Determinism
public import Files
public import Tokenizers

/// One language's text of a run: one or several packed corpora, one after the other.
public struct PackedText: Sendable {
  public let corpora: [PackedCorpus]

  /// Reads the indices of packed directories.
  ///
  /// - Parameter tokenizer: What the run encodes with: text packed by another one is refused.
  /// - Throws: ``FileError`` naming the directory, or the shard, that is missing or damaged.
  public init(directories: [String], tokenizer: some Tokenizer) throws(FileError) {
    let fingerprint = tokenizer.fingerprint
    var corpora: [PackedCorpus] = []
    for directory in directories {
      let corpus = try PackedCorpus(directory: directory)
      guard UInt64(corpus.index.tokenizer, radix: 16) == fingerprint else {
        throw FileError(
          .data, directory,
          "was packed with another tokenizer than the run's; pack the text with the run's")
      }
      guard corpus.index.vocabularySize == tokenizer.vocabularySize,
        corpus.index.documentEnd == tokenizer.specials.end
      else {
        throw FileError(
          .data, directory + "/" + PackedCorpus.indexName,
          "tells of another vocabulary than its tokenizer's; pack the text again")
      }
      corpora.append(corpus)
    }
    self.corpora = corpora
  }

  public var tokenCount: Int { corpora.reduce(0) { $0 + $1.index.counts.tokens } }

  public var documentCount: Int { corpora.reduce(0) { $0 + $1.index.counts.documents } }

  public var shardCount: Int { corpora.reduce(0) { $0 + $1.index.shards.count } }

  /// Where it lies, for messages.
  public var path: String { corpora.map(\.directory).joined(separator: ", ") }

  /// A shard, counted over all corpora.
  public func shard(_ number: Int) throws(FileError) -> TokenShard {
    var rest = number
    for corpus in corpora {
      if rest < corpus.index.shards.count { return try corpus.shard(rest) }
      rest -= corpus.index.shards.count
    }
    preconditionFailure("shard \(number) of \(shardCount)")
  }

  /// Equal for equal text.
  public var fingerprint: UInt64 {
    var hash = FNV1a()
    for corpus in corpora { hash.add(word: corpus.fingerprint) }
    return hash.value
  }
}
