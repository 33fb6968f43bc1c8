package import Files
import Foundation
package import Tokenizers

extension PackedCorpus {
  /// Writes documents that are ids already, each a list of lines, without the ids that end them.
  ///
  /// For texts that are made in memory; `directory` must not be there.
  ///
  /// - Parameter shardTokens: After how many ids a shard ends with its line.
  /// - Throws: ``FileError`` of code `io`.
  package static func write(
    _ documents: [[[Int32]]], to directory: String, language: String = "en",
    part: String = "train", tokenizer: any Tokenizer, shardTokens: Int = 1 << 22
  ) throws(FileError) {
    let plan = Index(
      language: language, part: part, vocabularySize: tokenizer.vocabularySize,
      tokenizer: tokenizer.fingerprintText, documentEnd: tokenizer.specials.end,
      shardTokens: shardTokens, devEvery: 0, dropDuplicates: false, sources: [])
    try OutputFile.makeDirectory(directory)
    let writer = try ShardWriter(directory: directory, plan: plan, state: .init())
    for document in documents {
      for line in document {
        if writer.isFull { try writer.finishShard() }
        let unknown = line.count { $0 == tokenizer.specials.unknown }
        try writer.append(line.span, of: EncodedLine(unknownTokens: unknown))
      }
      writer.endDocument()
    }
    try writer.finish()
    try writeIndex(writer.index(), to: directory)
  }

  /// Writes `index.json`, which makes the directory a packed corpus.
  static func writeIndex(_ index: Index, to directory: String) throws(FileError) {
    try OutputFile.replace(directory + "/" + indexName, by: json(index))
  }

  /// The bytes of a value as JSON, the same on every machine: keys in order, two blanks a level.
  static func json(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let bytes = try? encoder.encode(value) else {
      preconditionFailure("a value that JSON cannot hold")
    }
    return Array(bytes) + [UInt8(ascii: "\n")]
  }
}

extension Tokenizer {
  /// The fingerprint as 16 hexadecimal digits.
  package var fingerprintText: String {
    let digits = String(fingerprint, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
