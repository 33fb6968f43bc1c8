public import Configuration
public import Corpus

/// What decoding adds up over the bytes of a sentence; the labels with the highest sum win.
public enum ByteScores: String, ConfigChoice, CaseIterable, Sendable, Codable {
  case logProbabilities = "log_probabilities"
  /// As the paper's released code adds them.
  case probabilities
}

/// The own keys of CharNER.
public struct CharNEROptions: UnitOptions {
  public var embeddingSize = 128
  public var layers = 5
  public var layerUnits = 128
  public var byteDropout = 0.2
  public var dropout = 0.5
  public var lastDropout = 0.8
  public var decodeBy = ByteScores.logProbabilities
  public var columns = ColumnChoice()

  public init() {}

  public static let keys: [TaskKey<CharNEROptions>] = [
    TaskKey(
      "embedding_size", \.embeddingSize, must: .inside(1...4096),
      "Columns of the embeddings of bytes."
    ),
    TaskKey(
      "layers", \.layers, must: .inside(1...16), "Bidirectional LSTM layers over the bytes."),
    TaskKey(
      "layer_units", \.layerUnits, must: .inside(1...4096), "Units of a direction of these layers."
    ),
    TaskKey(
      "byte_dropout", \.byteDropout, must: .inside(0...0.999),
      "Share of the bytes whose whole embedding is dropped."),
    TaskKey(
      "dropout", \.dropout, must: .inside(0...0.999),
      "Dropout of the output of all layers but the last."
    ),
    TaskKey(
      "last_dropout", \.lastDropout, must: .inside(0...0.999), "Dropout of the last layer's output."
    ),
    TaskKey(
      "decode_by", \.decodeBy,
      "What decoding adds up over the bytes of a sentence; the highest sum wins."),
    TaskKey("columns", \.columns, "Columns of CoNLL files."),
  ]
}
