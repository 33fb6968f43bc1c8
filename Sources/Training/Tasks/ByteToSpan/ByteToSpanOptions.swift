public import Configuration
public import Corpus

/// The own keys of Byte-to-Span.
public struct ByteToSpanOptions: TaskOptions {
  /// Bytes of a window.
  public var window = 60
  /// Bytes from the beginning of a window to that of the next, where text is labelled.
  public var testStride = 30
  public var embeddingSize = 256
  public var outputEmbeddingSize = 320
  /// Layers of the encoder, and of the decoder.
  public var layers = 4
  public var units = 320
  public var byteDropout = 0.3
  public var dropout = 0.5
  public var columns = ColumnChoice()

  public init() {}

  public static let keys: [TaskKey<ByteToSpanOptions>] = [
    TaskKey(
      "window", \.window, must: .inside(1...4096),
      "Bytes that are read at once; the ledger counts entities of more, which cannot be found."),
    TaskKey(
      "test_stride", \.testStride, must: .inside(1...4096),
      "Bytes from one window to the next where text is labelled; those of training begin at every byte."
    ),
    TaskKey(
      "embedding_size", \.embeddingSize, must: .inside(1...4096), "Columns of byte embeddings."),
    TaskKey(
      "output_embedding_size", \.outputEmbeddingSize, must: .inside(1...4096),
      "Columns of the embeddings of the decoder's outputs."),
    TaskKey(
      "layers", \.layers, must: .inside(1...8), "LSTM layers of the encoder, and of the decoder."),
    TaskKey("units", \.units, must: .inside(1...4096), "Units of these layers."),
    TaskKey(
      "byte_dropout", \.byteDropout, must: .inside(0...0.999),
      "Share of bytes that training replaces by one symbol."),
    TaskKey(
      "dropout", \.dropout, must: .inside(0...0.999),
      "Dropout of the inputs and the outputs of the layers: 0.5 in the paper, 0.2 in its released code."
    ),
    TaskKey("columns", \.columns, "Columns of CoNLL files."),
  ]

  public func check(_ own: OwnKeys) throws(ConfigError) {
    guard columns.token != columns.tag else {
      throw own.error(at: "columns", "columns: token and tag are both column \(columns.token)")
    }
    guard testStride <= window else {
      throw own.error(
        at: "test_stride",
        "test_stride: windows of \(window) bytes every \(testStride) bytes leave some unread; use \(window) or less"
      )
    }
  }

  /// The decoder scores spans, not words.
  public var wordLabels: WordLabels { .labels }
}
