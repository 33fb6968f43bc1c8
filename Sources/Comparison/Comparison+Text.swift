import Corpus
public import Files
import Foundation

extension Comparison {
  /// The comparison for people: scores and differences, errors, types, protocols; of one system its scores.
  package func text(as form: TableForm) -> String {
    if isOfOne { return ownText(as: form) }
    func part(_ title: String, _ rows: [[String]]) -> String {
      let title = printable(title, limit: .max)
      let table = TextTable(rows).text(as: form)
      return switch form {
      case .markdown: "**\(title)**\n\n\(table)\n"
      case .latex: "% \(title)\n\(table)\n"
      case .text, .csv, .tsv: "\(title)\n\(table)\n"
      }
    }
    return part(
      "A: \(first); B: \(second)" + (isPaired ? ", \(seedCounts) paired seeds" : ""), scoreRows)
      + part("errors, all languages" + ofRuns, errorRows)
      + part("F1 by type, all languages" + ofRuns, typeRows)
      + part("F1 by protocol, mean over languages" + ofRuns, protocolRows)
      + lines(notes + legend, as: form)
  }

  private func lines(_ notes: [String], as form: TableForm) -> String {
    notes.map { (form == .latex ? "% " : "") + printable($0, limit: .max) + "\n" }.joined()
  }

  private var seedCount: Int { languages.map(\.seeds.count).max() ?? 1 }
  private var isPaired: Bool { seedCount > 1 }
  /// How many seeds languages have: one number where it is the same.
  private var seedCounts: String {
    let least = languages.map(\.seeds.count).min() ?? 1
    return least == seedCount ? "\(seedCount)" : "\(least) to \(seedCount)"
  }
  private var ofRuns: String { isPaired ? ", mean of runs" : "" }

  package var scoreRows: [[String]] {
    [
      [
        "F1 %", "P A", "R A", "F1 A", "P B", "R B", "F1 B", "B − A", "95 % interval", "p",
        "p Holm",
      ]
    ]
      + languages.map { row($0.language + mark($0), $0.difference) }
      + (macro.map { [row("macro", $0)] } ?? [])
  }

  /// The first system alone: its scores and their intervals.
  private var ownRows: [[String]] {
    [["F1 %", "P", "R", "F1", "95 % interval"]]
      + (languages.map { ($0.language + ($0.isTrained.first == false ? "*" : ""), $0.difference) }
      + (macro.map { [("macro", $0)] } ?? [])).map { name, difference in
        let rates = difference.scores.first
        let ends = difference.first
        return [
          name, percent(rates.precision), percent(rates.recall), percent(rates.f1),
          "\(percent(ends.lowerBound)) … \(percent(ends.upperBound))",
        ]
      }
  }

  private func ownText(as form: TableForm) -> String {
    let title = "\(first)" + (isPaired ? ", mean of \(seedCounts) seeds" : "")
    return lines([title], as: form) + TextTable(ownRows).text(as: form)
      + lines(notes + legend, as: form)
  }

  /// A star for each system that was not trained on the language.
  private func mark(_ language: OfLanguage) -> String {
    switch (language.isTrained.first == false, language.isTrained.second == false) {
    case (false, false): ""
    case (true, true): "*"
    case (true, false): "*A"
    case (false, true): "*B"
    }
  }

  /// What the marks of the languages mean, if there are any.
  private var legend: [String] {
    let marks = Set(languages.map(mark))
    let words = [
      ("*", "* not trained on the language"), ("*A", "*A: A was not trained on the language"),
      ("*B", "*B: B was not trained on the language"),
    ]
    let used = words.filter { marks.contains($0.0) }.map(\.1)
    return used.isEmpty ? [] : [used.joined(separator: "; ")]
  }

