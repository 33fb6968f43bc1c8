import Determinism
import Foundation
import Tensors

/// First weights under which heads of the first block look at the tokens beside their own: attention that mimics what
/// trained networks have come to, an idea of Trockman and Kolter, "Mimetic initialization of self-attention layers" (ICML 2023).
///
/// From the usual small random weights attention is even over a sequence, and a small post-norm encoder that learns to
/// guess hidden tokens first learns which words its text has, without their order; it may spend thousands of steps so.
/// Here positions are sinusoids (Vaswani et al., 2017) in a random subspace as wide as a head; queries and keys of three
/// quarters of the first block's heads, one at least, read that subspace, and queries turn it by a distance: the first head
/// looks one token back, the second one on, then two back, two on, and so forth. Matrices of all blocks are normal, of
/// a deviation of one over the root of their inputs, so that what attention brings is as large as what it is added to. All of
/// it is trained like any weight.
struct MimeticInitializer {
  /// How far the score of the token looked at rises above even attention's, before any training.
  private static let height = 16.0
  /// Of the sinusoids, in radians a token.
  private static let highest = 1.5
  private static let lowest = 0.15

  private let configuration: EncoderConfiguration
  /// In radians a token, from the highest.
  private let frequencies: [Double]
  /// The orthonormal directions of the sines, then of the cosines. Shape `[2 × frequencies, D]`.
  private let directions: [[Double]]

  init(_ configuration: EncoderConfiguration, seed: UInt64) {
    self.configuration = configuration
    let count = configuration.headWidth / 2
    frequencies = (0..<count).map {
      Self.highest * pow(Self.lowest / Self.highest, Double($0) / Double(max(1, count - 1)))
    }
    var stream = RandomStream(seed: seed, ["weights", "mimetic"])
    var directions: [[Double]] = []
    for _ in 0..<2 * count {
      var new = (0..<configuration.hiddenSize).map { _ in stream.normal() }
      for other in directions {
        let share = zip(new, other).reduce(0) { $0 + $1.0 * $1.1 }
        for column in new.indices { new[column] -= share * other[column] }
      }
      let norm = new.reduce(0) { $0 + $1 * $1 }.squareRoot()
      directions.append(new.map { $0 / norm })
    }
    self.directions = directions
  }

  /// The deviation of the random numbers of a block's matrix: one over the root of its inputs, so that the outputs are as
  /// large as the inputs.
  static func deviation(inputs: Int) -> Float { 1 / Float(inputs).squareRoot() }

  /// Writes the weights of some entries of an encoder that are not random: positions, and queries and keys of the first
  /// block's heads that look at neighbouring tokens.
  func fill(_ parameters: inout ParameterSet, entries: [Int], of encoder: Encoder) {
    let positions = encoder.embeddings.positions.entries.lowerBound
    if entries.contains(positions) { fillPositions(entry: positions, of: &parameters) }
    guard let block = encoder.blocks.first else { return }
    let query = block.queryKeyValue.entries.lowerBound
    let key = query + 1
    if entries.contains(query) {
      fillHeads(entry: query, of: &parameters, offset: Self.offset(ofHead:))
    }
    if entries.contains(key) { fillHeads(entry: key, of: &parameters, offset: { _ in 0 }) }
  }

  /// The heads of the first block that look at one place.
  private var lookingHeads: Int { max(1, 3 * configuration.headCount / 4) }

  /// Where a head looks: -1, 1, -2, 2 … tokens from its own.
  static func offset(ofHead head: Int) -> Int { head % 2 == 0 ? -(head / 2 + 1) : head / 2 + 1 }

  /// Sinusoids of the deviation of all embeddings.
  private func fillPositions(entry index: Int, of parameters: inout ParameterSet) {
    let width = configuration.hiddenSize
    let scale =
      Double(configuration.initializerRange)
      * (Double(width) / Double(frequencies.count)).squareRoot()
    parameters.update(entry: index) { span in
      for position in 0..<configuration.positionCount {
        let angles = frequencies.map { $0 * Double(position) }
        let sinusoids = angles.map { sin($0) } + angles.map { cos($0) }
        for column in 0..<width {
          var sum = 0.0
          for (wave, direction) in directions.enumerated() {
            sum += sinusoids[wave] * direction[column]
          }
          span[position * width + column] = Float(scale * sum)
        }
      }
    }
  }

  /// Rows that read the sinusoids of a token as those of the token `offset` further on.
  private func fillHeads(
    entry index: Int, of parameters: inout ParameterSet, offset: (_ head: Int) -> Int
  ) {
    let (width, headWidth) = (configuration.hiddenSize, configuration.headWidth)
    // A third of a normalised embedding's square is its position's.
    let gain = (Self.height * 3 * Double(headWidth).squareRoot() / Double(width)).squareRoot()
    parameters.update(entry: index) { span in
      for head in 0..<lookingHeads {
        for (wave, frequency) in frequencies.enumerated() {
          let turn = frequency * Double(offset(head))
          let (near, far) = (gain * cos(turn), gain * sin(turn))
          let (sine, cosine) = (directions[wave], directions[frequencies.count + wave])
          let row = (head * headWidth + wave) * width
          let other = row + frequencies.count * width
          for column in 0..<width {
            span[row + column] = Float(near * sine[column] + far * cosine[column])
            span[other + column] = Float(near * cosine[column] - far * sine[column])
          }
        }
      }
    }
  }
}
