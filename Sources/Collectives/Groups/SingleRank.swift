import Synchronization

/// The group of one rank: every collective is the identity, and MPI is never started.
public final class SingleRank: Communicator {
  public let hostName: String
  public let activity: RankActivity
  private let settingsLock: Mutex<CollectiveSettings>

  public init(settings: CollectiveSettings = CollectiveSettings()) {
    hostName = nameOfThisHost()
    activity = RankActivity(rank: 0, hosts: [hostName])
    settingsLock = Mutex(settings)
  }

  public var rank: Int { 0 }
  public var size: Int { 1 }

  public var settings: CollectiveSettings {
    get { settingsLock.withLock { $0 } }
    set { settingsLock.withLock { $0 = newValue } }
  }

  public func barrier() {}

  public func broadcast<E: CollectiveElement>(_ values: inout MutableSpan<E>, from root: Int) {
    precondition(root == 0, "the root of a broadcast is rank \(root) of 1")
  }

  public func allReduce<E: ReducibleElement>(
    _ values: inout MutableSpan<E>, _ reduction: Reduction
  ) { reduction.check(ranks: 1) }

  public func allGather<E: CollectiveElement>(_ values: Span<E>) -> [[E]] {
    [values.indices.map { values[$0] }]
  }

  public func reduceScatter<E: ReducibleElement>(
    _ values: inout MutableSpan<E>, ranges: [Range<Int>], _ reduction: Reduction
  ) {
    reduction.check(ranks: 1)
    checkRanges(ranges, within: values.count, ranks: 1)
  }

  public func allGather<E: CollectiveElement>(
    _ values: inout MutableSpan<E>, ranges: [Range<Int>]
  ) {
    checkRanges(ranges, within: values.count, ranks: 1)
  }

  public func allToAll<E: CollectiveElement>(
    _ values: Span<E>, into received: inout MutableSpan<E>, counts: [[Int]]
  ) { checkCounts(counts, ranks: 1) }

  public func send<E: CollectiveElement>(_ values: Span<E>, to receiver: Int, tag: Int) {
    preconditionFailure("a group of one rank has no rank \(receiver) to send to")
  }

  public func receive<E: CollectiveElement>(
    into values: inout MutableSpan<E>, from sender: Int, tag: Int
  ) {
    preconditionFailure("a group of one rank has no rank \(sender) to receive from")
  }

  public func split(color: Int, key: Int) -> any Communicator { SingleRank(settings: settings) }

  public func splitByMachine() -> any Communicator { SingleRank(settings: settings) }

  public func abort(code: Int32) -> Never { endProcess(code: code) }
}
