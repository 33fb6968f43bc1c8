import Glibc
import Synchronization

/// Several ranks as threads of one process, for machines without a launcher, and for tests.
public enum ThreadGroup {
  /// Runs `body` once for each rank, each on its own thread, and returns the results by rank.
  ///
  /// The first error ends the group: the other ranks leave their collectives with
  /// ``CollectiveError/Code/aborted``, and the first error is thrown here when all have left. A rank
  /// that computes is not interrupted.
  ///
  /// - Parameters:
  ///   - ranks: At least 1.
  ///   - ranksPerMachine: How many neighbouring ranks pretend to be on a machine of their own; nil for all.
  ///   - isWatched: Whether ranks tell each other what they do, as those of MPI do, so that a wait in vain knows more.
  ///   - stackBytes: The stack of each thread; only what is touched takes memory.
  public static func run<Result: Sendable>(
    ranks: Int, ranksPerMachine: Int? = nil, settings: CollectiveSettings = CollectiveSettings(),
    isWatched: Bool = false, stackBytes: Int = 64 << 20,
    _ body: @escaping @Sendable (any Communicator) throws -> Result
  ) throws -> [Result] {
    precondition(ranks >= 1, "a group of \(ranks) ranks")
    let outcome = Outcome()
    let results = Results<Result>(count: ranks)
    let hub = ThreadHub(size: ranks, ranksPerMachine: ranksPerMachine ?? ranks, outcome: outcome)
    var threads: [pthread_t] = []
    for rank in 0..<ranks {
      let started = startThread(stackBytes: stackBytes) {
        do {
          let transport = ThreadTransport(hub: hub, rank: rank)
          let hosts = [String](repeating: nameOfThisHost(), count: ranks)
          let group = RankGroup(
            transport, settings: settings, activity: RankActivity(rank: rank, hosts: hosts))
          if isWatched {
            group.watch(on: transport.split(sequence: .max, color: 0, members: Array(0..<ranks)))
          }
          defer { group.endWatch() }
          results.set(try body(group), rank)
        } catch {
          outcome.fail(error, rank: rank)
        }
      }
      guard let thread = started else {
        let error = CollectiveError(
          code: .launch, operation: "start of \(ranks) ranks as threads", rank: rank,
          detail: "no thread with a stack of \(stackBytes) bytes can be started; use fewer ranks")
        outcome.fail(error, rank: rank)
        break
      }
      threads.append(thread)
    }
    for thread in threads { _ = pthread_join(thread, nil) }
    if let (error, _) = outcome.first { throw error }
    return results.all
  }
}

/// What the ranks returned.
private final class Results<Result: Sendable>: Sendable {
  private let values: Mutex<[Result?]>

  init(count: Int) { values = Mutex(Array(repeating: nil, count: count)) }

  func set(_ value: Result, _ rank: Int) { values.withLock { $0[rank] = value } }

  var all: [Result] { values.withLock { $0.compactMap(\.self) } }
}
