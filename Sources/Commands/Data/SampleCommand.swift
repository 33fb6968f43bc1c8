import Configuration
import Corpus
import Foundation
import Tokenizers
import Training

/// `isogloss sample`: synthetic corpora, made and not copied.
enum SampleCommand {
  static let command = Command(
    "sample",
    "Makes synthetic corpora of the same sentences in several languages, and a tokenizer for them.",
    options: [
      Option("out", value: "DIR", "Where XX.train.conll, XX.dev.conll, XX.test.conll go."),
      Option(
        "languages", value: "en,de,…", default: SampleCorpus.allLanguages.joined(separator: ","),
        "Codes of the languages."),
      Option("sentences", value: "N", default: "2000", "Training sentences a language."),
      Option("seed", value: "S", default: "1", "The same seed gives the same bytes."),
    ], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    guard let directory = arguments.value("out") else {
      throw UsageError("--out is missing: where the corpora go", command: "isogloss sample")
    }
    let known = SampleCorpus.allLanguages
    let languages = arguments.value("languages")?.split(separator: ",").map(String.init) ?? known
    for language in languages where !known.contains(language) {
      throw UsageError(
        "no sample language '\(language)'; known: \(known.joined(separator: ", "))",
        command: "isogloss sample")
    }
    let sentences = try arguments.integer("sentences", in: 1...1_000_000) ?? 2000
    let seed = try arguments.integer("seed", in: 0...Int.max) ?? 1
    let corpus = SampleCorpus(
      languages: languages, sentences: sentences, seed: UInt64(seed))
    try corpus.write(to: directory)
    Terminal.reporter().line(
      "\(directory): \(languages.count) languages, \(sentences) training sentences each, and a "
        + "tokenizer")
  }
}
