import Collectives
import Configuration
import Corpus
import Files

/// What all tasks that tag words have in common: their metric, and what their scores are called.
enum TagScores {
  static let metric = TaskMetric(
    name: "macro_f1", score: "f1", moreIsBetter: true, title: "F1", format: .percent,
    table: .init("test F1", of: .test, score: "f1", format: .percent))

  /// The scores of a part, of entities as seqeval's default mode counts them.
  static func values(_ counts: SpanCounts) -> [String: Double] {
    let rates = SpanScores(counts).micro
    return [
      "precision": rates.precision, "recall": rates.recall, "f1": rates.f1,
      "entities": Double(counts.overall.gold),
    ]
  }

  static func words(_ score: StageResult.Score) -> String {
    let percent = TaskMetric.Format.percent.text
    return "F1 \(percent(score["f1"])) (precision \(percent(score["precision"])), "
      + "recall \(percent(score["recall"])), \(Int(score["entities"])) entities)"
  }

  /// As seqeval's users know them.
  static func manifestName(ofScore name: String) -> String {
    switch name {
    case "precision", "recall", "f1": "overall_\(name)"
    case "entities": "number"
    default: name
    }
  }

  /// The entities of sentences whose tags are labels of a model.
  static func counts(gold: [[String]], predicted: [[String]]) -> SpanCounts {
    do {
      return try SpanCounts(gold: gold, predicted: predicted, mode: .default)
    } catch {
      preconditionFailure("labels that do not fit the mode: \(error)")
    }
  }

  /// The mode that `evaluate --mode` names, for a model of some labels.
  ///
  /// - Throws: ``RunError`` for a label that the mode does not know.
  static func mode(named name: String, labels: LabelSet) throws(RunError) -> SpanMode {
    let mode: SpanMode =
      name == "strict" ? .strict(.iob2) : name == "conlleval" ? .conlleval : .default
    do {
      _ = try SpanCounts(gold: [labels.labels], predicted: [labels.labels], mode: mode)
    } catch {
      throw RunError(
        .data,
        "a label of the model does not fit --mode \(name): \(error); use --mode default or conlleval"
      )
    }
    return mode
  }

  /// What `evaluate` says of a file.
  static func evaluation(
    _ counts: SpanCounts, mode: SpanMode, file: String, language: String?
  ) -> Evaluation {
    let scores = SpanScores(counts)
    let report = SpanReport(scores, mode: mode, scheme: "IOB2", file: file, language: language)
    return Evaluation(text: scores.table(digits: 4), records: report.records, json: report.json)
  }
}

extension PredictionFiles {
  /// Writes the labels of a part of a language, whose files are read again for their words.
  ///
  /// - Throws: ``RunError`` where the files are no longer of the gold tags that were scored.
  func write(
    _ language: RunConfiguration.Language, part: ScoredPart, columns: ColumnChoice,
    gold: [[String]], predicted: [[String]]
  ) throws {
    try write(language: language.code, part: part, predicted: predicted) {
      let files = part == .dev ? language.dev : language.test
      let sentences = try TaggedText(reading: files, columns: columns).sentences
      guard sentences.map(\.tags) == gold else {
        throw RunError(
          .data, "\(files.joined(separator: ", ")): changed while stage '\(stage.name)' ran")
      }
      return sentences
    }
  }
}
