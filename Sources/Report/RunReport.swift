package import Comparison
import Corpus
package import Files
import Foundation

/// A page about one run or several: one file without scripts or links to elsewhere.
package enum RunReport {
  /// - Parameters:
  ///   - runs: Their directories.
  ///   - programVersion: For the last line.
  /// - Throws: ``FileError`` where a directory holds no run, or predictions that cannot be compared.
  package static func page(
    of runs: [String], _ settings: Comparison.Settings, programVersion: String
  ) throws(FileError) -> String {
    var records: [RunRecord] = []
    for run in runs { records.append(try RunRecord(run)) }
    var systems: [ComparedSystem] = []
    var notes: [String] = []
    for index in records.indices
    where records.contains(where: {
      $0.path != records[index].path && $0.name == records[index].name
    }) {
      records[index].name = records[index].path
    }
    for record in records {
      do {
        for var system in try ComparedSystem.read(record.path, part: settings.part) {
          if records.count > 1 { system.name = "\(record.name): \(system.name)" }
          systems.append(system)
        }
      } catch {
        // A run in progress, or one whose task labels nothing.
        guard error.code == .missing else { throw error }
        notes.append(error.description)
      }
    }
    let title = "Isogloss: " + records.map(\.name).joined(separator: ", ")
    var sections = try ScoreSection.sections(systems, settings)
    for record in records { sections += RunSections(record, names: records.count > 1).sections }
    sections += ErrorSection.sections(systems)
    sections += try AnalysisSection.sections(records)
    var parts: [HTML] = [.heading(1, title)]
    parts += records.flatMap(\.notices).map { .paragraph($0) } + notes.map { .paragraph($0) }
    parts.append(.contents(sections.map(\.title)))
    for (place, section) in sections.enumerated() {
      parts.append(.section(place, section.title, section.content))
    }
    parts.append(.paragraph("Made by isogloss \(programVersion)."))
    let head = HTML.element(
      "head", [:],
      .own("<meta charset=\"utf-8\">"),
      .own("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"),
      .own(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
      ), .element("title", [:], .text(title)), .element("style", [:], Style.sheet))
    let body = HTML.element("body", [:], .element("main", [:], parts))
    return "<!DOCTYPE html>\n" + HTML.element("html", ["lang": "en"], head, body).markup + "\n"
  }
}

/// A part of the page, with a heading of its own.
struct Section {
  var title: String
  var content: [HTML]
}

/// Scores of systems, with intervals, and the differences from the first.
enum ScoreSection {
  static func sections(
    _ systems: [ComparedSystem], _ settings: Comparison.Settings
  ) throws(FileError) -> [Section] {
    guard let first = systems.first else { return [] }
    var comparisons: [Comparison] = []
    for system in systems.dropFirst() {
      // Systems that share no language are not compared.
      if Set(first.languages).isDisjoint(with: system.languages) { continue }
      comparisons.append(try Comparison(first, system, settings))
    }
    var alone: [Comparison] = []
    for system in systems { alone.append(try Comparison(system, nil, settings)) }
    var parts: [HTML] = [
      .paragraph(
        "Dots are F1 in per cent, as seqeval counts it, rings the single seeds, lines 95 % intervals of \(settings.rounds) bootstrap samples of sentences (documents where the corpus marks them) and seeds. All languages have one axis. * marks systems none of whose stages was trained on the language."
      )
    ]
    var languages: [String] = []
    for system in systems {
      for language in system.languages where !languages.contains(language) {
        languages.append(language)
      }
    }
    let rows = languages.map { language in
      alone.enumerated().compactMap { place, comparison -> Plot.Row? in
        guard let entry = comparison.languages.first(where: { $0.language == language }) else {
          return nil
        }
        let ends = entry.difference.first
        return Plot.Row(
          name: comparison.first + (entry.isTrained.first == false ? "*" : ""), color: place,
          value: 100 * entry.difference.scores.first.f1,
          interval: 100 * ends.lowerBound...100 * ends.upperBound,
          others: entry.seeds.count > 1
            ? systems[place].runs(of: language).map { 100 * ScoringProtocol.seqeval.f1($0.counts) }
            : [])
      }
    }
    for (language, own) in zip(languages, rows) {
      parts.append(
        Plot.intervals(
          own, title: "F1 on \(language)", x: "F1, per cent", axisOf: rows.flatMap(\.self)))
    }
    var said: Set<String> = []
    let own = alone.flatMap(\.notes).filter { said.insert($0).inserted }
    if !own.isEmpty { parts.append(.list(own)) }
    let scores = Section(title: "Scores on \(settings.part)", content: parts)
    if comparisons.isEmpty { return [scores] }
    return [
      scores,
      Section(
        title: "Differences from \(first.name)", content: comparisons.flatMap(difference)),
    ]
  }

