import Configuration
import Corpus
import Foundation
import Tokenizers
import Training

/// `isogloss tokenizer train`: a SentencePiece tokenizer of many languages, in XLM-R's layout.
enum TokenizerTrainCommand {
  static let command = Command(
    "tokenizer train",
    "Trains a SentencePiece tokenizer on text of many languages, with XLM-R's special tokens and ids.",
    options: [
      Option(
        "input", value: "[CODE=]FILE", takesMany: true,
        "Text of a language, plain, gzip or Zstandard; CODE is the file's name up to its first dot."
      ),
      Option("out", value: "DIR", "Where the tokenizer goes: a new directory."),
      Option("vocab-size", value: "N", default: "32002", "All ids, special tokens included."),
      Option("model-type", value: "KIND", default: "unigram", "unigram or bpe."),
      Option(
        "sampling-alpha", value: "A", default: "0.3",
        "Exponent of the languages' shares of lines: 1 is natural, 0 the same for all."),
      Option(
        "character-coverage", value: "C", default: "0.9995",
        "Share of all characters that pieces are made of; rarer ones are unknown."),
      Option(
        "sentences", value: "N", default: "1000000", "Lines drawn at most, over all languages."),
      Option("seed", value: "S", default: "1", "The same seed gives the same bytes."),
      Option("json", "Prints one JSON object a language on standard output, and one of all."),
    ],
    notes: [
      "Text is UTF-8, a sentence or paragraph a line; blank lines count for nothing. Several files may have "
        + "one code. A language with fewer lines than its share gives them several times.",
      "DIR gets sentencepiece.bpe.model, tokenizer.json, tokenizer_config.json and special_tokens_map.json, "
        + "which transformers' AutoTokenizer and --tokenizer read.",
    ], run: run)

  private static let program = "isogloss tokenizer train"

  static func run(_ arguments: ParsedArguments) throws {
    guard let directory = arguments.value("out") else {
      throw UsageError("--out is missing: where the tokenizer goes", command: program)
    }
    let words = arguments.values("input")
    guard !words.isEmpty else {
      throw UsageError("--input is missing: the text to train on", command: program)
    }
    var training = TokenizerTraining(texts: try texts(words))
    if let size = try arguments.integer("vocab-size", in: TokenizerTraining.vocabularySizes) {
      training.vocabularySize = size
    }
    let kinds = SentencePieceKind.allCases.map(\.rawValue)
    if let kind = try arguments.choice("model-type", of: kinds).flatMap(SentencePieceKind.init) {
      training.kind = kind
    }
    if let alpha = try number("sampling-alpha", arguments, in: 0...1) {
      training.samplingAlpha = alpha
    }
    let coverages = TokenizerTraining.characterCoverages
    if let coverage = try number("character-coverage", arguments, in: coverages) {
      training.characterCoverage = coverage
    }
    if let limit = try arguments.integer("sentences", in: 1...Int.max) {
      training.lineLimit = limit
    }
    if let seed = try arguments.integer("seed", in: 0...Int.max) { training.seed = UInt64(seed) }

    let reporter = Terminal.reporter()
    let report = try training.run(to: directory) { reporter.line($0) }
    Terminal.write(report.text)
    if arguments.has("json") {
      for row in report.rows {
        try JSONLine.print(row)
      }
    }
  }

  /// The files of each language.
  private static func texts(_ words: [String]) throws -> [TrainingText] {
    var texts: [TrainingText] = []
    for word in words {
      let (language, file) = try input(word)
      if let place = texts.firstIndex(where: { $0.language == language }) {
        texts[place].files.append(file)
      } else {
        texts.append(TrainingText(language: language, files: [file]))
      }
    }
    return texts
  }

  /// A code and a file: `CODE=FILE`, or a file whose name begins with the code.
  private static func input(_ word: String) throws -> (language: String, file: String) {
    var (language, file) = ("", word)
    if let sign = word.firstIndex(of: "="), !word[..<sign].contains("/") {
      (language, file) = (String(word[..<sign]), String(word[word.index(after: sign)...]))
    } else {
      let name = word.split(separator: "/").last ?? ""
      language = String(name.prefix { $0 != "." })
    }
    guard !language.isEmpty, language != "all", !file.isEmpty else {
      throw UsageError(
        "--input '\(word)' names no language; write CODE=FILE, with a code other than 'all'",
        command: program)
    }
    return (language, file)
  }

  private static func number(
    _ option: String, _ arguments: ParsedArguments, in range: ClosedRange<Double>
  ) throws -> Double? {
    guard let text = arguments.value(option) else { return nil }
    guard let value = Double(text), range.contains(value) else {
      throw UsageError(
        "--\(option) must be a number from \(range.lowerBound) to \(range.upperBound), "
          + "found '\(text)'", command: program)
    }
    return value
  }
}
