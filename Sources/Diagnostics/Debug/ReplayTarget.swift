import Foundation

/// A step that a run is done again up to, and what came of it on each rank.
final class ReplayTarget: Sendable {
  /// From 1.
  let step: Int
  private let lock = NSLock()
  nonisolated(unsafe) private var results: [Int: ReplayedStep] = [:]

  init(step: Int) { self.step = step }

  func set(_ result: ReplayedStep, ofRank rank: Int) {
    lock.withLock { unsafe results[rank] = result }
  }

  func result(ofRank rank: Int) -> ReplayedStep? { lock.withLock { unsafe results[rank] } }
}

/// What a rank's part of a step was, done again.
public struct ReplayedStep: Sendable {
  /// A sentence of the rank's batch.
  public struct Sentence: Codable, Equatable, Sendable {
    public var language: String
    public var path: String
    public var line: Int
  }
  package var line: GradientLog.Line
  /// The mean of each term of the loss over the whole step, of all ranks.
  public var stepLosses: [Double]
  /// The norm of the whole step's gradient.
  public var stepNorm: Double
  public var sentences: [Sentence]
}
