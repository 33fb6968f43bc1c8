public import Determinism
import Glibc

/// The parameters of a linear-chain CRF over `transitions.rows` labels.
public struct CRFParameters: Sendable {
  /// Score of a sentence beginning with each label. Shape `[labels]`; nil where all begin alike.
  public var start: Parameter?
  /// Score of a sentence ending with each label. Shape `[labels]`; nil where all end alike.
  public var end: Parameter?
  /// Score of label `j` after label `i` at `[i, j]`. Shape `[labels, labels]`.
  public var transitions: Parameter

  public init(start: Parameter? = nil, end: Parameter? = nil, transitions: Parameter) {
    self.start = start
    self.end = end
    self.transitions = transitions
  }

  /// All that it has.
  var all: [Parameter] { [start, end].compactMap(\.self) + [transitions] }
}

/// The scores of a chain of labels over one sentence, and what is computed from them, in `Double`.
///
/// In comments, T is words and L labels. Lafferty, McCallum and Pereira (2001); start and end scores as
/// in the package pytorch-crf.
public struct LabelChain: Sendable {
  public let labelCount: Int
  let emissions: [Double]  // [T, L]
  let start: [Double]  // [L]
  let end: [Double]  // [L]
  let transitions: [Double]  // [L, L]

  /// - Parameters:
  ///   - emissions: Shape `[words, labels]`, row-major; at least one word.
  public init(
    labelCount: Int, emissions: [Double], start: [Double], end: [Double], transitions: [Double]
  ) {
    precondition(labelCount > 0 && emissions.count >= labelCount, "a chain of no words")
    precondition(emissions.count % labelCount == 0, "emissions are not of \(labelCount) labels")
    self.labelCount = labelCount
    self.emissions = emissions
    self.start = start
    self.end = end
    self.transitions = transitions
  }

  public var wordCount: Int { emissions.count / labelCount }

  /// The score of one labelling. `labels` has an entry a word.
  public func score(_ labels: [Int]) -> Double {
    var score = start[labels[0]] + end[labels[labels.count - 1]]
    for (word, label) in labels.enumerated() {
      score += emissions[word * labelCount + label]
      if word > 0 { score += transitions[labels[word - 1] * labelCount + label] }
    }
    return score
  }

  /// Log-sums of the scores of all beginnings that end in a label at a word. Shape `[T, L]`.
  private func forward() -> [Double] {
    var alpha = [Double](repeating: 0, count: emissions.count)
    var scores = [Double](repeating: 0, count: labelCount)
    for label in 0..<labelCount { alpha[label] = start[label] + emissions[label] }
    for word in 1..<max(wordCount, 1) {
      for label in 0..<labelCount {
        for previous in 0..<labelCount {
          scores[previous] =
            alpha[(word - 1) * labelCount + previous] + transitions[previous * labelCount + label]
        }
        alpha[word * labelCount + label] =
          logSumExp(scores) + emissions[word * labelCount + label]
      }
    }
    return alpha
  }

  /// Log-sums of the scores of all endings that follow a label at a word. Shape `[T, L]`.
  private func backward() -> [Double] {
    var beta = [Double](repeating: 0, count: emissions.count)
    var scores = [Double](repeating: 0, count: labelCount)
    for label in 0..<labelCount { beta[(wordCount - 1) * labelCount + label] = end[label] }
    for word in stride(from: wordCount - 2, through: 0, by: -1) {
      for label in 0..<labelCount {
        for next in 0..<labelCount {
          scores[next] =
            transitions[label * labelCount + next] + emissions[(word + 1) * labelCount + next]
            + beta[(word + 1) * labelCount + next]
        }
        beta[word * labelCount + label] = logSumExp(scores)
      }
    }
    return beta
  }

  /// The logarithm of the sum over all labellings of the exponential of their score.
  public var logPartition: Double { logPartition(forward()) }

  private func logPartition(_ alpha: [Double]) -> Double {
    logSumExp((0..<labelCount).map { alpha[(wordCount - 1) * labelCount + $0] + end[$0] })
  }

  /// What the chain expects: the probability of each label at each word, and the expected number of each
  /// pair of neighbours.
  ///
  /// - Returns: `words` of shape `[T, L]`, `pairs` of shape `[L, L]` summed over the sentence.
  public func marginals() -> (words: [Double], pairs: [Double], logPartition: Double) {
    let alpha = forward()
    let beta = backward()
    let total = logPartition(alpha)
    let words = alpha.indices.map { exp(alpha[$0] + beta[$0] - total) }
    var pairs = [Double](repeating: 0, count: labelCount * labelCount)
    for word in 1..<max(wordCount, 1) {
      for from in 0..<labelCount {
        for to in 0..<labelCount {
          let here = word * labelCount + to
          pairs[from * labelCount + to] += exp(
            alpha[(word - 1) * labelCount + from] + transitions[from * labelCount + to]
              + emissions[here] + beta[here] - total)
        }
      }
    }
    return (words, pairs, total)
  }

