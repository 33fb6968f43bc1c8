package import Collectives
import Foundation
package import Training

/// What a run does in addition to training: checks of everything, a log of each rank's gradients, a fault made on purpose, a step
/// done again. Nothing of it changes a weight, but for a fault that is asked for.
package struct DebugObserver: RunObserver {
  /// Whether everything is checked: batches, operations, gradients, and the weights of all ranks in every step.
  private let isDebug: Bool
  private let fault: Fault?
  /// A step to stop at, of a run that is done again; such a run writes nothing.
  private let replay: ReplayTarget?

  package init(isDebug: Bool = false, fault: Fault? = nil) {
    self.init(isDebug: isDebug, fault: fault, replay: nil)
  }

  init(isDebug: Bool = false, fault: Fault? = nil, replay: ReplayTarget?) {
    self.isDebug = isDebug
    self.fault = fault
    self.replay = replay
  }

  package var isReplay: Bool { replay != nil }

  package func communicator(_ own: any Communicator) -> any Communicator {
    fault?.communicator(own) ?? own
  }

  package func observer<Task: TrainingTask>(
    of stage: ObservedStage<Task>
  ) throws -> any StageObserver<Task.Batch> {
    try DebugStageObserver(stage, isDebug: isDebug, fault: fault, replay: replay)
  }
}
