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
    text += Self.heading(types) + "\n"
    for sentence in 0..<sentences {
      text +=
        values[sentence * width..<(sentence + 1) * width].map(String.init)
        .joined(separator: "\t") + "\n"
    }
    return text
  }

  private static func heading(_ types: [String]) -> String {
    let names =
      Column.allCases.map(\.name)
      + types.flatMap { type in
        TypeColumn.allCases.map { "\(printable(type, limit: 100)).\($0.name)" }
      }
    return names.joined(separator: "\t")
  }

  /// Reads a file that ``text`` was written to. Invisible characters of its names are escaped: they come on terminals.
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
    func plain(_ name: String) -> String { printable(name, limit: 1000) }
    func text(_ name: String) throws(FileError) -> String {
      guard let value = facts[name]?.string else { throw wrong(1, "lacks \(name)") }
      return plain(value)
    }
    func texts(_ name: String) throws(FileError) -> [String] {
      guard let values = facts[name]?.array, values.count <= Self.typeLimit,
        values.allSatisfy({ $0.string != nil })
      else { throw wrong(1, "lacks \(name), a list of names") }
      return values.compactMap(\.string)
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
      confusions.append(
        Confusion(gold: plain(gold), predicted: plain(predicted), count: count))
    }
    guard let heading = lines.next(), file.text(heading) == Self.heading(types) else {
      throw wrong(2, "does not name the columns of these types")
    }
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
      let last = sentences == 0 ? 0 : values[start - width]
      guard values[start] == last || values[start] == last + 1 && sentences > 0 else {
        throw wrong(lines.number, "is of document \(values[start]), which does not follow \(last)")
      }
      sentences += 1
    }
    guard let said = facts["sentences"]?.int else { throw wrong(1, "lacks sentences, a number") }
    guard said == sentences, sentences > 0 else {
      throw wrong(
        1,
        sentences == 0
          ? "is of no sentences"
          : "is of \(said) sentences, and \(sentences) follow; it was cut short")
    }
    guard facts["seed"] == nil || facts["seed"]?.int != nil else {
      throw wrong(1, "has a seed that is no whole number")
    }
    var origin = Origin(
      system: try text("system"), stage: try text("stage"), seed: facts["seed"]?.int,
      language: try text("language"), part: try text("part"),
      trained: try texts("trained").map(plain))
    origin.tries = max(1, facts["tries"]?.int ?? 1)
    origin.isTry = facts["is_try"]?.bool ?? false
    let names = types.map(plain)
    guard Set(names).count == names.count else { throw wrong(1, "names a type twice") }
    self.init(
      origin: origin, types: names, confusions: confusions, sentences: sentences, values: values)
    if let sentence = (0..<sentences).first(where: { !isPossible($0) }) {
      throw wrong(sentence + 3, "has counts that no sentence can have")
    }
  }

  /// Whether a sentence's counts fit each other: nothing correct that is not there, and every span found or missed.
  private func isPossible(_ sentence: Int) -> Bool {
    func fit(_ gold: Column, _ predicted: Column, _ correct: Column) -> Bool {
      self[sentence, correct] <= min(self[sentence, gold], self[sentence, predicted])
    }
    func sum(_ columns: [TypeColumn], _ type: Int) -> Int {
      columns.reduce(0) { $0 + self[sentence, type, $1] }
    }
    let paired: [TypeColumn] = [.correct, .wrongType, .wrongBoundary, .wrongBoth]
    let pairs = types.indices.reduce(0) { $0 + sum(paired, $1) }
    return self[sentence, .correctTokens] <= self[sentence, .tokens]
      && fit(.strictGold, .strictPredicted, .strictCorrect)
      && fit(.conllevalGold, .conllevalPredicted, .conllevalCorrect)
      && types.indices.allSatisfy { sum(paired + [.missed], $0) == self[sentence, $0, .gold] }
      && pairs + self.sum(.spurious, ofSentence: sentence)
        == self.sum(.predicted, ofSentence: sentence)
  }
}
