package import Files

extension SentenceReader {
  /// The sentences of a CoNLL file: a token a line with its tag, blank lines between sentences.
  ///
  /// - **Columns** are separated by single tabs if any row of the file has one, else by runs of blanks.
  ///   Every row has as many columns as the first.
  /// - **Blank lines** (also of blanks and tabs only), in any number, end a sentence, and so does the
  ///   end of the file, with or without a line feed. Lines may end in CR LF.
  /// - **`-DOCSTART-`** rows end a sentence, begin a document and are left out.
  /// - **Comments** begin with `#`. Since `#` is also a token, such a line is a row, not a comment, if it
  ///   has as many columns as the other rows and its tag column holds a tag (`O`, `B-…`). If
  ///   that column holds something else, the line is a comment if it begins with `#` and a blank
  ///   (`# id 7 domain=en`), and otherwise a row with a wrong tag. With fewer or more columns it is a
  ///   comment. In a file of one column a line `#` or `#word` is a token.
  ///
  /// Without tags (`tagged` false) the same lines are rows, whatever stands in their tag column; if
  /// columns are separated by tabs, a row may then lack it.
  package static func conll(_ file: TextFile, columns: ColumnChoice, tagged: Bool)
    throws(FileError)
    -> [Sentence]
  {
    guard let layout = RowLayout(of: file) else { throw empty(file) }
    let sentences = try conll(file, columns: columns, tagged: tagged, layout)
    guard !sentences.isEmpty else { throw empty(file) }
    return sentences
  }

  /// The sentences of a file, or of a part of one that ends where a sentence does: perhaps none.
  static func conll(
    _ file: TextFile, columns: ColumnChoice, tagged: Bool, _ layout: RowLayout
  ) throws(FileError) -> [Sentence] {
    let rows = RowReader(file: file, columns: columns, tagged: tagged, layout: layout)
    var sentences: [Sentence] = []
    var building = SentenceBuilder(path: file.path)
    var fields: [Range<Int>] = []
    var lines = file.lines
    while let line = lines.next() {
      layout.split(line, of: file.bytes, into: &fields)
      let startsDocument = !fields.isEmpty && rows.isDocumentStart(line, fields)
      if fields.isEmpty || startsDocument {
        if let sentence = building.finish() { sentences.append(sentence) }
        if startsDocument { building.document += 1 }
      } else if !rows.isComment(line, fields) {
        let (word, tag) = try rows.word(fields, line: lines.number)
        building.add(word: word, tag: tag, line: lines.number)
      }
    }
    if let sentence = building.finish() { sentences.append(sentence) }
    return sentences
  }

  static func empty(_ file: TextFile) -> FileError {
    FileError(
      .data, file.path,
      file.bytes.isEmpty
        ? "the file is empty; leave it out or fill it"
        : "holds no sentence, only blank lines or comments; leave it out or fill it")
  }
}

/// Collects the rows of one sentence.
private struct SentenceBuilder {
  let path: String
  private var words: [String] = []
  private var tags: [String] = []
  private var lines: [Int32] = []
  private var first = 0
  var document: Int32 = 0

  init(path: String) { self.path = path }

  mutating func add(word: String, tag: String?, line: Int) {
    if words.isEmpty { first = line }
    words.append(word)
    if let tag { tags.append(tag) }
    lines.append(Int32(clamping: line - first))
  }

  mutating func finish() -> Sentence? {
    guard !words.isEmpty else { return nil }
    defer {
      words = []
      tags = []
      lines.removeAll(keepingCapacity: true)
    }
    let follows = Int(lines[lines.count - 1]) == words.count - 1
    var sentence = Sentence(
      words: words, tags: tags, path: path, line: first,
      rows: follows ? .following : .offsets(lines))
    sentence.document = document
    return sentence
  }
}

/// What separates the columns of a file, and how many there are.
struct RowLayout {
  let tabs: Bool
  let count: Int
  /// The line the count was taken from.
  let line: Int

  /// The layout of a file's rows, or nil if the file has nothing but blank lines.
  ///
  /// Lines that begin with `#` are asked only if there are no others.
  init?(of file: TextFile) {
    var plain: (range: Range<Int>, line: Int)?
    var hashed: (range: Range<Int>, line: Int)?
    var hashedTabbed: (range: Range<Int>, line: Int)?
    var tabbed: (range: Range<Int>, line: Int)?
    var lines = file.lines
    while let line = lines.next() {
      let bytes = file.bytes[line]
      guard !bytes.allSatisfy(isBlank), !beginsDocument(bytes) else { continue }
      if bytes.first == UInt8(ascii: "#") {
        hashed = hashed ?? (line, lines.number)
        if bytes.contains(tab) { hashedTabbed = hashedTabbed ?? (line, lines.number) }
      } else if bytes.contains(tab) {
        tabbed = (line, lines.number)
        break
      } else if plain == nil {
        plain = (line, lines.number)
      }
    }
    guard let sample = tabbed ?? plain ?? hashedTabbed ?? hashed else { return nil }
    tabs = file.bytes[sample.range].contains(tab)
    line = sample.line
    var fields: [Range<Int>] = []
    RowLayout.split(sample.range, of: file.bytes, tabs: tabs, into: &fields)
    count = fields.count
  }

