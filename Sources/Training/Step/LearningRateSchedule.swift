public import Configuration
import Glibc

/// How the learning rate moves over a stage, as the schedules of `transformers`.
public struct LearningRateSchedule: Sendable, Equatable {
  public var shape: TrainingConfiguration.Schedule
  public var warmupSteps: Int
  public var totalSteps: Int

  public init(shape: TrainingConfiguration.Schedule, warmupSteps: Int, totalSteps: Int) {
    self.shape = shape
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// What the learning rate is multiplied by at a step, from 0: rising over the warm-up from 0, then
  /// falling to 0 at the total (linear, half a cosine) or staying. `constant` has no warm-up.
  public func factor(at step: Int) -> Double {
    if shape == .constant { return 1 }
    if step < warmupSteps { return Double(step) / Double(max(1, warmupSteps)) }
    let rest = Double(max(1, totalSteps - warmupSteps))
    switch shape {
    case .linear: return max(0, Double(totalSteps - step) / rest)
    case .cosine:
      return max(0, 0.5 * (1 + cos(Double.pi * Double(step - warmupSteps) / rest)))
    case .constant, .constantWithWarmup: return 1
    }
  }
}
