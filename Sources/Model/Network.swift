import Checkpoints
public import Tensors

/// The parameters of one layout, and what a run must know of the model that reads them.
///
/// Depths, groups and first values of the parameters stand in the layout.
public protocol Network: Sendable {
  var layout: ParameterLayout { get }

  /// The bounds of the ids, lengths and token types of a batch.
  var limits: BatchLimits { get }

  /// The work of a pass over sequences of these lengths, forward and backward, in a unit of the network's own: by it the
  /// items of a step are dealt to shards.
  func cost(ofSequences lengths: [Int]) -> Int

  /// About how many floats of activations a forward pass over `tokens` tokens keeps for the backward pass.
  func activationFloats(ofTokens tokens: Int) -> Int

  /// The name of an entry in a checkpoint's files. By default the entry's own name.
  func fileName(ofEntry index: Int) -> String

  /// Fills entries with their first values. By default those that the layout says.
  ///
  /// An entry's numbers depend on the seed and the entry alone, not on which others are filled.
  ///
  /// - Parameter tableRows: The only rows of tables that will be used, if that is known; nil for all.
  func initialise(
    _ parameters: inout ParameterSet, entries: [Int], tableRows: [Int32]?, seed: UInt64,
    in workspace: Workspace)
}

extension Network {
  public func fileName(ofEntry index: Int) -> String { layout.entries[index].name }

  public func initialise(
    _ parameters: inout ParameterSet, entries: [Int], tableRows: [Int32]?, seed: UInt64,
    in workspace: Workspace
  ) {
    fillFirst(&parameters, entries: entries, tableRows: tableRows, seed: seed, in: workspace)
  }

  /// Fills entries, and of tables all rows, with their first values.
  public func initialise(
    _ parameters: inout ParameterSet, entries: [Int], seed: UInt64, in workspace: Workspace
  ) {
    initialise(&parameters, entries: entries, tableRows: nil, seed: seed, in: workspace)
  }

  /// Fills entries with the first values that the layout says.
  fileprivate func fillFirst(
    _ parameters: inout ParameterSet, entries: [Int], tableRows: [Int32]?, seed: UInt64,
    in workspace: Workspace
  ) {
    for entry in entries {
      parameters.fillFirst(
        entry: entry, rows: layout.entries[entry].isTable ? tableRows : nil, seed: seed,
        in: workspace)
    }
  }
}

/// A network over a transformer encoder, whose limits, cost and file names follow from the encoder.
public protocol EncoderNetwork: Network {
  var encoder: Encoder { get }
}

extension EncoderNetwork {
  public var configuration: EncoderConfiguration { encoder.configuration }

  public var limits: BatchLimits {
    BatchLimits(
      vocabulary: configuration.vocabularySize, longestSequence: configuration.longestSequence,
      tokenTypes: configuration.tokenTypeCount)
  }

  /// The multiplications of one layer divided by twice its width: `(2·width + inner) · Σ n + Σ n²`.
  ///
  /// A layer multiplies `4·width² + 2·width·inner` times for every token, and `2·width·n²` times in the attention over a
  /// sequence of n tokens.
  public func cost(ofSequences lengths: [Int]) -> Int {
    let perToken = 2 * configuration.hiddenSize + configuration.innerSize
    return lengths.reduce(0) { $0 + perToken * $1 + $1 * $1 }
  }

  public func activationFloats(ofTokens tokens: Int) -> Int { encoderFloats(ofTokens: tokens) }

  /// About how many floats the encoder keeps.
  func encoderFloats(ofTokens tokens: Int) -> Int {
    let shape = configuration
    let perToken =
      shape.layerCount * (6 * shape.hiddenSize + 2 * shape.innerSize) + 8 * shape.hiddenSize
    return tokens * perToken
  }

  /// The name that `transformers` looks for: that of the encoder's entries after the prefix of the family.
  public func fileName(ofEntry index: Int) -> String {
    let entry = layout.entries[index]
    return entry.group == .encoder ? configuration.family.parameterPrefix + entry.name : entry.name
  }

  /// Fills entries with the first values that the layout says, then with what ``MimeticInitializer`` writes over them,
  /// where the configuration asks for it.
  public func initialise(
    _ parameters: inout ParameterSet, entries: [Int], tableRows: [Int32]?, seed: UInt64,
    in workspace: Workspace
  ) {
    fillFirst(&parameters, entries: entries, tableRows: tableRows, seed: seed, in: workspace)
    guard configuration.initializer == .mimetic, !entries.isEmpty else { return }
    MimeticInitializer(configuration, seed: seed).fill(&parameters, entries: entries, of: encoder)
  }
}
