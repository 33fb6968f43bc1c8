public import Files

/// The form of a file of counts: a line `# {…}` that says whose they are, a line of column names, a line a sentence, all
/// columns separated by tabs. Tools that skip lines behind `#` read it as a table. It may be compressed.
extension SentenceCounts {
  static let format = "isogloss counts 1"
  private static let typeLimit = 1_000
  private static let valueLimit = Int(UInt32.max)

  /// The file as text.
  public var text: String {
    var facts = JSONObject()
    facts["format"] = .init(Self.format)
    facts["system"] = .init(origin.system)
    facts["stage"] = .init(origin.stage)
    if let seed = origin.seed { facts["seed"] = .init(seed) }
    facts["language"] = .init(origin.language)
    facts["part"] = .init(origin.part)
    facts["trained"] = .array(origin.trained.map { .init($0) })
    if origin.tries > 1 { facts["tries"] = .init(origin.tries) }
    if origin.isTry { facts["is_try"] = true }
    facts["types"] = .array(types.map { .init($0) })
    facts["confusions"] = .array(
      confusions.map { [.init($0.gold), .init($0.predicted), .init($0.count)] })
    facts["sentences"] = .init(sentences)
    var text = "# " + JSONValue.object(facts).compactText + "\n"
    let names =
      Column.allCases.map(\.name)
      + types.flatMap { type in
        TypeColumn.allCases.map { "\(printable(type, limit: 100)).\($0.name)" }
      }
    text += names.joined(separator: "\t") + "\n"
    for sentence in 0..<sentences {
      text +=
        values[sentence * width..<(sentence + 1) * width].map(String.init)
        .joined(separator: "\t") + "\n"
    }
    return text
  }

  /// Reads a file that ``text`` was written to.
  ///
  /// - Throws: ``FileError`` with the line that is wrong.
  public init(reading path: String) throws(FileError) {
    let file = try TextFile(reading: path)
    func wrong(_ line: Int, _ message: String) -> FileError {
      FileError(.data, path, line: line, message)
    }
    var lines = file.lines
    guard let first = lines.next(), file.bytes[first].starts(with: "# ".utf8) else {
      throw wrong(1, "is not a file of counts, which begins with # and an object")
    }
    let facts = try JSONValue(parsing: Array(file.bytes[first].dropFirst(2)), path: path)
    guard facts["format"]?.string == Self.format else {
      throw wrong(1, "is not of the format '\(Self.format)'")
    }
    // Names are printed on terminals.
    func isPlain(_ name: String) -> Bool { printable(name, limit: 1000) == name }
    func text(_ name: String) throws(FileError) -> String {
      guard let value = facts[name]?.string else { throw wrong(1, "lacks \(name)") }
      guard isPlain(value) else { throw wrong(1, "has a \(name) with invisible characters") }
      return value
    }
    func texts(_ name: String) throws(FileError) -> [String] {
      guard let values = facts[name]?.array, values.count <= Self.typeLimit,
        values.allSatisfy({ $0.string != nil })
      else { throw wrong(1, "lacks \(name), a list of names") }
      let names = values.compactMap(\.string)
      guard names.allSatisfy(isPlain) else {
        throw wrong(1, "has \(name) with invisible characters")
      }
      return names
    }
    let types = try texts("types")
    guard Set(types.map { Array($0.utf8) }).count == types.count else {
      throw wrong(1, "names a type twice")
    }
    var confusions: [Confusion] = []
    for entry in facts["confusions"]?.array ?? [] {
      guard let parts = entry.array, parts.count == 3, let gold = parts[0].string,
        let predicted = parts[1].string, let count = parts[2].int, count >= 0,
        count <= Self.valueLimit
      else { throw wrong(1, "has a confusion that is not gold type, predicted type, count") }
      confusions.append(Confusion(gold: gold, predicted: predicted, count: count))
    }
    guard lines.next() != nil else { throw wrong(2, "lacks the line of column names") }
    let width = Self.width(types: types.count)
    var values: [Int] = []
    var sentences = 0
    while let line = lines.next() {
      let start = values.count
      for field in file.bytes[line].split(
        separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
      {
        guard let value = Int(String(decoding: field, as: UTF8.self)), value >= 0,
          value <= Self.valueLimit
        else {
          throw wrong(
            lines.number,
            "holds '\(printable(String(decoding: field, as: UTF8.self), limit: 40))' where a count belongs"
          )
        }
        values.append(value)
      }
      guard values.count - start == width else {
        throw wrong(lines.number, "has \(values.count - start) columns and not \(width)")
      }
      sentences += 1
    }
    // Documents are counted from 0, and none is empty.
    let documents = stride(from: Column.document.rawValue, to: values.count, by: width)
    if let place = documents.first(where: { values[$0] >= sentences }) {
      throw wrong(
        place / width + 3, "is of document \(values[place]), and there are \(sentences) sentences")
    }
    guard facts["sentences"]?.int == sentences else {
      throw wrong(
        1,
        "is of \(facts["sentences"]?.int ?? 0) sentences, and \(sentences) follow; it was cut short"
      )
    }
    var origin = Origin(
      system: try text("system"), stage: try text("stage"), seed: facts["seed"]?.int,
      language: try text("language"), part: try text("part"), trained: try texts("trained"))
    origin.tries = max(1, facts["tries"]?.int ?? 1)
    origin.isTry = facts["is_try"]?.bool ?? false
    self.init(
      origin: origin,
      types: types, confusions: confusions, sentences: sentences, values: values)
  }
}
