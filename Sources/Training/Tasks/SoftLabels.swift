import Checkpoints
public import Files
import Foundation

/// The probabilities of labels behind the tags of a corpus, as `CODE.safetensors`: `probabilities`, fp32 of shape
/// `[words, labels]`, and `word_counts`, int32 of shape `[sentences]`, which prove that they fit the sentences. What the
/// labels are stands in the manifest of the same directory.
public struct SoftLabels: Sendable {
  /// In the order of the columns.
  public let labels: [String]
  /// Word bounds of the sentences, from 0.
  public let wordBounds: [Int]
  private let values: [Float]

  /// Reads those of a corpus that a stage made.
  ///
  /// - Parameter sentences: The words of each sentence that they must fit.
  /// - Throws: ``FileError`` where they are missing, damaged, or of other sentences.
  public init(_ artifact: CorpusArtifact, sentences: [Int]) throws(FileError) {
    let names = try artifact.labels()
    let path = artifact.soft
    guard !names.isEmpty, FileManager.default.fileExists(atPath: path) else {
      throw FileError(
        .missing, path,
        "the corpus has no soft labels; set soft_labels: true in the stage that makes it")
    }
    let file = try SafetensorsFile(path)
    var counts = [Int32](repeating: 0, count: sentences.count)
    guard file["word_counts"]?.count == sentences.count else {
      throw FileError(
        .data, path, field: "word_counts",
        "is of \(file["word_counts"]?.count ?? 0) sentences, and the tagged file has \(sentences.count)"
      )
    }
    var span = counts.mutableSpan
    try file.readExactly("word_counts", into: &span)
    if let other = sentences.indices.first(where: { Int(counts[$0]) != sentences[$0] }) {
      throw FileError(
        .data, path, field: "word_counts",
        "sentence \(other + 1) has \(counts[other]) words, and \(sentences[other]) in the tagged file"
      )
    }
    labels = names
    var bounds = [0]
    for count in sentences { bounds.append(bounds[bounds.count - 1] + count) }
    wordBounds = bounds
    let shape = [bounds[bounds.count - 1], names.count]
    var values = [Float](repeating: 0, count: shape[0] * shape[1])
    var target = values.mutableSpan
    try file.read("probabilities", shape: shape, into: &target)
    self.values = values
  }

  /// The probabilities of the words of a sentence, row-major `[words, labels]`.
  public func probabilities(ofSentence sentence: Int) -> ArraySlice<Float> {
    values[wordBounds[sentence] * labels.count..<wordBounds[sentence + 1] * labels.count]
  }
}
