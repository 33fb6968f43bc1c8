import Determinism
import Foundation
import Tensors
import TestSupport
import Testing

/// The chain against the enumeration of all labellings, and its loss against finite differences.
@Suite struct ConditionalRandomFieldTests {
  struct Size: Sendable { var labels, words: Int }
  static let sizes = [
    Size(labels: 1, words: 1), Size(labels: 2, words: 1), Size(labels: 3, words: 2),
    Size(labels: 4, words: 4), Size(labels: 3, words: 6), Size(labels: 4, words: 6),
  ]

  private func chain(_ size: Size, seed: UInt64) -> LabelChain {
    var random = RandomStream(seed: seed, ["chain", .number(size.labels), .number(size.words)])
    func draw(_ count: Int) -> [Double] { (0..<count).map { _ in 4 * random.unit() - 2 } }
    return LabelChain(
      labelCount: size.labels, emissions: draw(size.words * size.labels),
      start: draw(size.labels), end: draw(size.labels), transitions: draw(size.labels * size.labels)
    )
  }

  private func labellings(_ size: Size) -> [[Int]] {
    (0..<size.words).reduce([[]]) { sofar, _ in
      sofar.flatMap { path in (0..<size.labels).map { path + [$0] } }
    }
  }

  @Test(arguments: sizes) func partitionMarginalsAndBestPathEqualEnumeration(size: Size) {
    for seed in 0..<5 {
      let chain = chain(size, seed: UInt64(seed))
      let all = labellings(size)
      let scores = all.map { chain.score($0) }
      let total = log(scores.reduce(0) { $0 + exp($1) })
      #expect(abs(chain.logPartition - total) < 1e-10, "seed \(seed)")

      let found = chain.marginals()
      for word in 0..<size.words {
        for label in 0..<size.labels {
          let wanted = zip(all, scores).filter { $0.0[word] == label }
            .reduce(0) { $0 + exp($1.1 - total) }
          #expect(abs(found.words[word * size.labels + label] - wanted) < 1e-10, "seed \(seed)")
        }
      }
      let best = zip(all, scores).max { $0.1 < $1.1 }
      #expect(chain.viterbi() == best?.0, "seed \(seed)")
    }
  }

  /// Frequencies of 20,000 samples against the enumerated probabilities, by Pearson's chi-square over the labellings that
  /// are expected five times or more, the others together; 4.5 deviations above its mean is one in 300,000.
  @Test(arguments: sizes) func samplesHaveTheEnumeratedFrequencies(size: Size) {
    let chain = chain(size, seed: 1)
    let all = labellings(size)
    let total = chain.logPartition
    let draws = 20_000
    var random = RandomStream(seed: 3, ["samples", .number(size.labels), .number(size.words)])
    var counts: [[Int]: Int] = [:]
    for _ in 0..<draws { counts[chain.sample(using: &random), default: 0] += 1 }
    var rest = (wanted: 0.0, found: 0.0)
    var cells: [(wanted: Double, found: Double)] = []
    for labels in all {
      let wanted = Double(draws) * exp(chain.score(labels) - total)
      let found = Double(counts[labels] ?? 0)
      if wanted >= 5 {
        cells.append((wanted, found))
      } else {
        rest = (rest.wanted + wanted, rest.found + found)
      }
    }
    if rest.wanted >= 5 { cells.append(rest) }
    let square = cells.reduce(0) {
      $0 + ($1.found - $1.wanted) * ($1.found - $1.wanted) / $1.wanted
    }
    let freedom = Double(cells.count - 1)
    #expect(square <= freedom + 4.5 * (2 * freedom).squareRoot(), "\(square) of \(freedom)")
    #expect(counts.values.reduce(0, +) == draws)
  }

