/// Why a collective did not end as it should, in one line that names the operation and the rank.
public struct CollectiveError: Error, CustomStringConvertible {
  public enum Code: Equatable, Sendable {
    /// The ranks in ``CollectiveError/others`` did not come in time.
    case timeout
    /// The ranks in ``CollectiveError/others`` are in another call. No payload has moved.
    case disagreement
    /// The ranks in ``CollectiveError/others`` have numbers that are not finite. No payload has moved.
    case notFinite
    /// MPI returned this error code.
    case transport(Int32)
    /// Another rank failed first, or this communicator did before.
    case aborted
    /// The group could not be started.
    case launch
  }

  public var code: Code
  /// What was tried, for example `allReduce (sum) of 7087872 floats`.
  public var operation: String
  /// The rank that throws.
  public var rank: Int
  /// The ranks concerned, in order, as the whole job counts them.
  public var others: [Int]
  /// The cause, in words.
  public var detail: String

  init(code: Code, operation: String, rank: Int, others: [Int] = [], detail: String) {
    self.code = code
    self.operation = operation
    self.rank = rank
    self.others = others
    self.detail = detail
  }

  public var description: String { "rank \(rank): \(operation): \(detail)" }
}

/// `rank 3` or `ranks 1, 2 and 5`.
func listed(ranks: [Int]) -> String {
  guard let last = ranks.last else { return "no rank" }
  if ranks.count == 1 { return "rank \(last)" }
  return "ranks \(ranks.dropLast().map(String.init).joined(separator: ", ")) and \(last)"
}
