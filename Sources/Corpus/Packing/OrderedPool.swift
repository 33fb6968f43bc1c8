import Foundation

/// Threads that work on a bounded number of things at once; results come in the order of the things.
final class OrderedPool<Input: Sendable, Output: Sendable>: @unchecked Sendable {
  /// What a thread does with one thing; made once for each thread.
  typealias Work = (Input) -> Output

  private let condition = NSCondition()
  /// All below is guarded by the condition.
  private var waiting: [(number: Int, input: Input)] = []
  private var finished: [Int: Output] = [:]
  private var isStopped = false
  private var running = 0

  private var submitted = 0
  private var taken = 0
  /// The things that may be in work or in store.
  let capacity: Int

  init(threads: Int, makeWork: @escaping @Sendable () -> Work) {
    precondition(threads >= 1, "\(threads) threads")
    capacity = 2 * threads + 2
    running = threads
    for _ in 0..<threads {
      let thread = Thread { self.run(makeWork()) }
      thread.stackSize = 1 << 23
      thread.start()
    }
  }

  /// The things whose results were not taken.
  var inFlight: Int { submitted - taken }

  /// Hands a thing over; there must be room for it.
  func submit(_ input: Input) {
    precondition(inFlight < capacity, "\(inFlight) things in a pool of \(capacity)")
    condition.lock()
    waiting.append((submitted, input))
    condition.broadcast()
    condition.unlock()
    submitted += 1
  }

  /// The result of the oldest thing that is in flight.
  func take() -> Output {
    precondition(inFlight > 0, "a pool with nothing in flight")
    condition.lock()
    defer { condition.unlock() }
    while true {
      if let output = finished.removeValue(forKey: taken) {
        taken += 1
        return output
      }
      condition.wait()
    }
  }

  /// Ends the threads, without what is in flight; returns when they have ended.
  func stop() {
    condition.lock()
    isStopped = true
    condition.broadcast()
    while running > 0 { condition.wait() }
    condition.unlock()
  }

  private func run(_ work: Work) {
    condition.lock()
    while true {
      while waiting.isEmpty, !isStopped { condition.wait() }
      if isStopped { break }
      let (number, input) = waiting.removeFirst()
      condition.unlock()
      let output = work(input)
      condition.lock()
      finished[number] = output
      condition.broadcast()
    }
    running -= 1
    condition.broadcast()
    condition.unlock()
  }
}
