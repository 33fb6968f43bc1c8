import Collectives
import Configuration
import Foundation
import Tensors

extension StageTrainer {
  /// Says what `estimate --save` predicted for a step of this stage beside what steps took, if the run's directory
  /// holds a prediction for as many ranks and threads.
  ///
  /// - Parameter seconds: Of a step, without evaluation and saving.
  func reportPrediction(stepSeconds seconds: Double) {
    guard context.communicator.rank == 0, seconds > 0,
      let estimate = RunEstimate.saved(in: context.configuration.outputDirectory),
      let predicted = estimate.stepMilliseconds(
        stage: stage.name, ranks: context.communicator.size,
        threads: context.workspace.threadCount)
    else { return }
    let real = seconds * 1000
    context.reporter.line(
      String(
        format: "%@: predicted %.1f ms a step, real %.1f ms (%+.0f %%)", stage.name, predicted,
        real, 100 * (real / predicted - 1)))
  }
}

extension RunEstimate {
  /// What was predicted for a step of a stage, if it was for so many ranks of so many threads.
  func stepMilliseconds(stage: String, ranks: Int, threads: Int) -> Double? {
    guard threads == self.threads, let row = rows.first(where: { $0.ranks == ranks }) else {
      return nil
    }
    return row.stages.first { $0.stage == stage }?.stepMilliseconds
  }
}
