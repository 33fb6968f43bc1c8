import Corpus
import Files
import Foundation
import Testing
import Tokenizers

@Suite struct DamagedShardTests {
  /// A corpus of three shards in a directory that is removed afterwards.
  private func corpus<Result>(_ body: (String) throws -> Result) throws -> Result {
    try withFolder { folder in
      let documents = (0..<30).map { document in
        (0..<4).map { line in (0..<(line + 3)).map { Int32(4 + ($0 + document) % 26) } }
      }
      try PackedCorpus.write(
        documents, to: folder + "/train", tokenizer: LetterTokenizer(), shardTokens: 200)
      #expect(try PackedCorpus(directory: folder + "/train").index.shards.count == 3)
      #expect(try ids(of: folder + "/train") == documents.flatMap { $0.flatMap { $0 } + [1] })
      return try body(folder + "/train")
    }
  }

  private func failure(_ directory: String) throws -> FileError {
    try #require(throws: FileError.self) { try ids(of: directory) }
  }

  @Test func everyAlteredByteIsRefusedByName() throws {
    try corpus { directory in
      let path = directory + "/00001.tokens"
      let whole = try Data(contentsOf: URL(filePath: path))
      for place in 0..<whole.count {
        var damaged = whole
        damaged[place] ^= 1 << (place % 8)
        try damaged.write(to: URL(filePath: path))
        let error = try failure(directory)
        #expect(error.path == path, "byte \(place)")
        #expect(error.code == .data)
      }
      try whole.write(to: URL(filePath: path))
      _ = try ids(of: directory)
    }
  }

  @Test func everyTruncatedShardIsRefusedByName() throws {
    try corpus { directory in
      let path = directory + "/00002.tokens"
      let whole = try Data(contentsOf: URL(filePath: path))
      for count in 0..<whole.count {
        try whole.prefix(count).write(to: URL(filePath: path))
        #expect(try failure(directory).path == path, "\(count) bytes")
      }
      try (whole + [0]).write(to: URL(filePath: path))
      #expect(try failure(directory).path == path)
      try FileManager.default.removeItem(atPath: path)
      let error = try failure(directory)
      #expect(error.path == path && error.code == .missing)
    }
  }

  @Test func shardsThatChangedPlacesAreRefused() throws {
    try corpus { directory in
      let (first, second) = (directory + "/00000.tokens", directory + "/00001.tokens")
      try FileManager.default.moveItem(atPath: first, toPath: directory + "/other")
      try FileManager.default.moveItem(atPath: second, toPath: first)
      try FileManager.default.moveItem(atPath: directory + "/other", toPath: second)
      #expect(try failure(directory).path == first)
    }
  }

  @Test func anIndexThatLiesIsRefused() throws {
    try corpus { directory in
      let path = directory + "/index.json"
      let text = try String(contentsOfFile: path, encoding: .utf8)
      let tokens = try PackedCorpus(directory: directory).index.shards[0].tokens
      let changes = [
        ("\"formatVersion\" : 1", "\"formatVersion\" : 2", "version 2"),
        ("00000.tokens", "../00000.tokens", "is named \"../00000.tokens\""),
        ("00000.tokens", "/etc/passwd", "is named \"/etc/passwd\""),
        ("00000.tokens", "00001.tokens", "is named \"00001.tokens\""),
        ("\"tokens\" : \(tokens)", "\"tokens\" : 9223372036854775807", "impossible counts"),
        ("\"tokens\" : \(tokens)", "\"tokens\" : -1", "impossible counts"),
        ("\"tokens\" : \(tokens)", "\"tokens\" : \(tokens + 1)", "the shards have"),
        ("\"tokens\" : \(tokens)", "\"tokens\" : 1e99", "damaged"),
        ("\"vocabularySize\" : 30", "\"vocabularySize\" : 0", "vocabularySize is 0"),
        ("\"vocabularySize\" : 30", "\"vocabularySize\" : 9223372036854775807", "vocabularySize"),
        ("\"documentEnd\" : 1", "\"documentEnd\" : 30", "documentEnd is 30"),
        ("\"documentEnd\" : 1", "\"documentEnd\" : -1", "documentEnd is -1"),
        ("\"counts\"", "\"accounts\"", "'counts' is missing"),
        ("{", "[", "no index"),
      ]
      for (old, new, message) in changes {
        let changed = text.replacing(old, with: new, maxReplacements: 1)
        #expect(changed != text, "\(old)")
        try Data(changed.utf8).write(to: URL(filePath: path))
        let error = try failure(directory)
        #expect(error.path == path && error.code == .data)
        #expect(error.message.contains(message), "\(error)")
      }
      for count in [0, 1, text.utf8.count / 2] {
        try Data(text.utf8.prefix(count)).write(to: URL(filePath: path))
        #expect(try failure(directory).path == path)
      }
      // Another vocabulary, of which the ids are.
      let other = text.replacing("\"vocabularySize\" : 30", with: "\"vocabularySize\" : 31")
      try Data(other.utf8).write(to: URL(filePath: path))
      #expect(try failure(directory).path == directory + "/00000.tokens")
      try FileManager.default.removeItem(atPath: path)
      #expect(try failure(directory).code == .missing)
    }
  }

  @Test func fingerprintsTellVocabulariesAndShardsApart() throws {
    struct Other: Tokenizer {
      var vocabularySize: Int { 30 }
      var specials: SpecialTokens { LetterTokenizer().specials }
      var files: [(name: String, bytes: [UInt8])] { [] }
      func encode(_ text: String) -> [Int32] { [] }
      func encode(words: [String]) -> [[Int32]] { [] }
      func piece(of id: Int32) -> String { id == 29 ? "x" : "\(id)" }
    }
    #expect(Other().fingerprint != LetterTokenizer().fingerprint)
    #expect(LetterTokenizer().fingerprint == LetterTokenizer().fingerprint)
    try withFolder { folder in
      func fingerprint(_ name: String, _ ids: [Int32]) throws -> UInt64 {
        try PackedCorpus.write([[ids]], to: folder + "/" + name, tokenizer: LetterTokenizer())
        let corpus = try PackedCorpus(directory: folder + "/" + name)
        return corpus.fingerprint
      }
      let first = try fingerprint("a", [4, 5])
      #expect(try first == fingerprint("b", [4, 5]))
      #expect(try first != fingerprint("c", [5, 4]))
    }
  }
}
