public import Files
import Foundation

/// The shape of an encoder as Hugging Face's `config.json` gives it.
///
/// Reading is lenient about what is absent, which gets the default that `transformers` 5 has for the
/// model type, and about keys it does not know, which are kept and written back; it is strict about
/// values that this program cannot run.
public struct HuggingFaceConfig: Sendable, Equatable {
  /// Key `model_type`.
  public var modelType: EncoderFamily
  public var vocabularySize: Int
  public var hiddenSize: Int
  public var layerCount: Int
  public var headCount: Int
  public var intermediateSize: Int
  /// The activation of the feed-forward half; always `gelu`, with the error function.
  public var hiddenActivation = "gelu"
  public var maximumPositions: Int
  public var tokenTypeCount: Int
  public var layerNormEpsilon: Double
  public var padTokenID: Int?
  public var bosTokenID: Int?
  /// The end tokens: none, one, or several.
  public var eosTokenIDs: [Int]
  public var hiddenDropout: Double
  public var attentionDropout: Double
  /// The dropout before a classifier; nil for ``hiddenDropout``.
  public var classifierDropout: Double?
  public var initializerRange: Double
  /// Whether the decoder of a masked language model is its word table.
  public var tiesWordEmbeddings = true
  /// The classes that write the weights, such as `BertForTokenClassification`.
  public var architectures: [String]
  /// The labels in the order of their ids; nil when the file names none.
  public var labels: [String]?
  /// The number of labels when ``labels`` is nil: what `num_labels` says, or 2 as in `transformers`.
  public var unnamedLabelCount = 2
  /// The number of labels, named or not.
  public var labelCount: Int { labels?.count ?? unnamedLabelCount }
  /// The type of the stored weights, such as `float32`; nil when the file does not say, in which case
  /// `transformers` 5 takes that of a tensor it finds.
  public var elementType: String?
  /// The file's members as they were read. Known keys are replaced when written.
  public private(set) var members = JSONObject()

  static let byteLimit = 10_000_000

  /// The config that `transformers` makes for `modelType` when told nothing more.
  public init(_ modelType: EncoderFamily) {
    self.modelType = modelType
    vocabularySize = modelType == .roberta ? 50265 : 30522
    hiddenSize = 768
    layerCount = 12
    headCount = 12
    intermediateSize = 3072
    maximumPositions = 512
    tokenTypeCount = 2
    layerNormEpsilon = 1e-12
    padTokenID = modelType == .bert ? 0 : 1
    bosTokenID = modelType == .bert ? nil : 0
    eosTokenIDs = modelType == .bert ? [] : [2]
    hiddenDropout = 0.1
    attentionDropout = 0.1
    classifierDropout = nil
    initializerRange = 0.02
    architectures = []
    labels = nil
    elementType = nil
  }

  /// Reads `config.json` in `directory`.
  ///
  /// - Throws: ``FileError``: `missing`, `io`, or `data` with the key that is wrong.
  public init(directory: String) throws(FileError) {
    try self.init(path: directory + "/config.json")
  }

  /// Reads the config at `path`, of at most 10 MB.
  public init(path: String) throws(FileError) {
    let bytes = try WholeFile.read(path, limit: Self.byteLimit)
    try self.init(parsing: JSONValue(parsing: bytes, path: path), path: path)
  }

  // MARK: Reading

  /// Reads a config from its JSON object; `path` is for messages.
  public init(parsing root: JSONValue, path: String) throws(FileError) {
    guard let object = root.object else {
      throw FileError(.data, path, "is not a JSON object")
    }
    let keys = ConfigKeys(object: object, path: path)
    guard let name = try keys.text("model_type") else {
      throw keys.wrong("model_type", "is missing")
    }
    guard let type = EncoderFamily(rawValue: name) else {
      let known = EncoderFamily.allCases.map(\.rawValue).joined(separator: ", ")
      throw keys.wrong("model_type", "‘\(printable(name, limit: 40))’ is none of \(known)")
    }
    self.init(type)
    members = object
    try readShape(keys)
    try readTraining(keys)
    try refuseOtherModels(keys)
    try readLabels(keys)
  }