  /// The mean of the slope of log p over samples is 0: of the emissions it is the frequency of a label less its
  /// probability, of the transitions that of a pair.
  @Test(arguments: sizes) func theMeanSlopeOfSamplesIsZero(size: Size) {
    let chain = chain(size, seed: 2)
    let expected = chain.marginals()
    let draws = 20_000
    var words = expected.words.map { -$0 }
    var pairs = expected.pairs.map { -$0 }
    var random = RandomStream(seed: 4, ["slopes", .number(size.labels), .number(size.words)])
    for _ in 0..<draws {
      let labels = chain.sample(using: &random)
      for (word, label) in labels.enumerated() {
        words[word * size.labels + label] += 1 / Double(draws)
        if word > 0 { pairs[labels[word - 1] * size.labels + label] += 1 / Double(draws) }
      }
    }
    // A frequency's deviation is at most 0.5 / √draws, and that of a sum over words at most their number times it.
    let bound = 5 * 0.5 / Double(draws).squareRoot()
    #expect(words.allSatisfy { abs($0) < bound })
    #expect(pairs.allSatisfy { abs($0) < bound * Double(size.words) })
  }

  /// Without a chain the labels of a word are drawn by themselves, and the same stream gives the same labels.
  @Test func wordsWithoutAChainAreDrawnAlone() {
    let workspace = Workspace(kernels: .forTests, threadCount: 1)
    defer { workspace.stop() }
    let tape = Tape(workspace: workspace, parameters: ParameterSet(layout: ParameterLayout()))
    let far: Float = 60
    let logits = tape.constant(
      [0, far, 0, far, 0, 0, 0, 0, far], in: RowSpace(segmentBounds: [0, 3]), columns: 3)
    for seed in 0..<20 {
      var random = RandomStream(seed: UInt64(seed), ["words"])
      #expect(
        tape.sampledLabels(logits, sentenceBounds: [0, 2, 2, 3], nil, using: &random) == [1, 0, 2])
    }
  }

  @Test func lossAndGradientsFollowTheFiniteDifferences() {
    // Three sentences in two segments; the second has a word that is not scored.
    let bounds = [0, 1, 5, 8]
    let labels = 3
    let targets: [Int32] = [2, 0, 1, -1, 1, 2, 2, 0]
    var random = RandomStream(seed: 9, ["crf"])
    let emissions = random.floats(8 * labels, in: -2...2)
    let weights = [labels, labels, labels * labels].map { random.floats($0, in: -1...1) }

    func loss(_ values: [[Double]]) -> Double {
      (0..<3).reduce(0) { sum, sentence in
        let words = (bounds[sentence]..<bounds[sentence + 1]).filter { targets[$0] >= 0 }
        let chain = LabelChain(
          labelCount: labels,
          emissions: words.flatMap { Array(values[0][$0 * labels..<($0 + 1) * labels]) },
          start: values[1], end: values[2], transitions: values[3])
        return sum + chain.logPartition - chain.score(words.map { Int(targets[$0]) })
      }
    }

    var layout = ParameterLayout()
    let crf = CRFParameters(
      start: layout.add("start", labels), end: layout.add("end", labels),
      transitions: layout.add("transitions", labels, labels))
    var set = ParameterSet(layout: layout)
    for (entry, values) in weights.enumerated() {
      set.update(entry: entry) { span in for i in span.indices { span[i] = values[i] } }
    }
    let gradients = GradientBuffer(layout: layout)
    let workspace = Workspace(kernels: .forTests, threadCount: 2)
    let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
    let scores = tape.constant(
      emissions, in: RowSpace(segmentBounds: [0, 5, 8]), columns: labels, needsGradient: true)
    let term = tape.conditionalRandomField(
      scores, targets: targets, sentenceBounds: bounds, crf)
    #expect(term.segmentWeights == [2, 1])
    term.seed = 1
    tape.backward()

    let doubles = ([emissions] + weights).map { $0.map(Double.init) }
    #expect(abs(term.segmentSums.reduce(0, +) - loss(doubles)) < 1e-9)
    let found =
      [tape.gradient(of: scores) ?? []]
      + (0..<3).map { entry in
        gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
      }
    for (index, gradient) in found.enumerated() {
      for element in gradient.indices {
        var moved = doubles
        moved[index][element] += 1e-5
        let above = loss(moved)
        moved[index][element] -= 2e-5
        let difference = (above - loss(moved)) / 2e-5
        #expect(abs(Double(gradient[element]) - difference) < 1e-6, "\(index), \(element)")
      }
    }
    workspace.stop()
  }
}
