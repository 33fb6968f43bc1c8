import Determinism
public import Files
import Foundation

/// A synthetic corpus for named-entity recognition: the same sentences in several languages, made from
/// templates and invented names, with the types PER, LOC, ORG and MISC.
///
/// What a sentence means is drawn once and written in every language, so that a language's sentences do not
/// depend on which others are asked for. It is made to be hard: surnames, towns and firms share their
/// invented names, clubs are called like towns, some sentences give no hint, some are all capitals or
/// none, most names of dev and test are new, and a small share of the training entities is unlabelled.
public struct SampleCorpus: Sendable {
  public enum Part: String, Sendable, CaseIterable { case train, dev, test }

  /// The codes of the languages that there are.
  public static var allLanguages: [String] { SampleNames.languages }

  public let languages: [String]
  private let meanings: [Part: [Meaning]]
  private let stems: [SampleNames.Stem]

  /// - Parameters:
  ///   - languages: Some of ``allLanguages``.
  ///   - sentences: Training sentences a language; dev and test have a fifth of it each.
  public init(languages: [String] = allLanguages, sentences: Int = 2000, seed: UInt64 = 1) {
    precondition(
      languages.allSatisfy(SampleNames.languages.contains), "a language of \(languages)")
    precondition(sentences >= 1, "\(sentences) sentences")
    self.languages = languages
    var random = RandomStream(seed: seed, ["sample", "stems"])
    var stems: [SampleNames.Stem] = []
    var seen: Set<SampleNames.Stem> = []
    while stems.count < 800 {
      let stem = SampleNames.Stem(&random)
      if seen.insert(stem).inserted { stems.append(stem) }
    }
    self.stems = stems
    // What dev and test say is said in train in no language, nor twice.
    let writers = SampleNames.languages.indices.map { Writer(language: $0, stems: stems) }
    var known: Set<[String]> = []
    var meanings: [Part: [Meaning]] = [:]
    for part in Part.allCases {
      var random = RandomStream(seed: seed, ["sample", .text(part.rawValue)])
      let count = part == .train ? sentences : max(1, sentences / 5)
      var list: [Meaning] = []
      while list.count < count {
        let meaning = Meaning(&random, part: part, stemCount: stems.count)
        let texts = writers.map { $0.sentence(meaning).words }
        if part != .train, texts.contains(where: known.contains) { continue }
        list.append(meaning)
        known.formUnion(texts)
      }
      meanings[part] = list
    }
    self.meanings = meanings
  }

  /// The sentences of a part in a language, in the order that all languages share.
  public func sentences(_ language: String, _ part: Part) -> [Sentence] {
    guard let index = SampleNames.languages.firstIndex(of: language) else { return [] }
    let writer = Writer(language: index, stems: stems)
    return (meanings[part] ?? []).map { writer.sentence($0) }
  }

  /// Writes `XX.train.conll`, `XX.dev.conll` and `XX.test.conll` for each language, and a WordPiece
  /// tokenizer over their training words in `tokenizer/`.
  ///
  /// - Throws: ``FileError`` of code `io`.
  public func write(to directory: String) throws(FileError) {
    try make(directory + "/tokenizer")
    for language in languages {
      for part in Part.allCases {
        var text = ""
        for sentence in sentences(language, part) {
          for (word, tag) in zip(sentence.words, sentence.tags) { text += "\(word)\t\(tag)\n" }
          text += "\n"
        }
        try write(text, "\(directory)/\(language).\(part.rawValue).conll")
      }
    }
    let words = languages.flatMap { sentences($0, .train).flatMap(\.words) }
    let vocabulary = SampleVocabulary(words: words, size: 6000)
    try write(
      vocabulary.pieces.joined(separator: "\n") + "\n", directory + "/tokenizer/vocab.txt")
    try write(
      """
      {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": false,
        "strip_accents": false,
        "tokenize_chinese_chars": true,
        "model_max_length": 128
      }

      """, directory + "/tokenizer/tokenizer_config.json")
  }

  private func make(_ directory: String) throws(FileError) {
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true)
    } catch {
      throw FileError(.io, directory, "cannot be made: \(error.localizedDescription)")
    }
  }

  private func write(_ text: String, _ path: String) throws(FileError) {
    do {
      try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw FileError(.io, path, "cannot be written: \(error.localizedDescription)")
    }
  }
}

/// What a sentence says, before any language says it.
struct Meaning: Sendable, Hashable {
  /// What fills a slot.
  enum Filler: Sendable, Hashable {
    case person(given: Int?, surname: Int)
    /// A place of the table, or an invented town.
    case place(known: Int?, stem: Int)
    case organisation(pattern: Int, place: Int?, stem: Int)
    case club(known: Int?, stem: Int)
    case work(known: Int?, pattern: Int, place: Int?, stem: Int)
    case number(Int)
    case day(Int)
  }
  enum Look: Sendable, Hashable { case plain, lower, upper }

  var opening: Int
  var template: Int
  var fillers: [String: Filler] = [:]
  var look = Look.plain
  /// The entity, by its order in the sentence of the language, whose labels are left out by mistake.
  var unlabelled: String?