  private func row(_ name: String, _ difference: Difference) -> [String] {
    let scores = difference.scores
    let rates = [scores.first, scores.second].flatMap { [$0.precision, $0.recall, $0.f1] }
    let ends = difference.difference
    return [name] + rates.map(percent) + [
      signed(scores.difference),
      "\(signed(ends.lowerBound)) … \(signed(ends.upperBound))", probability(difference.pValue),
      difference.corrected.map(probability) ?? "",
    ]
  }

  package var errorRows: [[String]] {
    let kinds: [SentenceCounts.TypeColumn] = [
      .missed, .spurious, .wrongType, .wrongBoundary, .wrongBoth,
    ]
    func total(_ side: (OfLanguage) -> Counts, _ kind: SentenceCounts.TypeColumn) -> Double {
      languages.reduce(0) { $0 + side($1).total(kind) }
    }
    return [["error", "A", "B", "B − A"]]
      + kinds.map { kind in
        let (left, right) = (total(\.counts.first, kind), total(\.counts.second, kind))
        return [
          kind.name.replacing("_", with: " "), count(left), count(right),
          (right < left ? "−" : "+") + count(abs(right - left)),
        ]
      }
  }

  package var typeRows: [[String]] {
    let names = Set(
      languages.flatMap { ($0.counts.first.types + $0.counts.second.types).map(\.name) }
    )
    .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    func column(_ counts: Counts, _ name: String, _ column: SentenceCounts.TypeColumn) -> Double {
      counts.types.first { $0.name == name }?.columns[column.rawValue] ?? 0
    }
    return [["type", "gold", "F1 A", "F1 B", "B − A"]]
      + names.map { name in
        func f1(_ side: (OfLanguage) -> Counts) -> Double {
          func sum(_ kind: SentenceCounts.TypeColumn) -> Double {
            languages.reduce(0) { $0 + column(side($1), name, kind) }
          }
          // 2·p·r ÷ (p + r) of counts that may be means.
          let all = sum(.gold) + sum(.predicted)
          return all == 0 ? 0 : 2 * sum(.correct) / all
        }
        let gold = languages.reduce(0) { $0 + column($1.counts.first, name, .gold) }
        let (left, right) = (f1(\.counts.first), f1(\.counts.second))
        return [
          name.isEmpty ? "(none)" : name, "\(Int(gold.rounded()))", percent(left), percent(right),
          signed(right - left),
        ]
      }
  }

  package var protocolRows: [[String]] {
    func mean(_ side: (OfLanguage) -> Counts, _ place: Int) -> Double {
      languages.reduce(0) { $0 + side($1).protocols[place] } / Double(languages.count)
    }
    return [["protocol", "A", "B", "B − A"]]
      + ScoringProtocol.allCases.enumerated().map { place, scoring in
        let (left, right) = (mean(\.counts.first, place), mean(\.counts.second, place))
        return [scoring.rawValue, percent(left), percent(right), signed(right - left)]
      }
  }

  private func percent(_ value: Double) -> String { String(format: "%.2f", 100 * value) }

  private func signed(_ value: Double) -> String {
    let text = percent(abs(value))
    return (value < 0 && text != "0.00" ? "−" : "+") + text
  }

  private func probability(_ value: Double) -> String {
    value < 0.0001 ? "< 0.0001" : String(format: "%.4f", value)
  }

  /// A count, or the mean of those of several runs.
  private func count(_ value: Double) -> String {
    isPaired ? String(format: "%.1f", value) : "\(Int(value))"
  }

  // MARK: For programs

  /// The heading of ``records``.
  package static let recordNames = [
    "first", "second", "language", "seeds", "sentences", "documents", "first_precision",
    "first_recall", "first_f1", "first_f1_low", "first_f1_high", "second_precision",
    "second_recall", "second_f1", "second_f1_low", "second_f1_high", "difference",
    "difference_low", "difference_high", "p", "p_holm", "first_trained", "second_trained",
  ]

