/// A sentence cut into words, as a file gives it.
public struct Sentence: Sendable, Equatable {
  /// The words, none of them empty.
  public var words: [String]
  /// One tag a word; empty when the sentence was read without tags.
  public var tags: [String]
  /// The file it stands in, as the caller named it.
  public var path: String
  /// The line of its first word, from 1.
  public var line: Int
  /// How many `-DOCSTART-` rows of the file stand before it: 0 where nothing marks documents.
  public var document: Int32 = 0
  package var rows: Rows

  /// How the words lie on the lines of the file.
  package enum Rows: Sendable, Equatable {
    /// Each word on the line after the word before.
    case following
    /// All words on one line.
    case together
    /// The line of each word less the line of the first.
    case offsets([Int32])
  }

  public init(words: [String], tags: [String] = [], path: String = "", line: Int = 1) {
    self.init(words: words, tags: tags, path: path, line: line, rows: .following)
  }

  package init(words: [String], tags: [String], path: String, line: Int, rows: Rows) {
    precondition(
      tags.isEmpty || tags.count == words.count, "\(tags.count) tags for \(words.count) words")
    self.words = words
    self.tags = tags
    self.path = path
    self.line = line
    self.rows = rows
  }

  /// The line of the word at `index`, from 1.
  public func line(ofWord index: Int) -> Int {
    switch rows {
    case .following: line + index
    case .together: line
    case .offsets(let offsets): line + Int(offsets[index])
    }
  }
}
