/// A number that collectives carry.
public protocol CollectiveElement: BitwiseCopyable, Sendable, Comparable {
  static var zero: Self { get }
  static func + (left: Self, right: Self) -> Self
  /// `float`, `double`, `int64` or `byte`, for messages.
  static var elementName: String { get }
}

extension Float: CollectiveElement { public static var elementName: String { "float" } }
extension Double: CollectiveElement { public static var elementName: String { "double" } }
extension Int64: CollectiveElement { public static var elementName: String { "int64" } }
extension UInt8: CollectiveElement { public static var elementName: String { "byte" } }

/// How the values of all ranks become one.
public enum Reduction: String, Sendable, CaseIterable {
  case sum, min, max
}

/// A fixed group of ranks that call the same collectives in the same order.
///
/// Every wait has a time-out and names who is waited for. Before values move, the ranks compare what they were
/// asked for (operation, type, count): a disagreement is an error on all of them. One thread at a time may
/// use a rank's communicator.
public protocol Communicator: Sendable {
  var rank: Int { get }
  /// The number of ranks. One is a valid group: every collective is then the identity.
  var size: Int { get }
  /// Where this rank runs.
  var hostName: String { get }

  /// Returns when all ranks have called.
  func barrier() throws(CollectiveError)

  /// Gives all ranks the values of `root`. Counts are equal on all ranks.
  func broadcast<Element: CollectiveElement>(
    _ values: inout MutableSpan<Element>, from root: Int
  ) throws(CollectiveError)

  /// Replaces values, of equal count on all ranks, with their element-wise reduction. Not for bytes.
  func allReduce<Element: CollectiveElement>(
    _ values: inout MutableSpan<Element>, _ reduction: Reduction
  ) throws(CollectiveError)

  /// The values of every rank, by rank. Counts may differ.
  func allGather<Element: CollectiveElement>(
    _ values: Span<Element>
  ) throws(CollectiveError) -> [[Element]]

  /// Sends values to a rank, which must be receiving as many with the same tag.
  func send<Element: CollectiveElement>(
    _ values: Span<Element>, to destination: Int, tag: Int
  ) throws(CollectiveError)

  /// Receives values from a rank, which must be sending as many with the same tag.
  func receive<Element: CollectiveElement>(
    _ values: inout MutableSpan<Element>, from source: Int, tag: Int
  ) throws(CollectiveError)

  /// Sends one part of `values` to each rank and receives one from each: all at once, so that no order
  /// of calls can block.
  ///
  /// - Parameters:
  ///   - sending: The part of `values` for each rank.
  ///   - received: As many elements as all parts that come, by rank one after the other.
  ///   - receiving: The count that comes from each rank.
  func exchange<Element: CollectiveElement>(
    _ values: Span<Element>, sending: [Range<Int>], into received: inout MutableSpan<Element>,
    receiving: [Int]
  ) throws(CollectiveError)

  /// A group of the ranks that give the same colour, in the order of their keys.
  func split(color: Int, key: Int) throws(CollectiveError) -> any Communicator

  /// Ends all ranks of the whole run with an exit code, without delay.
  func abort(code: Int32)
}

/// Why a collective failed.
public struct CollectiveError: Error, Sendable, CustomStringConvertible {
  public enum Code: Sendable, Equatable {
    /// These ranks did not come within the time-out.
    case timeOut(waitingFor: [Int])
    /// Ranks called with other counts, types or operations.
    case disagreement
    /// MPI said so: its error code.
    case transport(Int32)
    /// Another rank of the process has failed before.
    case aborted
  }
  public var code: Code
  /// Such as `allReduce(sum) of 7087872 floats`.
  public var operation: String
  public var rank: Int
  public var detail: String

  public var description: String {
    switch code {
    case .timeOut(let ranks):
      "\(operation): waited \(detail) for rank\(ranks.count == 1 ? "" : "s") "
        + ranks.map(String.init).joined(separator: ", ")
    case .disagreement: "\(operation): ranks disagree: \(detail)"
    case .transport(let code): "\(operation): MPI error \(code): \(detail)"
    case .aborted: "\(operation): another rank has failed"
    }
  }
}

/// What a rank is about to do: compared between ranks before values move.
struct CallRecord: Equatable, Sendable {
  /// How many collectives came before.
  var sequence: Int64
  var operation: OperationKind
  var element: Int64
  /// The root or the reduction.
  var parameter: Int64
  var count: Int64

  enum OperationKind: Int64, Sendable {
    case barrier, broadcast, allReduce, allGather, exchange, split
  }

  var words: [Int64] { [sequence, operation.rawValue, element, parameter, count] }

  /// Collectives that need equal counts have theirs compared; the others leave it out.
  static let wordCount = 5

  static func describe(_ words: [Int64]) -> String {
    let name = OperationKind(rawValue: words[1]).map { "\($0)" } ?? "unknown call \(words[1])"
    return "call \(words[0]) is \(name) of \(words[4]) elements of \(words[2]) bytes"
      + " (parameter \(words[3]))"
  }

  /// What differs between the records of all ranks, or nil.
  static func disagreement(_ records: [[Int64]]) -> String? {
    guard let other = records.firstIndex(where: { $0 != records[0] }) else { return nil }
    return "rank 0: \(describe(records[0])); rank \(other): \(describe(records[other]))"
  }
}

/// A group of one rank: every collective is the identity. MPI is never touched.
public struct SingleRank: Communicator {
  public init() {}

  public var rank: Int { 0 }
  public var size: Int { 1 }
  public var hostName: String { HostName.current }

  public func barrier() {}
  public func broadcast<Element>(_ values: inout MutableSpan<Element>, from root: Int) {}
  public func allReduce<Element>(_ values: inout MutableSpan<Element>, _ reduction: Reduction) {}

  public func allGather<Element>(_ values: Span<Element>) -> [[Element]] {
    [values.indices.map { values[$0] }]
  }

  public func send<Element>(_ values: Span<Element>, to destination: Int, tag: Int) {
    preconditionFailure("rank \(destination) of a group of one")
  }

  public func receive<Element>(
    _ values: inout MutableSpan<Element>, from source: Int, tag: Int
  ) {
    preconditionFailure("rank \(source) of a group of one")
  }

  public func exchange<Element>(
    _ values: Span<Element>, sending: [Range<Int>], into received: inout MutableSpan<Element>,
    receiving: [Int]
  ) {
    precondition(sending.count == 1 && receiving == [sending[0].count], "parts of one rank")
    for (place, index) in sending[0].enumerated() { received[place] = values[index] }
  }

  public func split(color: Int, key: Int) -> any Communicator { self }

  public func abort(code: Int32) { ProcessEnd.exit(code) }
}
