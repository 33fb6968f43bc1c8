import Collectives
import Synchronization
import Tensors
import Training

extension Fault {
  /// The communicator over which this rank exchanges gradients, if the fault is one of its collectives.
  ///
  /// The sum at the end of a step is the rank's second reduction of doubles in it; the first bucket of gradients is the
  /// first reduction of another type in the group that gradients travel in, which is split off the rank's own.
  func communicator(_ own: any Communicator) -> any Communicator {
    guard own.rank == rank, [.skip, .count, .bucket].contains(kind) else { return own }
    let (kind, step, activity) = (kind, step, own.activity)
    let seen = Mutex(0)
    let faulty = FaultyCommunicator(own) { element, isPart in
      guard activity.position.step == step else { return nil }
      switch (kind, element, isPart) {
      case (.skip, .double, false), (.count, .double, false):
        guard
          seen.withLock({
            $0 += 1
            return $0
          }) == 2
        else { return nil }
        return kind == .skip ? .leftOut : .oneElementMore
      case (.bucket, .float, true), (.bucket, .bfloat16, true):
        return seen.withLock({
          $0 += 1
          return $0
        }) == 1 ? .leftOut : nil
      default: return nil
      }
    }
    return faulty ?? own
  }
}

/// A method whose passes err in one step: an element of the gradient is not a number, or the loss.
final class FaultyMethod<Batch: StepBatch>: TrainingMethod, Sendable {
  private let own: any TrainingMethod<Batch>
  /// What goes wrong in the next pass.
  private let next = Mutex<Fault.Kind?>(nil)

  init(_ own: any TrainingMethod<Batch>) { self.own = own }

  func arm(_ kind: Fault.Kind?) { next.withLock { $0 = kind } }

  var terms: [MethodTerm] { own.terms }
  var worksByShard: Bool { own.worksByShard }
  var readsMoreRows: Bool { own.readsMoreRows }

  func prepare(_ batch: inout Batch, in workspace: Workspace) {
    own.prepare(&batch, in: workspace)
  }

  func weights(of batch: Batch) -> [[Double]] { own.weights(of: batch) }

  func tableRows(of batch: Batch) -> [[Int32]] { own.tableRows(of: batch) }

  func rowsRead(of batch: Batch) -> [[Int32]] { own.rowsRead(of: batch) }

  func accumulate(_ batch: Batch, _ pass: Pass) {
    let kind = next.withLock { kind in
      defer { kind = nil }
      return kind
    }
    if kind == .nan {
      let gradients = pass.gradients
      let poisoned = Mutex(false)
      pass.observe { entry in
        let entry = (number: entry, layout: gradients.layout.entries[entry])
        guard gradients.trained[entry.number], !entry.layout.isTable else { return }
        let isFirst = poisoned.withLock { done in
          defer { done = true }
          return !done
        }
        guard isFirst else { return }
        gradients.withDense(entry.layout.offset..<entry.layout.offset + 1) { $0[0] = .nan }
      }
    }
    if kind == .loss { pass.lossWillNotBeFinite() }
    own.accumulate(batch, pass)
    if kind == .loss { pass.spoilLoss() }
  }
}
