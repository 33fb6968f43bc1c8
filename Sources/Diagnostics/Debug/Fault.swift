public import Configuration

/// A fault that a run makes on purpose, in one step of one rank.
///
/// It exists to see what a fault looks like: which error names it, on which rank, and how long that takes. The environment
/// variable `ISOGLOSS_FAULT` names one as `KIND:RANK:STEP`, steps counted from 1; a run without it looks for none.
public struct Fault: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    /// An element of the rank's own gradient is not a number.
    case nan
    /// The rank's loss is not a number.
    case loss
    /// A weight of the rank changes after the step's update.
    case weight
    /// The rank leaves out the sum at the end of the step.
    case skip
    /// The rank leaves out its first bucket of gradients, of a plan on which all have agreed.
    case bucket
    /// The rank brings one element more than the others to the sum at the end of the step.
    case count
  }

  public var kind: Kind
  public var rank: Int
  /// From 1.
  public var step: Int

  public init(_ kind: Kind, rank: Int, step: Int) {
    (self.kind, self.rank, self.step) = (kind, rank, step)
  }

  public static let variable = "ISOGLOSS_FAULT"

  /// Reads `KIND:RANK:STEP`.
  public init(_ text: String) throws(UsageError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, let kind = Kind(rawValue: String(parts[0])), let rank = Int(parts[1]),
      let step = Int(parts[2]), rank >= 0, step >= 1
    else {
      let kinds = Kind.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError(
        "\(Self.variable) must be KIND:RANK:STEP, of kind \(kinds), rank 0 or more and step 1 or "
          + "more, found '\(text)'", command: "isogloss train")
    }
    self.init(kind, rank: rank, step: step)
  }

  /// The kind, if it is this rank's in this step, counted from 1.
  func kind(ofRank rank: Int, step: Int) -> Kind? {
    rank == self.rank && step == self.step ? kind : nil
  }
}