  /// The labelling of the highest score; among equals, the lowest labels from the end.
  public func viterbi() -> [Int] {
    var best = [Double](repeating: 0, count: labelCount)
    for label in 0..<labelCount { best[label] = start[label] + emissions[label] }
    var cameFrom: [[Int]] = []
    for word in 1..<max(wordCount, 1) {
      var next = best
      var origin = [Int](repeating: 0, count: labelCount)
      for label in 0..<labelCount {
        for previous in 0..<labelCount {
          let score = best[previous] + transitions[previous * labelCount + label]
          if previous == 0 || score > next[label] {
            next[label] = score
            origin[label] = previous
          }
        }
        next[label] += emissions[word * labelCount + label]
      }
      best = next
      cameFrom.append(origin)
    }
    var last = 0
    for label in 0..<labelCount where best[label] + end[label] > best[last] + end[last] {
      last = label
    }
    var labels = [last]
    for origin in cameFrom.reversed() { labels.append(origin[labels[labels.count - 1]]) }
    return labels.reversed()
  }

  /// A labelling drawn with its probability, `exp(score − log Z)`, a label a word.
  ///
  /// The last label is drawn from the log-sums of all beginnings, then each label before one that is known from
  /// `alpha[t, label] + transitions[label, next]`: no chain of samples that would have to mix. Takes one number of the
  /// stream for each word. Cost: that of the forward pass.
  public func sample(using random: inout RandomStream) -> [Int] {
    let alpha = forward()
    var labels = [Int](repeating: 0, count: wordCount)
    var scores = (0..<labelCount).map { alpha[(wordCount - 1) * labelCount + $0] + end[$0] }
    for word in stride(from: wordCount - 1, through: 0, by: -1) {
      labels[word] = draw(scores, at: random.unit())
      if word == 0 { break }
      for label in 0..<labelCount {
        scores[label] =
          alpha[(word - 1) * labelCount + label] + transitions[label * labelCount + labels[word]]
      }
    }
    return labels
  }

  /// The label at a share of the sum of the exponentials of scores; `share` is in `[0, 1)`.
  private func draw(_ scores: [Double], at share: Double) -> Int {
    let largest = scores.max() ?? 0
    let powers = scores.map { exp($0 - largest) }
    var rest = share * powers.reduce(0, +)
    for (label, power) in powers.enumerated() {
      rest -= power
      if rest < 0 { return label }
    }
    // Roundings left a rest: the last label that can be drawn.
    return powers.lastIndex { $0 > 0 } ?? 0
  }

  private func logSumExp(_ values: [Double]) -> Double {
    let largest = values.max() ?? -.infinity
    if !largest.isFinite { return largest }
    return largest + log(values.reduce(0) { $0 + exp($1 - largest) })
  }
}

extension Tape {
  /// The negative log-likelihood of the labels under a linear-chain CRF, summed over sentences.
  ///
  /// The weight is the number of sentences with a labelled word. Words with a negative target are left
  /// out of their chain.
  ///
  /// - Parameters:
  ///   - emissions: Shape `[words, labels]`.
  ///   - targets: Shape `[words]`.
  ///   - sentenceBounds: Word bounds of the sentences, each inside one segment.
  @discardableResult
  public func conditionalRandomField(
    _ emissions: Tensor, targets: [Int32], sentenceBounds: [Int], _ crf: CRFParameters,
    named name: String = "crf"
  ) -> LossTerm {
    let labels = emissions.columns
    let space = emissions.space
    precondition(targets.count == space.count, "\(targets.count) targets, \(space.count) rows")
    precondition(targets.allSatisfy { $0 < labels }, "a target out of \(labels) labels")
    precondition(crf.transitions.rows == labels, "a CRF of another label count")
    let sentences = sentenceBounds.count - 1
    let scored = (0..<sentences).map { sentence in
      (sentenceBounds[sentence]..<sentenceBounds[sentence + 1]).filter { targets[$0] >= 0 }
    }
    // Before threads read them: what is found first does not depend on these.
    for parameter in crf.all { _ = unsafe weights(of: parameter) }
    var results = [ChainResult?](repeating: nil, count: sentences)
    unsafe results.withUnsafeMutableBufferPointer { results in
      let to = results.baseAddress
      pool.run(sentences) { sentence, _ in
        if scored[sentence].isEmpty { return }
        let chain = self.chain(emissions, rows: scored[sentence], crf)
        let gold = scored[sentence].map { Int(targets[$0]) }
        let expected = chain.marginals()
        unsafe to?[sentence] = ChainResult(
          loss: expected.logPartition - chain.score(gold), gold: gold, words: expected.words,
          pairs: expected.pairs)
      }
    }
    var sums = [Double](repeating: 0, count: space.segmentCount)
    var weights = sums
    for segment in 0..<space.segmentCount {
      let rows = space.segmentBounds[segment]..<space.segmentBounds[segment + 1]
      for sentence in 0..<sentences where rows.contains(sentenceBounds[sentence]) {
        guard let result = results[sentence] else { continue }
        sums[segment] += result.loss
        weights[segment] += 1
      }
    }
    let term = LossTerm(name: name, segmentSums: sums, segmentWeights: weights)
    record(term)
    guard gradients != nil, emissions.needsGradient || crf.all.contains(where: isTrained) else {
      return term
    }
    let chains = results
    record("crf", writing: crf.all) { [self] in
      if term.seed == 0 { return }
      if emissions.needsGradient {
        let target = unsafe claimGradient(emissions)
        if unsafe !target.adds {
          unsafe target.pointer.update(repeating: 0, count: emissions.count)
        }
        for (sentence, result) in chains.enumerated() {
          guard let result else { continue }
          for (word, row) in scored[sentence].enumerated() {
            for label in 0..<labels {
              let wanted = result.gold[word] == label ? 1.0 : 0
              unsafe target.pointer[row * labels + label] += Float(
                Double(term.seed) * (result.words[word * labels + label] - wanted))
            }
          }
        }
      }
      let parts: [(Parameter?, ChainPart)] = [
        (crf.start, .start), (crf.end, .end), (crf.transitions, .transitions),
      ]
      for (parameter, part) in parts {
        guard let parameter else { continue }
        foldChains(chains, sentenceBounds, part, into: parameter, of: space, seed: term.seed)
      }
    }
    return term
  }

