public import Configuration
public import Corpus
public import Model

/// The own keys of token classification.
public struct TaggingOptions: TaskOptions {
  public var labels = LabelPolicy.union
  public var head = HeadKind.softmax
  /// See ``HeadShape``.
  public var headLayers = 1
  public var sentenceUnits = 0
  public var chainEnds = true
  public var columns = ColumnChoice()
  /// Tokens that neighbouring windows of a long sentence share at most; nil for ``overlap(windowLength:)`` to choose.
  public var windowStride: Int?
  public var labelSmoothingFactor = 0.0
  /// Dropout before the head; nil for the model's own.
  public var classifierDropout: Double?

  public init() {}

  public static let keys: [TaskKey<TaggingOptions>] = [
    TaskKey("labels", \.labels, "One label set for all languages, or a head for each."),
    TaskKey("head", \.head, "What scores the words."),
    TaskKey(
      "head_layers", \.headLayers, must: .inside(1...64),
      "How many of the encoder's last layers a word is read from, beside each other."),
    TaskKey(
      "sentence_units", \.sentenceUnits, must: .inside(0...4096),
      "Units of a direction of a bidirectional LSTM over the words of a sentence; 0 for none."),
    TaskKey(
      "chain_ends", \.chainEnds,
      "Whether a CRF scores the first and the last label of a sentence."),
    TaskKey("columns", \.columns, "Columns of CoNLL files."),
    TaskKey(
      "window_stride", \.windowStride, must: .atLeast(0),
      default: "a quarter of a window, at most 64",
      otherNames: ["stride", "doc_stride"],
      "Tokens that neighbouring windows of a sentence share at most."),
    TaskKey(
      "label_smoothing_factor", \.labelSmoothingFactor, must: .inside(0...0.999),
      "Share of the target spread over all labels."),
    TaskKey(
      "classifier_dropout", \.classifierDropout, must: .inside(0...0.999), default: "the model's",
      "Dropout before the head."),
  ]

  /// A CRF scores whole chains of labels, not words.
  public var wordLabels: WordLabels { head == .crf ? .labels : .probabilities }

  public func check(_ own: OwnKeys) throws(ConfigError) {
    guard columns.token != columns.tag else {
      throw own.error(at: "columns", "columns: token and tag are both column \(columns.token)")
    }
    var longest = own.stage.maxLength ?? own.run.maxLength
    if longest == nil, case .shape(let shape)? = own.run.start { longest = shape.longestSequence }
    if let stride = windowStride, let longest, stride >= longest - 2 {
      throw own.error(
        at: "window_stride",
        "window_stride: \(stride) leaves no room in windows of \(longest) tokens, 2 of them "
          + "special; use \(max(0, longest - 3)) or less")
    }
  }

  var headShape: HeadShape {
    var shape = HeadShape(head)
    shape.encoderLayers = headLayers
    shape.sentenceUnits = sentenceUnits
    shape.hasEnds = chainEnds
    return shape
  }

  /// The tokens that neighbouring windows share at most when windows have `windowLength` tokens:
  /// ``windowStride``, or else a quarter of a window's words and at most 64.
  ///
  /// - Precondition: `windowLength ≥ 3`.
  public func overlap(windowLength: Int) -> Int {
    precondition(windowLength >= 3, "a window of \(windowLength) tokens")
    return min(windowStride ?? min(64, (windowLength - 2) / 4), windowLength - 3)
  }
}

extension LabelPolicy: ConfigChoice {}
extension HeadKind: ConfigChoice {}

extension ColumnChoice: WritableConfigValue {
  public static var kind: String { "mapping {token, tag}" }

  public static func read(_ node: YAMLNode, key: String) throws(ConfigError) -> ColumnChoice {
    try ColumnsFile.read(node, key: key).choice
  }

  public var yaml: String { "{token: \(token), tag: \(tag)}" }
}

/// `columns:`.
private struct ColumnsFile: ConfigRecord {
  var token: Placed<Int>?
  var tag: Placed<Int>?

  static let fields: [Field<ColumnsFile, ColumnChoice>] = [
    Field("token", \.token, default: "0", "Column of the word, from 0, or from -1 backwards."),
    Field("tag", \.tag, default: "-1", "Column of the tag, likewise."),
  ]

  var choice: ColumnChoice {
    let standard = ColumnChoice()
    return ColumnChoice(token: token?.value ?? standard.token, tag: tag?.value ?? standard.tag)
  }
}
