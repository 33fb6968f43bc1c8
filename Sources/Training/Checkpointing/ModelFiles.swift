public import Checkpoints
import Corpus
public import Files
public import Model
public import Tensors
public import Tokenizers

/// A network and what belongs to it: as it is trained, and as it lies in a directory.
public struct TrainedModel: Sendable {
  public var network: any Network
  public var parameters: ParameterSet
  /// The files whose pages hold weights.
  private var mapped: [SafetensorsFile] = []

  public init(network: any Network, parameters: ParameterSet) {
    self.network = network
    self.parameters = parameters
  }
}

/// Which of a model's weights, where they are stored as fp32, stay in its files instead of being copied.
public enum WeightMapping: Sendable {
  case none
  /// The word table, until rows of it are used: for training.
  case table
  /// All but those of query, key and value, which one product reads as one matrix: for a model that is not trained.
  case all
}

/// What was not found, and not used, when weights were read from a directory.
public struct WeightReport: Sendable, Equatable {
  /// Parameters of the model that the directory does not have.
  public var missing: [String] = []
  /// Tensors of the directory that the model does not use.
  public var unused: [String] = []
}

extension EncoderConfiguration {
  /// The shape that a `config.json` gives.
  ///
  /// - Throws: ``FileError`` where the padding id leaves no position to a RoBERTa.
  public init(_ config: HuggingFaceConfig, path: String) throws(FileError) {
    let family = config.modelType
    self.init(
      family: family, vocabularySize: config.vocabularySize, hiddenSize: config.hiddenSize,
      layerCount: config.layerCount, headCount: config.headCount,
      innerSize: config.intermediateSize, positionCount: config.maximumPositions,
      tokenTypeCount: config.tokenTypeCount, layerNormEpsilon: Float(config.layerNormEpsilon),
      paddingID: config.padTokenID ?? (family == .bert ? 0 : 1))
    hiddenDropout = Float(config.hiddenDropout)
    attentionDropout = Float(config.attentionDropout)
    classifierDropout = config.classifierDropout.map { Float($0) }
    initializerRange = Float(config.initializerRange)
    tiesWordEmbeddings = config.tiesWordEmbeddings
    if let problem {
      throw FileError(.data, path, field: problem.key, problem.message)
    }
  }

  /// What of this shape cannot be computed, by its key in `config.json`; nil if nothing.
  public var problem: (key: String, message: String)? {
    guard longestSequence >= 3 else {
      return (
        "max_position_embeddings",
        "\(positionCount) positions leave no room for a sequence; this family begins at position "
          + "\(positionOffset)"
      )
    }
    guard hiddenSize % headCount == 0, headWidth % 4 == 0, headWidth <= 256 else {
      return (
        "num_attention_heads",
        "heads of width \(headWidth): it must be a multiple of 4 and at most 256"
      )
    }
    guard initializer == .normal || headWidth >= 8 else {
      return ("initializer", "mimetic needs heads of width 8 or more, and these have \(headWidth)")
    }
    let rates = [
      ("hidden_dropout_prob", hiddenDropout), ("attention_probs_dropout_prob", attentionDropout),
      ("classifier_dropout", classifierDropout ?? 0),
    ]
    for (key, rate) in rates where !(rate >= 0 && rate < 1) {
      return (key, "\(rate): a rate of dropout is at least 0 and below 1")
    }
    return nil
  }

  /// Sees to it that a directory holds this encoder's tensors, before memory is taken for them.
  ///
  /// - Throws: ``FileError`` naming the tensor that is missing or of another shape.
  public func checkTensors(directory: String) throws(FileError) {
    let weights = try CheckpointWeights(directory: directory)
    var layout = ParameterLayout()
    _ = Encoder(self, in: &layout)
    for entry in layout.entries {
      let stored = TrainedModel.spelling(of: entry.name, in: weights).flatMap { weights[$0] }
      guard let stored else { throw TrainedModel.missing(entry.name, in: weights) }
      guard stored.shape == entry.shape else {
        throw FileError(
          .data, weights.path, field: entry.name,
          "has shape \(stored.shape), where config.json makes it \(entry.shape)")
      }
    }
  }

  /// This shape as a `config.json`.
  ///
  /// - Parameters:
  ///   - architecture: The end of the name of the class that loads the model: `ForTokenClassification`.
  ///   - base: The config the model began as: keys that are not known here are kept.
  public func huggingFace(
    as architecture: String, over base: HuggingFaceConfig?, labels: [String]?,
    specials: SpecialTokens
  ) -> HuggingFaceConfig {
    var config = base ?? HuggingFaceConfig(family)
    config.vocabularySize = vocabularySize
    config.hiddenSize = hiddenSize
    config.layerCount = layerCount
    config.headCount = headCount
    config.intermediateSize = innerSize
    config.maximumPositions = positionCount
    config.tokenTypeCount = tokenTypeCount
    config.layerNormEpsilon = Double("\(layerNormEpsilon)") ?? Double(layerNormEpsilon)
    config.padTokenID = paddingID
    if family != .bert {
      config.bosTokenID = Int(specials.start)
      config.eosTokenIDs = [Int(specials.end)]
    }
    config.hiddenDropout = Double("\(hiddenDropout)") ?? Double(hiddenDropout)
    config.attentionDropout = Double("\(attentionDropout)") ?? Double(attentionDropout)
    config.classifierDropout = classifierDropout.map { Double("\($0)") ?? Double($0) }
    config.initializerRange = Double("\(initializerRange)") ?? Double(initializerRange)
    config.tiesWordEmbeddings = tiesWordEmbeddings
    config.labels = labels
    config.elementType = "float32"
    let class0 =
      switch family {
      case .bert: "Bert"
      case .roberta: "Roberta"
      case .xlmRoberta: "XLMRoberta"
      }
    config.architectures = [class0 + architecture]
    return config
  }
}

