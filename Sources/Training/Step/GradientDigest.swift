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