  /// The columns of a line, without blanks around them; none if the line is blank.
  func split(_ line: Range<Int>, of bytes: [UInt8], into fields: inout [Range<Int>]) {
    RowLayout.split(line, of: bytes, tabs: tabs, into: &fields)
  }

  private static func split(
    _ line: Range<Int>, of bytes: [UInt8], tabs: Bool, into fields: inout [Range<Int>]
  ) {
    fields.removeAll(keepingCapacity: true)
    var start = line.lowerBound
    var filled = false
    for place in line.lowerBound...line.upperBound {
      let atEnd = place == line.upperBound
      guard atEnd || (tabs ? bytes[place] == tab : isBlank(bytes[place])) else { continue }
      let field = tabs ? trimmed(start..<place, of: bytes) : start..<place
      if tabs || !field.isEmpty { fields.append(field) }
      if !field.isEmpty { filled = true }
      start = place + 1
    }
    if !filled { fields.removeAll(keepingCapacity: true) }
  }

  private static func trimmed(_ range: Range<Int>, of bytes: [UInt8]) -> Range<Int> {
    var low = range.lowerBound
    var high = range.upperBound
    while low < high, isBlank(bytes[low]) { low += 1 }
    while low < high, isBlank(bytes[high - 1]) { high -= 1 }
    return low..<high
  }
}

/// Tells rows from comments and takes a row's token and tag.
private struct RowReader {
  let file: TextFile
  let columns: ColumnChoice
  let tagged: Bool
  let layout: RowLayout

  func isDocumentStart(_ line: Range<Int>, _ fields: [Range<Int>]) -> Bool {
    if beginsDocument(file.bytes[line]) { return true }
    guard let token = ColumnChoice.place(columns.token, of: fields.count) else { return false }
    return file.bytes[fields[token]].elementsEqual(documentStart)
  }

  func isComment(_ line: Range<Int>, _ fields: [Range<Int>]) -> Bool {
    guard file.bytes[line.lowerBound] == UInt8(ascii: "#") else { return false }
    guard fields.count == layout.count else { return true }
    guard line.count > 1, file.bytes[line.lowerBound + 1] == UInt8(ascii: " ") else { return false }
    guard let tag = ColumnChoice.place(columns.tag, of: fields.count),
      tag != ColumnChoice.place(columns.token, of: fields.count)
    else { return true }
    return TagSpelling(file.bytes[fields[tag]]) == nil
  }

  func word(_ fields: [Range<Int>], line: Int) throws(FileError) -> (String, String?) {
    func error(_ message: String) -> FileError {
      FileError(.data, file.path, line: line, message)
    }
    let separator = layout.tabs ? "tab" : "blank"
    let token = ColumnChoice.place(columns.token, of: fields.count)
    if fields.count != layout.count, tagged || !layout.tabs {
      let counts =
        "\(columnCount(fields.count)) where line \(layout.line) has \(layout.count)"
      let word = SentenceReader.quoted(file.text(fields[0]))
      throw fields.count < layout.count
        ? error(
          "a row without a tag: \(word) stands in \(counts), separated by \(separator)s; add the tag"
        )
        : error(
          "the row of \(word) has \(counts); separate columns by tabs if a token holds blanks")
    }
    guard let token else {
      throw error(
        "the row has \(columnCount(fields.count)) and no token column \(columns.token); choose another column"
      )
    }
    let word = file.text(fields[token])
    guard !word.isEmpty else { throw error("the token is empty; remove the row or fill it") }
    guard tagged else { return (word, nil) }
    guard let tag = ColumnChoice.place(columns.tag, of: fields.count), tag != token,
      !fields[tag].isEmpty
    else {
      throw error(
        "a row without a tag: \(SentenceReader.quoted(word)) has \(columnCount(fields.count)) and nothing in the tag column (\(columns.tag)); write token, \(separator), tag"
      )
    }
    return (word, file.text(fields[tag]))
  }

  private func columnCount(_ count: Int) -> String { count == 1 ? "1 column" : "\(count) columns" }
}

private let tab = UInt8(ascii: "\t")
private let documentStart = Array("-DOCSTART-".utf8)

private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == tab }

private func beginsDocument(_ line: ArraySlice<UInt8>) -> Bool {
  line.starts(with: documentStart)
    && line.dropFirst(documentStart.count).first.map(isBlank) ?? true
}