  private static func difference(_ comparison: Comparison) -> [HTML] {
    let all =
      comparison.languages.map { ($0.language, $0.difference) }
      + (comparison.macro.map { [("macro", $0)] } ?? [])
    let rows = all.enumerated().map { place, entry in
      Plot.Row(
        name: entry.0, color: entry.0 == "macro" ? Plot.colors - 1 : 0,
        value: 100 * entry.1.scores.difference,
        interval: 100 * entry.1.difference.lowerBound...100 * entry.1.difference.upperBound)
    }
    return [
      .heading(3, "\(comparison.second) less \(comparison.first)"),
      Plot.intervals(
        rows, title: "Difference of F1 with 95 % intervals", x: "points of F1", zero: true),
      Plot.slopes(
        all.map {
          ($0.0, 100 * $0.1.scores.first.f1, 100 * $0.1.scores.second.f1)
        }, title: "F1 of both", left: comparison.first, right: comparison.second),
      .table(comparison.scoreRows, caption: "A: \(comparison.first); B: \(comparison.second)"),
      .details(
        "Errors, types and protocols",
        .table(comparison.errorRows, caption: "Errors, all languages")
          + .table(comparison.typeRows, caption: "F1 by type, all languages")
          + .table(comparison.protocolRows, caption: "F1 by protocol, mean over languages")),
      comparison.notes.isEmpty ? .none : .list(comparison.notes),
    ]
  }
}

/// Kinds of errors, confusions of types, and sentences with errors.
enum ErrorSection {
  private static let kinds: [SentenceCounts.TypeColumn] = [
    .missed, .spurious, .wrongType, .wrongBoundary, .wrongBoth,
  ]

  static func sections(_ systems: [ComparedSystem]) -> [Section] {
    guard let first = systems.first else { return [] }
    let common = first.languages.filter { language in
      systems.allSatisfy { $0.languages.contains(language) }
    }
    var parts: [HTML] = []
    let bars = systems.map { system in
      (
        name: system.name,
        values: kinds.map { kind in
          common.reduce(0.0) { sum, language in
            let runs = system.runs(of: language)
            return sum
              + runs.reduce(0) { $0 + Double($1.counts.total(kind)) } / Double(max(1, runs.count))
          }
        }
      )
    }
    if !common.isEmpty {
      parts.append(
        Plot.bars(
          kinds.map { $0.name.replacing("_", with: " ") }, bars,
          title: "Errors by kind, \(common.joined(separator: ", ")) together, mean of seeds"))
    }
    for system in systems { parts += confusions(system) }
    for system in systems { parts += examples(system) }
    return [Section(title: "Errors", content: parts)]
  }

  private static func confusions(_ system: ComparedSystem) -> [HTML] {
    let runs = system.languages.flatMap { system.runs(of: $0) }.map(\.counts)
    let types = Set(runs.flatMap(\.types)).sorted()
    guard !types.isEmpty, types.count <= 24 else { return [] }
    let columns = types + ["none"]
    var values = [[Double]](
      repeating: [Double](repeating: 0, count: columns.count), count: columns.count)
    for counts in runs {
      for (place, type) in counts.types.enumerated() {
        guard let row = types.firstIndex(of: type) else { continue }
        values[row][row] += Double(
          counts.total(.correct, type: place) + counts.total(.wrongBoundary, type: place))
        values[row][types.count] += Double(counts.total(.missed, type: place))
        values[types.count][row] += Double(counts.total(.spurious, type: place))
      }
      for confusion in counts.confusions {
        guard let row = types.firstIndex(of: confusion.gold),
          let column = types.firstIndex(of: confusion.predicted)
        else { continue }
        values[row][column] += Double(confusion.count)
      }
    }
    return [
      Plot.matrix(
        rows: columns.map { $0.isEmpty ? "(none)" : $0 },
        columns: columns.map { $0.isEmpty ? "(none)" : $0 }, values,
        title:
          "Types of \(system.name), \(system.languages.joined(separator: ", ")) together, all seeds",
        row: "gold", column: "predicted")
    ]
  }

  private static func examples(_ system: ComparedSystem) -> [HTML] {
    var items: [HTML] = []
    for language in system.languages {
      guard let run = system.runs(of: language).first else { continue }
      let path = run.path.replacing(".counts.tsv", with: ".conll")
      guard WholeFile.isRegular(path), let sentences = try? TaggedPrediction.read(path) else {
        continue
      }
      var shown: [SpanError: Int] = [:]
      for sentence in sentences where !sentence.words.isEmpty && sentence.words.count <= 60 {
        guard let error = sentence.errors.first(where: { shown[$0.error, default: 0] < 2 }) else {
          continue
        }
        shown[error.error, default: 0] += 1
        items.append(
          .element(
            "li", [:],
            .element("strong", [:], .text("\(language), \(error.error.words): ")),
            marked(sentence)))
      }
    }
    guard !items.isEmpty else { return [] }
    return [
      .details(
        "Examples of errors of \(system.name)",
        .paragraph(
          "In brackets: the words of a span, then G and its gold type or P and its predicted type.")
          + .element("ul", ["class": "examples"], items))
    ]
  }

  /// A sentence with its spans in brackets: read aloud, nothing is lost.
  private static func marked(_ sentence: TaggedPrediction) -> HTML {
    var html = HTML.none
    for (place, word) in sentence.words.enumerated() {
      if place > 0 { html = html + .text(" ") }
      let opening = sentence.spans.filter { $0.words.lowerBound == place }
      let closing = sentence.spans.filter { $0.words.upperBound == place }
      let inside = sentence.spans.contains { $0.words.contains(place) }
      html =
        html
        + .text(String(repeating: "[", count: opening.count))
        + (inside ? .element("mark", [:], .text(word)) : .text(word))
      for span in closing {
        html =
          html + .text("]")
          + .element(
            "sub", ["class": span.isGold ? "gold" : "predicted"],
            .text("\(span.isGold ? "G" : "P") \(span.type)"))
      }
    }
    return html
  }
}
