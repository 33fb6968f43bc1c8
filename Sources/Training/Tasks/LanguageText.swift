import Configuration
import Corpus

/// The files of one language, read and not yet encoded.
struct LanguageText: Sendable {
  let code: String
  let train: TaggedText?
  let dev: TaggedText?
  let test: TaggedText?
  /// Labels that the model has whether or not a sentence that it is trained on has them.
  private let known: [String]

  /// - Parameters:
  ///   - train: The files that are trained on.
  ///   - known: The labels of the models that tagged some of them.
  init(
    _ language: RunConfiguration.Language, train files: [String], known: [String],
    columns: ColumnChoice
  ) throws {
    code = language.code
    self.known = known
    train =
      files.isEmpty
      ? nil
      : try TaggedText(reading: files, columns: columns, maxSentences: language.maxSentences)
    dev = language.dev.isEmpty ? nil : try TaggedText(reading: language.dev, columns: columns)
    test = language.test.isEmpty ? nil : try TaggedText(reading: language.test, columns: columns)
  }

  var reports: [TagReport] { [train, dev, test].compactMap(\.self).flatMap(\.reports) }

  /// The labels of what is trained on, with those that a model which tagged it did not happen to use; of a language that
  /// nothing trains, those of dev and test.
  var labels: LabelSet {
    let found = LabelSet(of: train?.sentences ?? (dev?.sentences ?? []) + (test?.sentences ?? []))
    return LabelSet(union: [found, LabelSet(ordered: known)])
  }
}
