import Checkpoints
public import Configuration
public import Corpus
import Files
import Foundation

/// What a finished stage keeps of its labels: `STAGE/predictions`, with a manifest.
///
/// ```
/// LANG.PART.conll        word, gold tag, predicted tag
/// LANG.PART.counts.tsv   the counts of each sentence, without text; see ``SentenceCounts``
/// ```
public struct PredictionFiles: Sendable {
  /// Where files are written; nil on all ranks but the first, which write nothing.
  let directory: String?
  let stage: Stage

  /// Writes the labels of a part of a language. Cost: nothing on other ranks than the first.
  ///
  /// - Parameters:
  ///   - sentences: With their words and gold tags; made on the first rank alone.
  ///   - predicted: The tags of each sentence.
  /// - Throws: ``FileError`` of code `data` where a predicted tag is not IOB2's.
  public func write(
    language: String, part: ScoredPart, predicted: [[String]],
    sentences: () throws -> [Sentence]
  ) throws {
    guard let directory else { return }
    let sentences = try sentences()
    let path = "\(directory)/\(language).\(part.rawValue)"
    var origin = SentenceCounts.Origin(
      system: stage.system, stage: stage.name, seed: stage.seed, language: language,
      part: part.rawValue, trained: stage.languages)
    origin.isTry = stage.tryOf != nil
    let counts: SentenceCounts
    do {
      counts = try SentenceCounts(sentences, predicted: predicted, origin: origin)
    } catch {
      let sentence = sentences[error.sentence]
      throw FileError(
        .data, sentence.path, line: sentence.line(ofWord: error.token),
        "tag \(error.tag) \(error.message)")
    }
    var text = ""
    var document: (path: String, number: Int32)?
    for (sentence, tags) in zip(sentences, predicted) {
      let own = (path: sentence.path, number: sentence.document)
      if sentence.document > 0, document.map({ $0 != own }) ?? true {
        text += "-DOCSTART-\tO\tO\n\n"
      }
      document = own
      for ((word, gold), tag) in zip(zip(sentence.words, sentence.tags), tags) {
        text += "\(Self.cell(word))\t\(gold)\t\(tag)\n"
      }
      text += "\n"
    }
    try WholeFile.write(Array(text.utf8), to: path + ".conll")
    try WholeFile.write(Array(counts.text.utf8), to: path + ".counts.tsv")
  }

  /// A word as it can stand in a column: those of JSON lines may hold tabs and line ends.
  private static func cell(_ word: String) -> String {
    String(
      String.UnicodeScalarView(
        word.unicodeScalars.map { "\t\n\r".unicodeScalars.contains($0) ? " " : $0 }))
  }
}