  /// The labels of the highest score of each sentence, one a word.
  public func viterbi(
    _ emissions: Tensor, sentenceBounds: [Int], _ crf: CRFParameters
  ) -> [Int32] {
    var labels: [Int32] = []
    for sentence in 0..<sentenceBounds.count - 1 {
      let rows = Array(sentenceBounds[sentence]..<sentenceBounds[sentence + 1])
      if rows.isEmpty { continue }
      labels += chain(emissions, rows: rows, crf).viterbi().map(Int32.init)
    }
    return labels
  }

  /// Labels of each sentence drawn with their probability, one a word; those of a word by themselves where there is no chain.
  public func sampledLabels(
    _ emissions: Tensor, sentenceBounds: [Int], _ crf: CRFParameters?,
    using random: inout RandomStream
  ) -> [Int32] {
    var labels: [Int32] = []
    for sentence in 0..<sentenceBounds.count - 1 {
      let rows = Array(sentenceBounds[sentence]..<sentenceBounds[sentence + 1])
      if rows.isEmpty { continue }
      labels += chain(emissions, rows: rows, crf).sample(using: &random).map(Int32.init)
    }
    return labels
  }

  /// - Parameter crf: Nil for words whose labels do not depend on each other.
  private func chain(_ emissions: Tensor, rows: [Int], _ crf: CRFParameters?) -> LabelChain {
    let labels = emissions.columns
    return LabelChain(
      labelCount: labels,
      emissions: rows.flatMap { row in
        (0..<labels).map { unsafe Double(emissions.base[row * labels + $0]) }
      },
      start: values(crf?.start, labels), end: values(crf?.end, labels),
      transitions: values(crf?.transitions, labels * labels))
  }

  private func values(_ parameter: Parameter?, _ count: Int) -> [Double] {
    guard let parameter else { return [Double](repeating: 0, count: count) }
    let base = unsafe weights(of: parameter)
    return (0..<parameter.count).map { unsafe Double(base[$0]) }
  }

  private func foldChains(
    _ chains: [ChainResult?], _ sentenceBounds: [Int], _ part: ChainPart,
    into parameter: Parameter, of space: RowSpace, seed: Float
  ) {
    guard let gradients, gradients.isTrained(parameter) else { return }
    let target = unsafe gradients.claim(parameter)
    let count = parameter.count
    workspace.reserveScratch(SegmentFold.scratch(count: count, segments: space.segmentCount * 2))
    let fold = unsafe SegmentFold(space: space, width: count, kernels: kernels)
    unsafe fold(into: target.pointer, adds: target.adds, scratch: workspace.scratch(of: 0)) {
      rows, sum, _ in
      var total = [Double](repeating: 0, count: count)
      for sentence in 0..<sentenceBounds.count - 1 where rows.contains(sentenceBounds[sentence]) {
        chains[sentence]?.add(part, to: &total)
      }
      for index in 0..<count { unsafe sum[index] = Float(Double(seed) * total[index]) }
    }
  }
}

private enum ChainPart { case start, end, transitions }

/// What the backward pass of one sentence needs.
private struct ChainResult: Sendable {
  let loss: Double
  let gold: [Int]
  let words: [Double]  // [T, L]
  let pairs: [Double]  // [L, L]

  /// Adds expected minus observed counts.
  func add(_ part: ChainPart, to total: inout [Double]) {
    let labels = words.count / gold.count
    switch part {
    case .start:
      for label in 0..<labels { total[label] += words[label] }
      total[gold[0]] -= 1
    case .end:
      let last = gold.count - 1
      for label in 0..<labels { total[label] += words[last * labels + label] }
      total[gold[last]] -= 1
    case .transitions:
      for index in pairs.indices { total[index] += pairs[index] }
      for word in 1..<max(gold.count, 1) { total[gold[word - 1] * labels + gold[word]] -= 1 }
    }
  }
}