  private mutating func readShape(_ keys: ConfigKeys) throws(FileError) {
    vocabularySize = try keys.count("vocab_size", 1...1 << 24) ?? vocabularySize
    hiddenSize = try keys.count("hidden_size", 1...1 << 16) ?? hiddenSize
    layerCount = try keys.count("num_hidden_layers", 1...1024) ?? layerCount
    headCount = try keys.count("num_attention_heads", 1...1024) ?? headCount
    intermediateSize = try keys.count("intermediate_size", 1...1 << 20) ?? intermediateSize
    maximumPositions = try keys.count("max_position_embeddings", 1...1 << 20) ?? maximumPositions
    tokenTypeCount = try keys.count("type_vocab_size", 1...1024) ?? tokenTypeCount
    layerNormEpsilon =
      try keys.number("layer_norm_eps", .leastNonzeroMagnitude...1) ?? layerNormEpsilon
    guard hiddenSize % headCount == 0 else {
      throw keys.wrong(
        "num_attention_heads", "\(headCount) heads do not divide hidden_size \(hiddenSize)")
    }
    if keys.has("pad_token_id") {
      padTokenID = try keys.count("pad_token_id", 0...vocabularySize - 1, orNull: true)
    }
    if let pad = padTokenID, pad >= vocabularySize {
      throw keys.wrong("vocab_size", "\(vocabularySize) has no room for pad_token_id \(pad)")
    }
    if keys.has("bos_token_id") {
      bosTokenID = try keys.count("bos_token_id", 0...1 << 24, orNull: true)
    }
    if keys.has("eos_token_id") {
      eosTokenIDs = try keys.counts("eos_token_id", 0...1 << 24)
    }
  }

  private mutating func readTraining(_ keys: ConfigKeys) throws(FileError) {
    hiddenDropout = try keys.number("hidden_dropout_prob", 0...1) ?? hiddenDropout
    attentionDropout = try keys.number("attention_probs_dropout_prob", 0...1) ?? attentionDropout
    classifierDropout = try keys.number("classifier_dropout", 0...1, orNull: true)
    initializerRange = try keys.number("initializer_range", 0...100) ?? initializerRange
    tiesWordEmbeddings = try keys.flag("tie_word_embeddings") ?? true
    architectures = try keys.texts("architectures") ?? []
    elementType = try keys.text(keys.has("dtype") ? "dtype" : "torch_dtype")
  }

  /// Refuses keys whose values name another computation than this program's.
  private func refuseOtherModels(_ keys: ConfigKeys) throws(FileError) {
    if let activation = try keys.text("hidden_act"), activation != "gelu" {
      throw keys.wrong("hidden_act", "‘\(printable(activation, limit: 40))’ is not ‘gelu’")
    }
    if let kind = try keys.text("position_embedding_type"), kind != "absolute" {
      throw keys.wrong(
        "position_embedding_type", "‘\(printable(kind, limit: 40))’ is not ‘absolute’")
    }
    for key in ["is_decoder", "add_cross_attention"] where try keys.flag(key) == true {
      throw keys.wrong(key, "is true; only encoders are supported")
    }
  }

  private mutating func readLabels(_ keys: ConfigKeys) throws(FileError) {
    let limit = 1 << 16
    let declared = try keys.count("num_labels", 1...limit)
    if let names = members["id2label"]?.object {
      var byID: [Int: String] = [:]
      for member in names.members {
        guard let id = Int(member.name), let label = member.value.string else {
          throw keys.wrong("id2label", "‘\(printable(member.name, limit: 40))’ names no label")
        }
        byID[id] = label
      }
      labels = try keys.inOrder("id2label", byID, limit: limit)
    } else if let ids = members["label2id"]?.object, !ids.members.isEmpty {
      var byID: [Int: String] = [:]
      for member in ids.members {
        guard let id = member.value.int else {
          throw keys.wrong("label2id", "‘\(printable(member.name, limit: 40))’ has no id")
        }
        byID[id] = member.name
      }
      guard byID.count == ids.members.count else {
        throw keys.wrong("label2id", "two labels have the same id")
      }
      labels = try keys.inOrder("label2id", byID, limit: limit)
    }
    if let labels, let declared, declared != labels.count {
      throw keys.wrong("num_labels", "\(declared), but \(labels.count) labels are named")
    }
    unnamedLabelCount = declared ?? 2
  }

  // MARK: Writing

  /// The config as a JSON object: the keys that were read, those of this type replaced or added, in
  /// alphabetical order as `transformers` has them.
  public var json: JSONValue {
    var object = members
    object["model_type"] = .string(modelType.rawValue)
    for (key, value) in [
      ("vocab_size", vocabularySize), ("hidden_size", hiddenSize),
      ("num_hidden_layers", layerCount), ("num_attention_heads", headCount),
      ("intermediate_size", intermediateSize), ("max_position_embeddings", maximumPositions),
      ("type_vocab_size", tokenTypeCount),
    ] {
      object[key] = JSONValue(value)
    }
    for (key, value) in [
      ("layer_norm_eps", layerNormEpsilon), ("hidden_dropout_prob", hiddenDropout),
      ("attention_probs_dropout_prob", attentionDropout), ("initializer_range", initializerRange),
    ] where object[key]?.double != value {
      object[key] = JSONValue(value)
    }
    object["hidden_act"] = .string(hiddenActivation)
    object["pad_token_id"] = padTokenID.map { JSONValue($0) } ?? .null
    Self.set(&object, "bos_token_id", bosTokenID.map { JSONValue($0) })
    Self.set(&object, "classifier_dropout", classifierDropout.map { JSONValue($0) })
    switch eosTokenIDs.count {
    case 0: Self.set(&object, "eos_token_id", nil)
    case 1: object["eos_token_id"] = JSONValue(eosTokenIDs[0])
    default: object["eos_token_id"] = .array(eosTokenIDs.map { JSONValue($0) })
    }
    if !architectures.isEmpty || object["architectures"] != nil {
      object["architectures"] = .array(architectures.map { .string($0) })
    }
    if !tiesWordEmbeddings || object["tie_word_embeddings"] != nil {
      object["tie_word_embeddings"] = .bool(tiesWordEmbeddings)
    }
    let typeKey = object["torch_dtype"] != nil && object["dtype"] == nil ? "torch_dtype" : "dtype"
    Self.set(&object, typeKey, elementType.map { .string($0) })
    writeLabels(into: &object)
    return .object(object.sorted())
  }