  init(_ random: inout RandomStream, part: SampleCorpus.Part, stemCount: Int) {
    let english = SampleLanguage.english
    opening = random.below(10) < 4 ? 1 + random.below(english.openings.count - 1) : 0
    template = random.below(english.templates.count)
    func stem(_ random: inout RandomStream) -> Int {
      let half = stemCount / 2
      if part == .train || random.below(10) < 2 { return random.below(half) }
      return half + random.below(half)
    }
    let text = english.openings[opening] + " " + english.templates[template]
    for word in text.split(separator: " ") where word.hasPrefix("{") {
      let slot = String(word.dropFirst().dropLast())
      let isKnown = random.below(10) < (part == .train ? 4 : 3)
      let known = isKnown ? random.below(SampleNames.places.count) : nil
      switch slot.first {
      case "P":
        fillers[slot] = .person(
          given: random.below(10) < 6 ? random.below(SampleNames.given.count) : nil,
          surname: stem(&random))
      case "L": fillers[slot] = .place(known: known, stem: stem(&random))
      case "C": fillers[slot] = .club(known: known, stem: stem(&random))
      case "O":
        fillers[slot] = .organisation(
          pattern: random.below(english.organisations.count), place: known, stem: stem(&random))
      case "M":
        fillers[slot] = .work(
          known: isKnown ? random.below(SampleNames.works.count) : nil,
          pattern: random.below(english.events.count),
          place: random.below(2) == 0 ? random.below(SampleNames.places.count) : nil,
          stem: stem(&random))
      case "D": fillers[slot] = .day(random.below(7))
      default: fillers[slot] = .number(1 + random.below(99))
      }
    }
    let chance = random.below(100)
    look = chance < 4 ? .lower : chance < 8 ? .upper : .plain
    let entities = fillers.keys.filter { !"ND".contains($0.prefix(1)) }.sorted()
    if part == .train, !entities.isEmpty, random.below(100) < 2 {
      unlabelled = entities[random.below(entities.count)]
    }
  }
}

/// Writes meanings in a language.
private struct Writer {
  let language: Int
  let stems: [SampleNames.Stem]

  func sentence(_ meaning: Meaning) -> Sentence {
    let forms = SampleLanguage.all[language]
    let text = forms.openings[meaning.opening] + " " + forms.templates[meaning.template]
    var words: [String] = []
    var tags: [String] = []
    for token in text.split(separator: " ") {
      guard token.hasPrefix("{") else {
        var word = token.drop { $0 == "^" }
        if words.allSatisfy({ !$0.contains(where: \.isLetter) }) {
          word = Substring(word.prefix(1).uppercased() + word.dropFirst())
        }
        words.append(String(word))
        tags.append("O")
        continue
      }
      let slot = String(token.dropFirst().dropLast())
      guard let filler = meaning.fillers[slot] else { continue }
      let (name, type) = self.name(filler, forms)
      let parts = name.split(separator: " ").map(String.init)
      words += parts
      let tagged = type.flatMap { slot == meaning.unlabelled ? nil : $0 }
      tags += parts.indices.map { index in
        tagged.map { (index == 0 ? "B-" : "I-") + $0 } ?? "O"
      }
    }
    switch meaning.look {
    case .plain: break
    case .lower: words = words.map { $0.lowercased() }
    case .upper: words = words.map { $0.uppercased() }
    }
    return Sentence(words: words, tags: tags)
  }

  private func name(_ filler: Meaning.Filler, _ forms: SampleLanguage) -> (String, String?) {
    func place(_ known: Int?, _ stem: Int) -> String {
      known.map { SampleNames.places[$0][language] } ?? stems[stem].name(language)
    }
    func fill(_ pattern: String, _ known: Int?, _ stem: Int) -> String {
      pattern.replacing("{L}", with: place(known, stem))
        .replacing("{S}", with: stems[stem].name(language))
    }
    switch filler {
    case .person(let given, let surname):
      let last = stems[surname].name(language)
      guard let given else { return (last, "PER") }
      let first = SampleNames.given(given, language)
      return (forms.code == "zh" ? "\(first)·\(last)" : "\(first) \(last)", "PER")
    case .place(let known, let stem): return (place(known, stem), "LOC")
    case .club(let known, let stem): return (place(known, stem), "ORG")
    case .organisation(let pattern, let known, let stem):
      return (fill(forms.organisations[pattern], known, stem), "ORG")
    case .work(let known, let pattern, let place, let stem):
      if let known { return (SampleNames.works[known][language], "MISC") }
      return (fill(forms.events[pattern], place, stem), "MISC")
    case .number(let number): return ("\(number)", nil)
    case .day(let day): return (forms.days[day], nil)
    }
  }
}

/// A WordPiece vocabulary over some words: special pieces, every character, frequent words, frequent
/// beginnings and endings.
struct SampleVocabulary {
  let pieces: [String]

  init(words: [String], size: Int) {
    var pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    var known = Set(pieces)
    func add(_ piece: String) {
      if pieces.count < size, known.insert(piece).inserted { pieces.append(piece) }
    }
    var scalars: Set<Unicode.Scalar> = []
    var counts: [String: Int] = [:]
    for word in words {
      counts[word, default: 0] += 1
      scalars.formUnion(word.unicodeScalars)
    }
    for scalar in scalars.sorted() {
      add(String(scalar))
      add("##" + String(scalar))
    }
    var parts: [String: Int] = [:]
    for (word, count) in counts {
      let letters = Array(word.unicodeScalars)
      guard letters.count >= 3 else { continue }
      for length in 2...min(4, letters.count - 1) {
        parts[string(letters.prefix(length)), default: 0] += count
        parts["##" + string(letters.suffix(length)), default: 0] += count
      }
    }
    func ranked(_ counts: [String: Int]) -> [String] {
      counts.filter { $0.value >= 5 }.sorted {
        $0.value != $1.value
          ? $0.value > $1.value : $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
      }.map(\.key)
    }
    for word in ranked(counts).prefix(2500) { add(word) }
    for part in ranked(parts) { add(part) }
    self.pieces = pieces

    func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
      var view = String.UnicodeScalarView()
      view.append(contentsOf: scalars)
      return String(view)
    }
  }
}
