import Checkpoints
import Foundation
import Model
import Tensors
import TestSupport
import Testing

/// How the weights of a new encoder are drawn.
@Suite struct InitializerTests {
  private static func configuration(
    _ family: EncoderFamily, width: Int, heads: Int, _ initializer: Initializer
  ) -> EncoderConfiguration {
    var configuration = EncoderConfiguration(
      family: family, vocabularySize: 200, hiddenSize: width, layerCount: 2, headCount: heads,
      innerSize: 2 * width, positionCount: 66, tokenTypeCount: 1, layerNormEpsilon: 1e-5,
      paddingID: 1)
    configuration.initializer = initializer
    return configuration
  }

  /// The weights of each entry by its name.
  private func weights(
    _ configuration: EncoderConfiguration, seed: UInt64 = 1, only names: Set<String>? = nil
  ) -> [String: [Float]] {
    let network = MaskedLanguageModel(configuration)
    let entries = network.layout.entries
    var parameters = ParameterSet(layout: network.layout)
    network.initialise(
      &parameters, entries: entries.indices.filter { names?.contains(entries[$0].name) ?? true },
      seed: seed, in: Workspace(kernels: .forTests, threadCount: 1))
    var weights: [String: [Float]] = [:]
    for (index, entry) in entries.enumerated() {
      weights[entry.name] = parameters.read(entry: index) { span in
        span.indices.map { span[$0] }
      }
    }
    return weights
  }

  /// What each head of the first block gives each token: `[heads][tokens][tokens]`.
  private func attention(
    _ configuration: EncoderConfiguration, _ weights: [String: [Float]], tokens: Int
  ) throws -> [[[Double]]] {
    let width = configuration.hiddenSize
    let words = try #require(weights["embeddings.word_embeddings.weight"])
    let positions = try #require(weights["embeddings.position_embeddings.weight"])
    let types = try #require(weights["embeddings.token_type_embeddings.weight"])
    let query = try #require(weights["encoder.layer.0.attention.self.query.weight"])
    let key = try #require(weights["encoder.layer.0.attention.self.key.weight"])
    let normalised = (0..<tokens).map { token in
      let word = (10 + 7 * token) % configuration.vocabularySize
      let position = token + configuration.positionOffset
      let sum = (0..<width).map {
        Double(words[word * width + $0] + positions[position * width + $0] + types[$0])
      }
      let mean = sum.reduce(0, +) / Double(width)
      let variance = sum.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
      return sum.map { ($0 - mean) / (variance + 1e-5).squareRoot() }
    }
    func rows(_ matrix: [Float], _ x: [Double], _ head: Int) -> [Double] {
      (head * configuration.headWidth..<(head + 1) * configuration.headWidth).map { row in
        (0..<width).reduce(0) { $0 + Double(matrix[row * width + $1]) * x[$1] }
      }
    }
    return (0..<configuration.headCount).map { head in
      let keys = normalised.map { rows(key, $0, head) }
      return normalised.map { x in
        let query = rows(query, x, head)
        let powers = keys.map { key in
          exp(
            zip(query, key).reduce(0) { $0 + $1.0 * $1.1 }
              / Double(configuration.headWidth).squareRoot())
        }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
      }
    }
  }

  @Test(
    arguments: [
      (EncoderFamily.xlmRoberta, 256, 8), (.roberta, 384, 6), (.bert, 320, 10),
    ])
  func mimeticHeadsLookAtTheirNeighbours(
    family: EncoderFamily, width: Int, heads: Int
  ) throws {
    let configuration = Self.configuration(family, width: width, heads: heads, .mimetic)
    let attention = try attention(configuration, weights(configuration), tokens: 40)
    let offsets = [-1, 1, -2, 2, -3, 3, -4, 4, -5]
    for (head, offset) in zip(0..<heads * 3 / 4, offsets) {
      let shares = (5..<35).map { attention[head][$0][$0 + offset] }
      let mean = shares.reduce(0, +) / Double(shares.count)
      #expect(mean > 0.55, "head \(head) gives the token at \(offset) \(mean)")
    }
    // The others, and all of a usual start, prefer no place.
    let usual = Self.configuration(family, width: width, heads: heads, .normal)
    let even = try self.attention(usual, weights(usual), tokens: 40)
    for head in attention[(heads * 3 / 4)...] + even {
      for offset in -5...5 {
        let mean = (5..<35).reduce(0) { $0 + head[$1][$1 + offset] } / 30
        #expect(mean < 0.15, "a head gives the token at \(offset) \(mean)")
      }
    }
  }

  /// An entry's numbers depend on the seed alone, not on which others are new.
  @Test(arguments: Initializer.allCases)
  func anEntryHasTheSameNumbersAlone(initializer: Initializer) throws {
    let configuration = Self.configuration(.xlmRoberta, width: 64, heads: 4, initializer)
    let all = weights(configuration)
    for name in [
      "embeddings.position_embeddings.weight", "encoder.layer.0.attention.self.query.weight",
      "encoder.layer.0.attention.self.key.weight",
      "encoder.layer.1.output.dense.weight",
    ] {
      let alone = weights(configuration, only: [name])
      #expect(try #require(all[name]).contains { $0 != 0 } && alone[name] == all[name], "\(name)")
      #expect(weights(configuration, seed: 2)[name] != all[name], "\(name) of another seed")
    }
  }

  @Test func deviationsAreThoseOfTheInitializer() throws {
    for (initializer, block, wide) in [
      (Initializer.normal, 0.02, 0.02), (.mimetic, 1 / 16, 1 / 512.0.squareRoot()),
    ] {
      let configuration = Self.configuration(.xlmRoberta, width: 256, heads: 8, initializer)
      let weights = weights(configuration)
      for (name, wanted) in [
        ("embeddings.word_embeddings.weight", 0.02), ("lm_head.dense.weight", 0.02),
        ("embeddings.position_embeddings.weight", 0.02),
        ("encoder.layer.1.attention.self.query.weight", block),
        ("encoder.layer.0.attention.output.dense.weight", block),
        ("encoder.layer.1.output.dense.weight", wide),
      ] {
        let values = try #require(weights[name])
        let square = values.reduce(0) { $0 + Double($1) * Double($1) } / Double(values.count)
        #expect(abs(square.squareRoot() - wanted) < 0.03 * wanted, "\(name) of \(initializer)")
      }
    }
  }
}
