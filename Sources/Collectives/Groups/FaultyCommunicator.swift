/// What a reduction does wrong on purpose.
package enum ReductionFault: Sendable {
  /// The rank leaves it out.
  case leftOut
  /// The rank brings one element more than the others.
  case oneElementMore
}

/// A communicator that errs on purpose, to see what ranks find of each other's faults.
///
/// It is the one that it was made of, but for reductions of which `fault` says otherwise; so are groups that are split off
/// it.
package final class FaultyCommunicator: Communicator, PlannedGroup {
  private let inner: any Communicator & PlannedGroup
  /// Whether the group was split off another one.
  private let isPart: Bool
  private let fault: @Sendable (_ element: ElementType, _ isPart: Bool) -> ReductionFault?

  /// - Parameters:
  ///   - inner: One of several ranks.
  ///   - fault: Asked at every reduction of the rank, with the type of its elements.
  package convenience init?(
    _ inner: any Communicator,
    fault: @escaping @Sendable (_ element: ElementType, _ isPart: Bool) -> ReductionFault?
  ) {
    guard let inner = inner as? any Communicator & PlannedGroup else { return nil }
    self.init(inner, isPart: false, fault)
  }

  private init(
    _ inner: any Communicator & PlannedGroup, isPart: Bool,
    _ fault: @escaping @Sendable (ElementType, Bool) -> ReductionFault?
  ) {
    self.inner = inner
    self.isPart = isPart
    self.fault = fault
  }

  package var rank: Int { inner.rank }
  package var size: Int { inner.size }
  package var hostName: String { inner.hostName }
  package var activity: RankActivity { inner.activity }
  package var settings: CollectiveSettings {
    get { inner.settings }
    set { inner.settings = newValue }
  }

  var plan: CallPlan? {
    get { inner.plan }
    set { inner.plan = newValue }
  }

  /// The group whose calls a plan sees.
  var planned: any PlannedGroup { inner }

  func agree(on call: Call, notFinite: Bool) throws(CollectiveError) {
    try inner.agree(on: call, notFinite: notFinite)
  }

  package func barrier() throws(CollectiveError) { try inner.barrier() }

  package func broadcast<E: CollectiveElement>(_ values: inout MutableSpan<E>, from root: Int)
    throws(CollectiveError)
  {
    try inner.broadcast(&values, from: root)
  }

  package func allReduce<E: ReducibleElement>(
    _ values: inout MutableSpan<E>, _ reduction: Reduction
  ) throws(CollectiveError) {
    switch fault(E.elementType, isPart) {
    case nil: try inner.allReduce(&values, reduction)
    case .leftOut: break
    case .oneElementMore:
      var more = values.indices.map { values[$0] }
      more.append(values[0])
      try inner.allReduce(&more, reduction)
    }
  }

  package func allGather<E: CollectiveElement>(_ values: Span<E>) throws(CollectiveError) -> [[E]] {
    try inner.allGather(values)
  }

  package func reduceScatter<E: ReducibleElement>(
    _ values: inout MutableSpan<E>, ranges: [Range<Int>], _ reduction: Reduction
  ) throws(CollectiveError) {
    if fault(E.elementType, isPart) != nil { return }
    try inner.reduceScatter(&values, ranges: ranges, reduction)
  }

  package func allGather<E: CollectiveElement>(
    _ values: inout MutableSpan<E>, ranges: [Range<Int>]
  ) throws(CollectiveError) {
    try inner.allGather(&values, ranges: ranges)
  }

  package func allToAll<E: CollectiveElement>(
    _ values: Span<E>, into received: inout MutableSpan<E>, counts: [[Int]]
  ) throws(CollectiveError) {
    try inner.allToAll(values, into: &received, counts: counts)
  }

  package func send<E: CollectiveElement>(
    _ values: Span<E>, to receiver: Int, tag: Int
  ) throws(CollectiveError) {
    try inner.send(values, to: receiver, tag: tag)
  }

  package func receive<E: CollectiveElement>(
    into values: inout MutableSpan<E>, from sender: Int, tag: Int
  ) throws(CollectiveError) {
    try inner.receive(into: &values, from: sender, tag: tag)
  }

  package func split(color: Int, key: Int) throws(CollectiveError) -> any Communicator {
    part(try inner.split(color: color, key: key))
  }

  package func splitByMachine() throws(CollectiveError) -> any Communicator {
    part(try inner.splitByMachine())
  }

  package func abort(code: Int32) -> Never { inner.abort(code: code) }

  private func part(_ group: any Communicator) -> any Communicator {
    guard let group = group as? any Communicator & PlannedGroup else { return group }
    return FaultyCommunicator(group, isPart: true, fault)
  }
}
