import Determinism
import Glibc

/// How a stage draws its sentences: the shares of the languages and the size of a step.
///
/// An epoch has as many draws as there are sentences, N = Σ nₗ. Language l gets qₗ of them, Σ qₗ = N, by
/// largest remainder from the shares pₗ = nₗ^α / Σ nₖ^α. Its draws of all epochs are one stream: pass after
/// pass over its sentences, each pass in a new random order, so that no sentence comes again before all
/// others have come. With α = 1 an epoch draws each sentence once.
///
/// Everything follows from these values alone, never from ranks, threads or time.
public struct StageSampling: Sendable, Equatable {
  /// What fills a step.
  public enum StepSize: Sendable, Equatable {
    /// So many sentences; the last step of an epoch may have fewer.
    case sentences(Int)
    /// At most so many tokens, or one sentence that has more.
    case tokens(Int)
  }

  public let seed: UInt64
  /// The index of the stage in the run.
  public let stage: Int
  /// The sentences of each language, in the config's order.
  public let sentenceCounts: [Int]
  /// The exponent α: 1 is natural, 0 gives every language the same.
  public let alpha: Double
  public let stepSize: StepSize
  /// The tokens of each sentence, by language; needed if steps are filled by tokens, else empty.
  public let tokenCounts: [[Int32]]
  /// pₗ, adding up to 1 over the languages.
  public let plannedShares: [Double]
  /// qₗ: the draws of each language in an epoch.
  public let drawsPerEpoch: [Int]

  /// - Precondition: There is a sentence, `alpha` is finite and at least 0, the step size positive, and
  ///   `tokenCounts` fits `sentenceCounts` if steps are filled by tokens.
  public init(
    seed: UInt64, stage: Int, sentenceCounts: [Int], alpha: Double, stepSize: StepSize,
    tokenCounts: [[Int32]] = []
  ) {
    precondition(
      sentenceCounts.allSatisfy { $0 >= 0 } && sentenceCounts.contains { $0 > 0 },
      "nothing to draw from languages of \(sentenceCounts) sentences")
    precondition(alpha.isFinite && alpha >= 0, "a sampling exponent of \(alpha)")
    switch stepSize {
    case .sentences(let size): precondition(size > 0, "steps of \(size) sentences")
    case .tokens(let size):
      precondition(size > 0, "steps of \(size) tokens")
      precondition(
        tokenCounts.map(\.count) == sentenceCounts,
        "token counts of \(tokenCounts.map(\.count)) sentences for \(sentenceCounts)")
    }
    self.seed = seed
    self.stage = stage
    self.sentenceCounts = sentenceCounts
    self.alpha = alpha
    self.stepSize = stepSize
    self.tokenCounts = tokenCounts

    // Relative to the largest language, so that no power overflows.
    let largest = Double(sentenceCounts.max() ?? 1)
    let weights = sentenceCounts.map { $0 == 0 ? 0 : pow(Double($0) / largest, alpha) }
    let total = weights.reduce(0, +)
    plannedShares = weights.map { $0 / total }
    drawsPerEpoch =
      alpha == 1
      ? sentenceCounts
      : Apportionment.parts(of: sentenceCounts.reduce(0, +), by: weights)
  }

  /// The draws of an epoch.
  public var epochLength: Int { sentenceCounts.reduce(0, +) }

  /// The sentences that language `language` gives to epoch `epoch`, in the order they are drawn.
  package func draws(ofLanguage language: Int, epoch: Int) -> [Int32] {
    let size = sentenceCounts[language]
    let quota = drawsPerEpoch[language]
    guard quota > 0 else { return [] }
    let (first, overflow) = epoch.multipliedReportingOverflow(by: quota)
    precondition(!overflow, "epoch \(epoch) of \(quota) draws is out of range")
    var result: [Int32] = []
    result.reserveCapacity(quota)
    var (pass, offset) = first.quotientAndRemainder(dividingBy: size)
    while result.count < quota {
      var order = (0..<size).map { Int32($0) }
      var random = RandomStream(
        seed: seed, "draw", .number(stage), .number(language), .number(pass))
      random.shuffle(&order)
      result += order[offset..<min(size, offset + quota - result.count)]
      pass += 1
      offset = 0
    }
    return result
  }
}