extension TrainedModel {
  /// Reads weights into the parameters, converting fp16 and bf16 to fp32.
  ///
  /// Names may carry the prefix of any of the families, or none, and normalisation may be called `gamma`
  /// and `beta` as in old files.
  ///
  /// - Parameters:
  ///   - needsHeads: Whether a missing head is an error; a missing part of the encoder always is.
  ///   - mapping: What stays in the files. They must not be shortened then, since touching a page that is gone ends the
  ///     process, nor written to: see ``confirmUnwritten()``.
  /// - Throws: ``FileError`` naming the tensor that is missing or of another shape.
  public mutating func readWeights(
    directory: String, needsHeads: Bool, mapping: WeightMapping = .none
  ) throws(FileError) -> WeightReport {
    let weights = try CheckpointWeights(directory: directory)
    var report = WeightReport()
    var used: Set<String> = []
    for (index, entry) in network.layout.entries.enumerated() {
      guard let name = Self.spelling(of: entry.name, in: weights) else {
        if needsHeads || network.layout.entries[index].group == .encoder {
          throw Self.missing(entry.name, in: weights)
        }
        report.missing.append(entry.name)
        continue
      }
      used.insert(name)
      if !needsHeads, entry.group != .encoder, let stored = weights[name],
        stored.shape != entry.shape
      {
        report.missing.append(entry.name)
        continue
      }
      if weights[name]?.shape == entry.shape,
        try map(index, mapping, to: name, of: weights.file(of: name))
      {
        continue
      }
      try parameters.update(entry: index) { (span) throws(FileError) in
        try weights.read(name, shape: entry.shape, into: &span)
      }
    }
    report.unused = weights.tensors.map(\.name).filter { !used.contains($0) }
    return report
  }

  /// Checks that nobody has written to files that hold weights of this model: what it gave since then would be of
  /// other weights.
  ///
  /// - Throws: ``FileError`` with the file.
  public func confirmUnwritten() throws(FileError) {
    for file in mapped { try file.confirmUnwritten() }
  }

  /// Lets an entry stay in a file, if it may and can.
  private mutating func map(
    _ index: Int, _ mapping: WeightMapping, to name: String, of file: SafetensorsFile
  ) throws(FileError) -> Bool {
    guard let place = file.place(of: name) else { return false }
    let isMapped: Bool
    switch mapping {
    case .none: return false
    case .table:
      isMapped = parameters.map(entry: index, file: place.descriptor, offset: place.offset)
    case .all:
      isMapped = unsafe parameters.lend(entry: index, try file.mappedBytes(of: name), of: file)
      if isMapped, !network.layout.entries[index].isTable { try file.prepareToRead(name) }
    }
    if isMapped, !mapped.contains(where: { $0 === file }) { mapped.append(file) }
    return isMapped
  }

  fileprivate static func missing(_ name: String, in weights: CheckpointWeights) -> FileError {
    FileError(
      .data, weights.path, field: name,
      "the directory has no such tensor; is it a model of another kind or shape?")
  }

  fileprivate static func spelling(of name: String, in weights: CheckpointWeights) -> String? {
    var spellings = [name]
    if name.hasSuffix("LayerNorm.weight") { spellings.append(name.dropLast(6) + "gamma") }
    if name.hasSuffix("LayerNorm.bias") { spellings.append(name.dropLast(4) + "beta") }
    // The bias of a masked language model's decoder has two names.
    for head in ["lm_head", "cls.predictions"] {
      if name == head + ".bias" { spellings.append(head + ".decoder.bias") }
      if name == head + ".decoder.bias" { spellings.append(head + ".bias") }
    }
    for base in spellings {
      for prefix in ["", "bert.", "roberta."] where weights[prefix + base] != nil {
        return prefix + base
      }
    }
    return nil
  }

  /// The bytes that the weights take on disk.
  public var byteCount: Int { SafetensorsWriter.byteCount(declarations) }

  private var declarations: [SafetensorsWriter.Declaration] { declarations(.f32) }

  private func declarations(_ type: ElementType) -> [SafetensorsWriter.Declaration] {
    network.layout.entries.indices.map {
      .init(network.fileName(ofEntry: $0), network.layout.entries[$0].shape, type)
    }
  }

  /// Writes the weights into a directory.
  ///
  /// With one head they are what `transformers` loads as a token classifier. Heads of single languages, and chains, are
  /// further tensors that it leaves alone.
  ///
  /// - Parameters:
  ///   - type: What weights are stored as: `f32`, or `bf16`, to which they are rounded.
  ///   - shardBytes: The bytes of a file of weights at most, where more than one tensor is in it; larger models are
  ///     files with an index. Nil for one file.
  public func writeWeights(
    into directory: String, type: ElementType = .f32, shardBytes: Int? = nil
  ) throws(FileError) {
    try confirmUnwritten()
    try CheckpointWeights.write(
      declarations(type), into: directory, shardBytes: shardBytes
    ) { (index, writer) throws(FileError) in
      let name = network.fileName(ofEntry: index)
      try parameters.read(entry: index) { (span) throws(FileError) in
        try writer.append(name, span)
      }
    }
  }
}
