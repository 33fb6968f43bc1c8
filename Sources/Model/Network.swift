public import Tensors

/// An encoder and what stands on it: the parameters of one layout.
public protocol Network: Sendable {
  var layout: ParameterLayout { get }
  var encoder: Encoder { get }
}

extension Network {
  public var configuration: EncoderConfiguration { encoder.configuration }

  /// How deep an entry of the layout lies: 0 for embeddings, 1 … for blocks from below, and one more
  /// than the last block for heads.
  public func depth(ofEntry index: Int) -> Int {
    let name = layout.entries[index].name
    if name.hasPrefix("embeddings.") { return 0 }
    if name.hasPrefix("encoder.layer.") {
      let digits = name.dropFirst("encoder.layer.".count).prefix { $0.isNumber }
      return 1 + (Int(digits) ?? 0)
    }
    return configuration.layerCount + 1
  }

  /// Whether an entry belongs to a head, and not to the encoder.
  public func isHead(entry index: Int) -> Bool {
    depth(ofEntry: index) > configuration.layerCount
  }

  /// Fills entries with random numbers as `transformers` does: matrices normal with the
  /// configuration's deviation, biases 0, normalisation 1 and 0, the padding id's row 0, chain scores
  /// even in ±0.1. With the initializer `mimetic`, blocks and positions begin as ``MimeticInitializer`` says.
  ///
  /// An entry's numbers depend on the seed, its name and the configuration alone.
  ///
  /// - Parameter tableRows: The only rows of the word table that will be used, if that is known.
  public func initialise(
    _ parameters: inout ParameterSet, entries: [Int], tableRows: [Int32]? = nil, seed: UInt64,
    in workspace: Workspace
  ) {
    let mimetic =
      configuration.initializer == .mimetic && !entries.isEmpty
      ? MimeticInitializer(configuration, seed: seed) : nil
    for index in entries {
      let entry = layout.entries[index]
      if entry.name.contains("transitions") {
        parameters.fillUniform(entry: index, bound: 0.1, seed: seed)
      } else if entry.shape.count == 2 {
        parameters.fillNormal(
          entry: index, rows: entry.isTable ? tableRows : nil,
          deviation: mimetic?.deviation(of: entry) ?? configuration.initializerRange, seed: seed,
          in: workspace)
        mimetic?.fill(entry: index, of: &parameters)
      } else {
        let isScale =
          entry.name.hasSuffix("LayerNorm.weight") || entry.name.hasSuffix("layer_norm.weight")
        let value: Float = isScale ? 1 : 0
        parameters.update(entry: index) { span in
          for element in span.indices { span[element] = value }
        }
      }
      if entry.name == "embeddings.word_embeddings.weight" {
        let width = configuration.hiddenSize
        let padding = configuration.paddingID
        if padding >= 0 && padding < configuration.vocabularySize {
          parameters.update(entry: index) { span in
            for column in 0..<width { span[padding * width + column] = 0 }
          }
        }
      }
    }
  }
}
