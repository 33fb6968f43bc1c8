package import Tensors

/// Observes a rank while it computes its gradient.
///
/// A step that has none does nothing for it.
package final class StepWatch {
  /// Takes up the rank's own gradient, if there is one.
  package let digest: GradientDigest?
  /// Whether every operation is looked at.
  package let checksOperations: Bool
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
}
