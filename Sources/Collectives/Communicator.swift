/// A fixed group of ranks that call the same collectives in the same order.
///
/// Before any payload moves, every rank tells every other which call it is in, or all agree on a ``CallPlan``; ranks that are in
/// different calls, or give different counts, roots or ranges, all throw
/// ``CollectiveError/Code/disagreement``, and a rank that does not come is named when the time of
/// ``settings`` is over. After any error but that and ``CollectiveError/Code/notFinite`` the group is lost: every later
/// call throws, and the program should end with ``abort(code:)`` without touching the buffer of the
/// call that failed, into which MPI may still write.
///
/// Sums are added in the order of their ``Reduction``, by one rank per element, so every rank gets the same
/// bits and the same call gives the same bits each time, over MPI as over threads. One thread at a
/// time may use a communicator; give another thread its own with ``split(color:key:)``.
///
/// A call moves at most `2 × (size − 1) ÷ size` times its buffer in and out of each rank, and needs
/// extra memory of about one rank's share of it.
public protocol Communicator: AnyObject, Sendable {
  /// The number of the calling rank, in `0 ..< size`.
  var rank: Int { get }

  /// The number of ranks. One is a valid group: every collective is then the identity.
  var size: Int { get }

  /// The name of the machine that the calling rank runs on.
  var hostName: String { get }

  /// What the calling rank is doing, as others hear of it. One for all communicators of a rank.
  var activity: RankActivity { get }

  /// How the calling rank waits. A change holds from the next call on.
  var settings: CollectiveSettings { get set }

  /// Returns when every rank has called.
  func barrier() throws(CollectiveError)

  /// Replaces `values`, of equal count on every rank, with those of rank `root`.
  func broadcast<E: CollectiveElement>(_ values: inout MutableSpan<E>, from root: Int)
    throws(CollectiveError)

  /// Replaces `values`, of equal count on every rank, with the reduction over all ranks, element by
  /// element.
  func allReduce<E: ReducibleElement>(_ values: inout MutableSpan<E>, _ reduction: Reduction)
    throws(CollectiveError)

  /// The values of every rank, by rank. The counts may differ.
  func allGather<E: CollectiveElement>(_ values: Span<E>) throws(CollectiveError) -> [[E]]

  /// Makes rank r's range of `values` the reduction of that range over all ranks.
  ///
  /// What the other ranges hold afterwards is their own rank's input; elements outside every range
  /// keep their values.
  ///
  /// - Precondition: There is a range for each rank, and they do not overlap.
  func reduceScatter<E: ReducibleElement>(
    _ values: inout MutableSpan<E>, ranges: [Range<Int>], _ reduction: Reduction
  ) throws(CollectiveError)

  /// Copies rank r's range of `values` to every other rank, for every r.
  ///
  /// - Precondition: There is a range for each rank, and they do not overlap.
  func allGather<E: CollectiveElement>(_ values: inout MutableSpan<E>, ranges: [Range<Int>])
    throws(CollectiveError)

  /// Gives every rank its part of `values`, and puts the part that each rank has for this one into `received`, as
  /// MPI_Alltoallv does. Parts lie one after the other, by rank.
  ///
  /// - Parameter counts: The elements that each rank has for each, `counts[sender][receiver]`, equal on every rank;
  ///   none for itself.
  func allToAll<E: CollectiveElement>(
    _ values: Span<E>, into received: inout MutableSpan<E>, counts: [[Int]]
  ) throws(CollectiveError)

  /// Sends `values` to another rank, which waits for them, and returns once they may be written over.
  ///
  /// The receiver must give the same count, element type and tag, or both throw a disagreement.
  func send<E: CollectiveElement>(_ values: Span<E>, to receiver: Int, tag: Int)
    throws(CollectiveError)

  /// Fills `values` with those that another rank sends with the same count, type and tag.
  func receive<E: CollectiveElement>(
    into values: inout MutableSpan<E>, from sender: Int, tag: Int
  ) throws(CollectiveError)

  /// Cuts the group into one group for each `color`, its ranks ordered by `key`, then by rank.
  ///
  /// The new communicator takes the settings of this one, and lives until the program ends.
  func split(color: Int, key: Int) throws(CollectiveError) -> any Communicator

  /// The ranks of the calling rank's machine, in their order.
  ///
  /// The new communicator takes the settings of this one, and lives until the program ends.
  func splitByMachine() throws(CollectiveError) -> any Communicator

  /// Ends every process of the group, also those that are blocked, with exit status `code`.
  func abort(code: Int32) -> Never
}

// MARK: Arrays and single values

extension Communicator {
  /// Replaces the elements of `values`, of equal count on every rank, with those of rank `root`.
  public func broadcast<E: CollectiveElement>(_ values: inout [E], from root: Int)
    throws(CollectiveError)
  {
    var span = values.mutableSpan
    try broadcast(&span, from: root)
  }

  /// Replaces the elements of `values` with their reduction over all ranks.
  public func allReduce<E: ReducibleElement>(_ values: inout [E], _ reduction: Reduction)
    throws(CollectiveError)
  {
    var span = values.mutableSpan
    try allReduce(&span, reduction)
  }

  /// The reduction of one value of each rank.
  public func allReduce<E: ReducibleElement>(_ value: E, _ reduction: Reduction)
    throws(CollectiveError) -> E
  {
    var values = [value]
    try allReduce(&values, reduction)
    return values[0]
  }

  /// The values of every rank, by rank. The counts may differ.
  public func allGather<E: CollectiveElement>(_ values: [E]) throws(CollectiveError) -> [[E]] {
    // Not `values.span`: Swift 6.3 drops the stores into an array literal that only a span reads.
    try unsafe values.withUnsafeBufferPointer { values throws(CollectiveError) in
      try allGather(unsafe Span(_unsafeElements: values))
    }
  }
}
