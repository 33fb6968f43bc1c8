public import Configuration
public import Corpus

/// The own keys of the Byte-CRF.
public struct ByteCRFOptions: UnitOptions {
  public var units = WordUnits.bytes
  /// Bytes or characters of a word that are read.
  public var wordLength = 64
  public var embeddingSize = 256
  public var wordLayers = 2
  public var wordUnits = 256
  public var sentenceLayers = 1
  public var sentenceUnits = 256
  public var dropout = 0.2
  /// Whether the chain scores its first and last label.
  public var chainEnds = false
  public var columns = ColumnChoice()

  public init() {}

  public static let keys: [TaskKey<ByteCRFOptions>] = [
    TaskKey("units", \.units, "What words are read as."),
    TaskKey(
      "word_length", \.wordLength, must: .inside(1...4096),
      "A word is cut after so many bytes or characters; the ledger counts cut words."),
    TaskKey(
      "embedding_size", \.embeddingSize, must: .inside(1...4096), "Columns of their embeddings."),
    TaskKey(
      "word_layers", \.wordLayers, must: .inside(1...8), "Bidirectional LSTM layers over a word."),
    TaskKey(
      "word_units", \.wordUnits, must: .inside(1...4096), "Units of a direction of these layers."),
    TaskKey(
      "sentence_layers", \.sentenceLayers, must: .inside(1...8),
      "Bidirectional LSTM layers over the words of a sentence."),
    TaskKey(
      "sentence_units", \.sentenceUnits, must: .inside(1...4096),
      "Units of a direction of these layers."),
    TaskKey(
      "dropout", \.dropout, must: .inside(0...0.999),
      "Dropout of the inputs and the outputs of the layers, at both levels."),
    TaskKey(
      "chain_ends", \.chainEnds,
      "Whether the CRF scores the first and the last label of a sentence."),
    TaskKey("columns", \.columns, "Columns of CoNLL files."),
  ]
}
