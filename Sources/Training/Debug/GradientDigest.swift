package import Tensors

/// What a rank's own gradient of a step was, entry by entry, before any sum over ranks.
///
/// The thread that sums notes the entries of a bucket just before it sums it; who reads the digest waits for that
/// thread first.
package final class GradientDigest: @unchecked Sendable {
  private let kernels: KernelTable
  private var hashes: [UInt64]
  private var squares: [Double]

  package init(layout: ParameterLayout, kernels: KernelTable) {
    self.kernels = kernels
    hashes = layout.entries.map { _ in 0 }
    squares = layout.entries.map { _ in 0 }
  }

  /// Takes up what the entries hold now. Those that are never noted count as zero.
  package func note(_ entries: Range<Int>, of gradients: GradientBuffer) {
    for entry in entries where gradients.trained[entry] {
      (hashes[entry], squares[entry]) = gradients.digest(ofEntry: entry, kernels)
    }
  }

  /// Over all entries, in their order.
  package var hash: UInt64 {
    var hash = BitsHash()
    for entry in hashes { hash.add(entry) }
    return hash.value
  }

  /// The norm of each entry; not finite where an element is not.
  package var norms: [Double] { squares.map { $0.squareRoot() } }
}

/// What looks on while a rank computes its gradient.
///
/// A step that has none does nothing for it.
package final class StepWatch {
  /// Takes up the rank's own gradient, if there is one.
  package let digest: GradientDigest?
  /// Whether every operation is looked at.
  package let checksOperations: Bool
  /// Whether an element of the gradient is made not a number in the next step.
  package var poisons = false
  /// The first number of the last step that was not finite.
  package var finding: TapeCheck.Finding?
  /// The rank's own sum of each term of the loss.
  package var sums: [Double] = []

  package init(digest: GradientDigest?, checksOperations: Bool) {
    self.digest = digest
    self.checksOperations = checksOperations
  }

  /// A check for a pass, until something has been found.
  func check() -> TapeCheck? { checksOperations && finding == nil ? TapeCheck() : nil }

  /// Takes up what the check of a pass has found.
  func note(_ check: TapeCheck?) { finding = finding ?? check?.finding }

  /// An entry of the gradient has its last value: what a fault does to it.
  func poison(_ entry: Int, of gradients: GradientBuffer) {
    guard poisons, gradients.trained[entry], !gradients.layout.entries[entry].isTable else {
      return
    }
    poisons = false
    let start = gradients.layout.entries[entry].offset
    gradients.withDense(start..<start + 1) { $0[0] = .nan }
  }
}
