import Synchronization

/// A list of calls that comes back in every step: all ranks agree on it at once, each group on its own calls, and they
/// are then made without being agreed on one by one.
///
/// The list is what was called between the first ``begin(notFinite:)`` and ``end()``, when calls are still agreed on
/// one by one. Later a call that is not the next of the list throws before its payload moves, on the rank that
/// makes it, and so does an end before all were made.
public final class CallPlan: Sendable {
  public let name: String
  /// The rank, as the whole job counts it.
  private let rank: Int
  /// The first one's ranks are all that there are.
  private let groups: [any PlannedGroup]
  private let state = Mutex(State())

  private struct State {
    /// Each with the index of its group.
    var calls: [(call: Call, group: Int)] = []
    var isKnown = false
    var next = 0
    /// What each group agrees on.
    var lists: [Call] = []
  }

  /// - Parameters:
  ///   - leader: Its ranks agree.
  ///   - others: Groups of the same ranks, or of some of them, whose calls belong to the plan too.
  public init(
    _ name: String, of leader: any Communicator, and others: [any Communicator] = []
  ) {
    self.name = name
    rank = leader.activity.rank
    groups = ([leader] + others).compactMap { ($0 as? any PlannedGroup)?.planned }
  }

  /// Agrees on the list, if it is known. From now on the calls of the plan's communicators are those of the list.
  ///
  /// - Parameter notFinite: Whether this rank has found numbers that are not finite.
  /// - Throws: ``CollectiveError/Code/notFinite``, on every rank, if one has.
  public func begin(notFinite: Bool = false) throws(CollectiveError) {
    let lists = state.withLock { state in
      state.next = 0
      if state.isKnown, !state.lists.isEmpty { return state.lists }
      let lists = groups.indices.map { group in
        let calls = state.isKnown ? state.calls.filter { $0.group == group }.map(\.call) : []
        return Call(
          operation: .plan, count: calls.count,
          hash: Call.hash(
            name.utf8.map(Int.init)
              + calls.flatMap {
                [
                  Int($0.operation.rawValue), Int($0.element.rawValue), $0.count, $0.detail,
                  Int($0.hash),
                ]
              }))
      }
      if state.isKnown { state.lists = lists }
      return lists
    }
    // A group without calls has nothing to agree on, but for what concerns all.
    for (index, list) in lists.enumerated() where index == 0 || list.count > 0 {
      do throws(CollectiveError) {
        try groups[index].agree(on: list, notFinite: index == 0 && notFinite)
      } catch {
        var error = error
        error.operation = "plan '\(name)' of \(list.count) call\(list.count == 1 ? "" : "s")"
        throw error
      }
    }
    for group in groups { group.plan = self }
  }

  /// Calls are again agreed on one by one.
  public func end() throws(CollectiveError) {
    for group in groups { group.plan = nil }
    let (made, calls) = state.withLock { state in
      if !state.isKnown { (state.isKnown, state.next) = (true, state.calls.count) }
      return (state.next, state.calls)
    }
    guard made == calls.count else {
      throw CollectiveError(
        code: .disagreement, operation: "plan '\(name)'", rank: rank,
        detail: "this rank skipped \(calls[made].call), call \(made + 1) of \(calls.count)")
    }
  }

  /// Takes a call as the next of the list. False if the list is only being written, so that ranks have to agree on the
  /// call.
  func take(_ call: Call, of caller: any PlannedGroup) throws(CollectiveError) -> Bool {
    precondition(
      call.operation != .gather && call.operation != .split && call.operation != .pointToPoint,
      "\(call) in a plan")
    let group = groups.firstIndex { $0 === caller } ?? 0
    let (expected, number, count) = state.withLock { state -> (Call?, Int, Int) in
      if !state.isKnown {
        state.calls.append((call, group))
        return (nil, 0, 0)
      }
      defer { state.next += 1 }
      let next = state.next
      let isListed = next < state.calls.count && state.calls[next].group == group
      return (
        isListed ? state.calls[next].call : Call(operation: .plan, count: 0), next,
        state.calls.count
      )
    }
    guard let expected else { return false }
    guard expected == call else {
      throw CollectiveError(
        code: .disagreement, operation: "\(call)", rank: rank,
        detail: number < count && expected.operation != .plan
          ? "this rank skipped \(expected), call \(number + 1) of \(count) of plan '\(name)'"
          : "plan '\(name)' of \(count) calls has no such one at place \(number + 1)")
    }
    return true
  }
}

/// A group whose ranks can agree on a plan.
protocol PlannedGroup: AnyObject, Sendable {
  /// The plan that its calls belong to, if there is one.
  var plan: CallPlan? { get set }

  /// The group whose calls the plan sees: this one, or one that makes them for it.
  var planned: any PlannedGroup { get }

  /// Agrees with all ranks on a call that moves no payload itself.
  func agree(on call: Call, notFinite: Bool) throws(CollectiveError)
}

extension PlannedGroup {
  var planned: any PlannedGroup { self }
}
