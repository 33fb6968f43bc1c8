import Checkpoints
import Model
import Tensors
import TestSupport
import Testing

/// The depths, groups and first values in the layouts of networks, and their limits and costs.
@Suite struct LayoutTests {
  private static func configuration(_ family: EncoderFamily) -> EncoderConfiguration {
    EncoderConfiguration(
      family: family, vocabularySize: 40, hiddenSize: 16, layerCount: 3, headCount: 2,
      innerSize: 32, positionCount: 20, tokenTypeCount: 2, layerNormEpsilon: 1e-5, paddingID: 1)
  }

  @Test(arguments: EncoderFamily.allCases)
  func entriesKnowTheirDepthAndGroup(family: EncoderFamily) throws {
    let configuration = Self.configuration(family)
    let networks: [any EncoderNetwork] = [
      TokenClassifier(configuration, head: .crf, languages: ["en", "de"], labelCounts: [3, 5]),
      MaskedLanguageModel(configuration),
    ]
    for network in networks {
      let layout = network.layout
      #expect(layout.depth(ofGroup: .encoder) == 3 && layout.depth(ofGroup: .head) == 4)
      #expect(layout.depth(ofGroup: .adapter) == 0)
      for (index, entry) in layout.entries.enumerated() {
        let isHead = !entry.name.hasPrefix("embeddings.") && !entry.name.hasPrefix("encoder.")
        #expect(entry.group == (isHead ? .head : .encoder), "\(entry.name)")
        let name = network.fileName(ofEntry: index)
        #expect(name == (isHead ? "" : family.parameterPrefix) + entry.name)
      }
      for (name, depth) in [
        ("embeddings.LayerNorm.weight", 0), ("encoder.layer.0.output.dense.bias", 1),
        ("encoder.layer.2.attention.self.key.weight", 3),
      ] {
        #expect(layout.entries[try #require(layout.index(of: name))].depth == depth, "\(name)")
      }
    }
  }

  /// Multiplications of a layer, word by word of the definition, over twice the width.
  @Test func costsCountProductsAndAttention() {
    let configuration = Self.configuration(.roberta)
    let network = TokenClassifier(configuration, head: .softmax, labelCounts: [3])
    let (width, inner) = (configuration.hiddenSize, configuration.innerSize)
    let lengths = [5, 3]
    let products = lengths.reduce(0) { $0 + $1 * (4 * width * width + 2 * width * inner) }
    let attention = lengths.reduce(0) { $0 + 2 * width * $1 * $1 }
    #expect(network.cost(ofSequences: lengths) * 2 * width == products + attention)
  }

  @Test func limitsAndCostAreThoseOfTheEncoder() {
    let network = TokenClassifier(Self.configuration(.roberta), head: .softmax, labelCounts: [3])
    #expect(
      network.limits == BatchLimits(vocabulary: 40, longestSequence: 18, tokenTypes: 2))
    #expect(network.cost(ofSequences: [5, 7]) == (2 * 16 + 32) * 12 + 25 + 49)
    #expect(network.cost(ofSequences: []) == 0)
    #expect(network.activationFloats(ofTokens: 10) == 10 * (3 * (6 * 16 + 2 * 32) + 8 * 16))
  }

  /// A network of no encoder and no tokenizer, which leaves all to the layout.
  private struct Plain: Network {
    let layout: ParameterLayout
    let limits = BatchLimits(vocabulary: 6, longestSequence: 9, tokenTypes: 1)

    init() {
      var layout = ParameterLayout()
      layout.at(depth: 0, group: ParameterGroup("characters")) {
        _ = $0.addTable("letters", 6, 4, first: .normal(deviation: 0.5, zeroRow: 2))
      }
      _ = layout.add("scale", 3, first: .ones)
      _ = layout.add("chain", 3, 3, first: .uniform(bound: 0.25))
      _ = layout.add("shift", 3, first: .constant(-2))
      self.layout = layout
    }

    func cost(ofSequences lengths: [Int]) -> Int { lengths.reduce(0, +) }
    func activationFloats(ofTokens tokens: Int) -> Int { 4 * tokens }
  }

  @Test func aNetworkOfAnyKindBeginsAsItsLayoutSays() {
    let network = Plain()
    let workspace = Workspace(kernels: .forTests, threadCount: 1)
    defer { workspace.stop() }
    var parameters = ParameterSet(layout: network.layout)
    network.initialise(&parameters, entries: [0, 1, 2, 3], seed: 4, in: workspace)
    let values = network.layout.entries.indices.map { entry in
      parameters.read(entry: entry) { span in span.indices.map { span[$0] } }
    }
    #expect(values[0][8..<12].allSatisfy { $0 == 0 })
    #expect(values[0][0..<8].allSatisfy { $0 != 0 } && Set(values[0]).count == 21)
    #expect(values[1] == [1, 1, 1] && values[3] == [-2, -2, -2])
    #expect(values[2].allSatisfy { abs($0) <= 0.25 } && Set(values[2]).count == 9)
    #expect(network.fileName(ofEntry: 2) == "chain")
    #expect(network.layout.entries[0].group.name == "characters")
    #expect(network.layout.entries[1].group == .head)
    // Only the rows that are asked for, with the numbers that they have among all.
    var some = ParameterSet(layout: network.layout)
    network.initialise(
      &some, entries: [0], tableRows: [4], seed: 4, in: workspace)
    let rows = some.read(entry: 0) { span in span.indices.map { span[$0] } }
    #expect(Array(rows[16..<20]) == Array(values[0][16..<20]))
    #expect(rows[0..<16].allSatisfy { $0 == 0 } && rows[20...].allSatisfy { $0 == 0 })
  }
}