  private func writeLabels(into object: inout JSONObject) {
    object["num_labels"] = nil
    guard let labels else {
      object["id2label"] = nil
      object["label2id"] = nil
      if labelCount != 2 { object["num_labels"] = JSONValue(labelCount) }
      return
    }
    var names = JSONObject()
    var ids = JSONObject()
    var seen: Set<String> = []
    for (id, label) in labels.enumerated() {
      names.append(unique: String(id), .string(label))
      if seen.insert(label).inserted { ids.append(unique: label, JSONValue(id)) }
    }
    object["id2label"] = .object(names)
    object["label2id"] = .object(ids)
  }

  /// Sets an optional key; an absent value is null where the file had the key or it is not in it at all.
  private static func set(_ object: inout JSONObject, _ key: String, _ value: JSONValue?) {
    if let value, value.double == nil || object[key]?.double != value.double {
      object[key] = value
    } else if value == nil, object[key] != nil {
      object[key] = .null
    }
  }

  /// Writes `config.json`, which must not exist yet, into `directory`.
  public func write(directory: String) throws(FileError) {
    try WholeFile.write(json.text, to: directory + "/config.json")
  }
}

/// The members of a config, looked up with their types and ranges checked.
private struct ConfigKeys {
  var object: JSONObject
  var path: String

  func wrong(_ key: String, _ message: String) -> FileError {
    FileError(.data, path, field: key, message)
  }

  func has(_ key: String) -> Bool { object[key] != nil }

  func count(
    _ key: String, _ range: ClosedRange<Int>, orNull: Bool = false
  ) throws(FileError) -> Int? {
    guard let value = object[key], !(orNull && value == .null) else { return nil }
    guard let count = value.int, range.contains(count) else {
      throw wrong(
        key, "\(shown(value)) is not an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return count
  }

  /// One integer, a list of them, or none for null.
  func counts(_ key: String, _ range: ClosedRange<Int>) throws(FileError) -> [Int] {
    guard let list = object[key]?.array else {
      return try count(key, range, orNull: true).map { [$0] } ?? []
    }
    var counts: [Int] = []
    for value in list {
      guard let count = value.int, range.contains(count) else {
        throw wrong(key, "\(shown(value)) is not an integer up to \(range.upperBound)")
      }
      counts.append(count)
    }
    return counts
  }

  func number(
    _ key: String, _ range: ClosedRange<Double>, orNull: Bool = false
  ) throws(FileError) -> Double? {
    guard let value = object[key], !(orNull && value == .null) else { return nil }
    guard let number = value.double, range.contains(number) else {
      throw wrong(
        key, "\(shown(value)) is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func text(_ key: String) throws(FileError) -> String? {
    guard let value = object[key], value != .null else { return nil }
    guard let text = value.string else { throw wrong(key, "\(shown(value)) is not a string") }
    return text
  }

  func texts(_ key: String) throws(FileError) -> [String]? {
    guard let value = object[key], value != .null else { return nil }
    let texts = value.array?.compactMap(\.string)
    guard let texts, texts.count == value.array?.count else {
      throw wrong(key, "\(shown(value)) is not a list of strings")
    }
    return texts
  }

  func flag(_ key: String) throws(FileError) -> Bool? {
    guard let value = object[key], value != .null else { return nil }
    guard let flag = value.bool else {
      throw wrong(key, "\(shown(value)) is neither true nor false")
    }
    return flag
  }

  /// The labels 0, 1, 2, … of a map from ids.
  func inOrder(
    _ key: String, _ byID: [Int: String], limit: Int
  ) throws(FileError) -> [String] {
    guard !byID.isEmpty, byID.count <= limit else {
      throw wrong(key, "names \(byID.count) labels, not 1 to \(limit)")
    }
    var labels: [String] = []
    for id in 0..<byID.count {
      guard let label = byID[id] else {
        throw wrong(key, "names \(byID.count) labels, but none has the id \(id)")
      }
      labels.append(label)
    }
    return labels
  }

  private func shown(_ value: JSONValue) -> String { printable(value.compactText, limit: 60) }
}
