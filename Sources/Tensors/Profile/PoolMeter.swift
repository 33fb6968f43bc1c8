import Synchronization

/// How long the threads of a pool worked in its parallel regions, and how long these took.
final class PoolMeter: @unchecked Sendable {
  /// Keeps the time of every task, if there is one. It and the operation are set between regions.
  var graph: TaskGraph?
  var operation = ""
  private let busy = Atomic<Int>(0)  // nanoseconds over all threads
  private let available = Atomic<Int>(0)  // of the regions, times their threads
  private let wall = Atomic<Int>(0)

  var wallSeconds: Double { Double(wall.load(ordering: .relaxed)) * 1e-9 }

  var waitingShare: Double {
    let all = Double(available.load(ordering: .relaxed))
    return all > 0 ? max(0, 1 - Double(busy.load(ordering: .relaxed)) / all) : 0
  }

  func reset() {
    busy.store(0, ordering: .relaxed)
    available.store(0, ordering: .relaxed)
    wall.store(0, ordering: .relaxed)
  }

  func addWork(_ seconds: Double) { busy.add(Int(seconds * 1e9), ordering: .relaxed) }

  func addRegion(_ seconds: Double, threads: Int) {
    wall.add(Int(seconds * 1e9), ordering: .relaxed)
    available.add(Int(seconds * 1e9) * threads, ordering: .relaxed)
  }
}
