import Foundation

extension RunEstimate {
  /// What was predicted for a step of a stage beside what steps took; nil if nothing was for so many ranks of so many
  /// threads.
  func comparison(stage: String, ranks: Int, threads: Int, seconds: Double) -> String? {
    guard let predicted = stepMilliseconds(stage: stage, ranks: ranks, threads: threads) else {
      return nil
    }
    let real = seconds * 1000
    return String(
      format: "%@: predicted %.1f ms a step, real %.1f ms (%+.0f %%)", stage, predicted, real,
      100 * (real / predicted - 1))
  }

  /// What was predicted for a step of a stage, if it was for so many ranks of so many threads.
  func stepMilliseconds(stage: String, ranks: Int, threads: Int) -> Double? {
    guard threads == self.threads, let row = rows.first(where: { $0.ranks == ranks }) else {
      return nil
    }
    return row.stages.first { $0.stage == stage }?.stepMilliseconds
  }
}