  /// A row a language, and one of the macro average, with all digits. Shares are from 0 to 1. What is of a second
  /// system is empty where there is none.
  package var records: [[String]] {
    func row(_ facts: [String], _ difference: Difference, _ trained: (Bool?, Bool?)) -> [String] {
      let scores = difference.scores
      let own = [
        scores.first.precision, scores.first.recall, scores.first.f1,
        difference.first.lowerBound, difference.first.upperBound,
      ]
      let others = [
        scores.second.precision, scores.second.recall, scores.second.f1,
        difference.second.lowerBound, difference.second.upperBound, scores.difference,
        difference.difference.lowerBound, difference.difference.upperBound, difference.pValue,
      ]
      let second = others.map { "\($0)" } + [difference.corrected.map { "\($0)" } ?? ""]
      func word(_ value: Bool?) -> String { value.map { "\($0)" } ?? "" }
      return [first, isOfOne ? "" : self.second] + facts + own.map { "\($0)" }
        + (isOfOne ? second.map { _ in "" } : second)
        + [word(trained.0), isOfOne ? "" : word(trained.1)]
    }
    return languages.map {
      row(
        [
          $0.language, "\($0.seeds.count)", "\($0.sentences)", $0.documents.map { "\($0)" } ?? "",
        ], $0.difference, $0.isTrained)
    } + (macro.map { [row(["macro", seedCounts, "", ""], $0, (nil, nil))] } ?? [])
  }

  /// All of it as one object.
  public var json: JSONValue {
    func numbers(_ rates: PairedScores.Rates, _ ends: ClosedRange<Double>) -> JSONValue {
      [
        "precision": .init(rates.precision), "recall": .init(rates.recall), "f1": .init(rates.f1),
        "f1_interval": [.init(ends.lowerBound), .init(ends.upperBound)],
      ]
    }
    func object(_ value: Difference) -> JSONObject {
      var object = JSONObject()
      object["first"] = numbers(value.scores.first, value.first)
      if isOfOne { return object }
      object["second"] = numbers(value.scores.second, value.second)
      object["difference"] = .init(value.scores.difference)
      object["difference_interval"] = [
        .init(value.difference.lowerBound), .init(value.difference.upperBound),
      ]
      object["p"] = .init(value.pValue)
      if let corrected = value.corrected { object["p_holm"] = .init(corrected) }
      return object
    }
    func counts(_ counts: Counts) -> JSONValue {
      var types = JSONObject()
      for type in counts.types {
        var columns = JSONObject()
        for (column, value) in zip(SentenceCounts.TypeColumn.allCases, type.columns) {
          columns[column.name] = .init(value)
        }
        types[type.name] = .object(columns)
      }
      var protocols = JSONObject()
      for (scoring, value) in zip(ScoringProtocol.allCases, counts.protocols) {
        protocols[scoring.rawValue] = .init(value)
      }
      return ["types": .object(types), "f1_by_protocol": .object(protocols)]
    }
    var file = JSONObject()
    file["first"] = .init(first)
    if !isOfOne { file["second"] = .init(second) }
    file["languages"] = .array(
      languages.map { language in
        var entry = JSONObject()
        entry["language"] = .init(language.language)
        entry["seeds"] = .array(
          language.seeds.map { pair in
            let seeds = [pair.0, pair.1].map { seed in seed.map { JSONValue($0) } ?? .null }
            return isOfOne ? seeds[0] : .array(seeds)
          })
        entry["sentences"] = .init(language.sentences)
        entry["documents"] = language.documents.map { .init($0) } ?? .null
        let trained = [language.isTrained.first, language.isTrained.second].map { known in
          known.map { JSONValue($0) } ?? .null
        }
        entry["trained"] = isOfOne ? trained[0] : .array(trained)
        for member in object(language.difference).members { entry[member.name] = member.value }
        entry["first_counts"] = counts(language.counts.first)
        if !isOfOne { entry["second_counts"] = counts(language.counts.second) }
        return .object(entry)
      })
    if let macro { file["macro"] = .object(object(macro)) }
    file["notes"] = .array(notes.map { .init($0) })
    return .object(file)
  }
}
