public import Checkpoints
import Configuration
import Corpus
public import Files
public import Model
public import Tokenizers

/// What tasks over a transformer begin with: the tokenizer, and the shape of the encoder.
public struct EncoderStart: Sendable {
  public let tokenizer: any Tokenizer
  /// A file or directory.
  public let tokenizerPath: String
  /// The config that the model began as, if it came from a directory.
  public let base: HuggingFaceConfig?
  public let encoder: EncoderConfiguration
  /// Tokens of a window or sequence at most, of the stage or the run, within what the encoder takes.
  public let maxLength: Int

  /// - Throws: ``RunError`` where the config has none, or asks for more than the model has; ``FileError`` and
  ///   ``FileError`` for files.
  public init(_ setup: StageSetup) throws {
    let configuration = setup.configuration
    let key = "\(configuration.start.map { "\($0)" } ?? "")\n\(configuration.tokenizer ?? "")"
    let shared = try setup.shared.value("encoder", key: key) { try Shared(configuration) }
    (tokenizer, tokenizerPath, base) = (shared.tokenizer, shared.tokenizerPath, shared.base)
    var encoder = shared.encoder
    let training = setup.stage.training
    if let rate = training.hiddenDropoutProb { encoder.hiddenDropout = Float(rate) }
    if let rate = training.attentionProbsDropoutProb { encoder.attentionDropout = Float(rate) }
    self.encoder = encoder
    if let wanted = setup.stage.maxLength, wanted > encoder.longestSequence {
      throw RunError(
        .configuration,
        "stage '\(setup.stage.name)': max_length \(wanted) is over the \(encoder.longestSequence) tokens that the model takes"
      )
    }
    maxLength = min(setup.maxLength ?? encoder.longestSequence, encoder.longestSequence)
  }

  /// What all stages of a run begin with.
  private struct Shared: Sendable {
    var tokenizer: any Tokenizer
    var tokenizerPath: String
    var base: HuggingFaceConfig?
    var encoder: EncoderConfiguration

    init(_ configuration: RunConfiguration) throws {
      var path = configuration.tokenizer
      if case .checkpoint(let directory)? = configuration.start {
        base = try HuggingFaceConfig(directory: directory)
        path = path ?? directory
      }
      guard let path else {
        throw RunError(.configuration, "neither `tokenizer` nor `init` says where a tokenizer is")
      }
      tokenizerPath = path
      tokenizer = try TokenizerLoader.load(path)
      switch configuration.start {
      case .checkpoint(let directory)?:
        let config = try base ?? HuggingFaceConfig(directory: directory)
        encoder = try EncoderConfiguration(config, path: directory + "/config.json")
        try encoder.checkTensors(directory: directory)
        guard tokenizer.vocabularySize <= encoder.vocabularySize else {
          throw RunError(
            .data,
            "the tokenizer has \(tokenizer.vocabularySize) ids and the embedding of \(directory) "
              + "\(encoder.vocabularySize) rows; give the tokenizer that belongs to the model")
        }
      case .shape(let shape)?:
        encoder = shape
        encoder.vocabularySize = tokenizer.vocabularySize
        encoder.paddingID = Int(tokenizer.specials.padding)
        if let problem = encoder.problem {
          throw RunError(.configuration, "model.\(problem.key): \(problem.message)")
        }
      case nil:
        throw RunError(.configuration, "neither `init` nor `model` says what the encoder is")
      }
    }
  }

  /// Writes `config.json` and the tokenizer's files into a directory.
  ///
  /// - Parameters:
  ///   - network: The one that is trained, with its dropout.
  ///   - architecture: The end of the name of the class that `transformers` loads it with: `ForTokenClassification`.
  ///   - labels: The labels by id, if it has any.
  public func writeFiles(
    into directory: String, of network: EncoderConfiguration, as architecture: String,
    labels: [String]?, weights type: Checkpoints.ElementType
  ) throws(FileError) {
    try network.writeFiles(
      into: directory, as: architecture, over: base, labels: labels, tokenizer: tokenizer,
      weights: type)
  }
}

extension EncoderConfiguration {
  /// Writes this shape as `config.json`, and a tokenizer's files, into a directory.
  public func writeFiles(
    into directory: String, as architecture: String, over base: HuggingFaceConfig?,
    labels: [String]?, tokenizer: any Tokenizer, weights type: Checkpoints.ElementType = .f32
  ) throws(FileError) {
    var config = huggingFace(
      as: architecture, over: base, labels: labels, specials: tokenizer.specials)
    config.elementType = type == .bf16 ? "bfloat16" : "float32"
    try config.write(directory: directory)
    for file in tokenizer.files where file.name != "config.json" {
      try WholeFile.write(file.bytes, to: directory + "/" + file.name)
    }
  }
}
