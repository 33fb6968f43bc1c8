import Glibc
import Synchronization

/// The threads of one rank. Tasks are numbered and handed out one by one, so which thread runs a task
/// is left open; what a task computes must not depend on it.
@safe package final class ThreadPool: @unchecked Sendable {
  package let threadCount: Int
  /// The workers that operations are cut for: the threads, or more to see what these would find to do.
  package internal(set) var workers: Int
  private let nextTask = Atomic<Int>(0)
  private let generation = Atomic<Int>(0)
  private let busyWorkers = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)
  /// Threads that are asleep, or about to be.
  private let sleepers = Atomic<Int>(0)
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let wake: UnsafeMutablePointer<pthread_cond_t>
  private var threads: [pthread_t] = []
  private var taskCount = 0
  private var body: ((Int, Int) -> Void)?
  /// Counts work and waiting, if there is one. Set between runs.
  var meter: PoolMeter?

  /// How often a thread looks for work before it sleeps: some tens of microseconds.
  private static let spins = 40_000

  init(threadCount: Int) {
    precondition(threadCount >= 1, "a pool of \(threadCount) threads")
    self.threadCount = threadCount
    workers = threadCount
    unsafe mutex = .allocate(capacity: 1)
    unsafe wake = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(wake, nil)
    for worker in 1..<threadCount {
      let start = unsafe Unmanaged.passRetained(Start(pool: self, worker: worker))
      var thread = pthread_t()
      let status = unsafe pthread_create(
        &thread, nil,
        { argument in
          guard let argument = unsafe argument else { return nil }
          let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
          ThreadPool.work(start)
          return nil
        }, start.toOpaque())
      precondition(status == 0, "no thread \(worker) of \(threadCount): error \(status)")
      threads.append(thread)
    }
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe pthread_cond_destroy(wake)
    unsafe mutex.deallocate()
    unsafe wake.deallocate()
  }

  /// Ends the threads. The pool must not be used afterwards.
  func stop() {
    stopping.store(true, ordering: .releasing)
    wakeAll()
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }

  /// Runs `body(task, worker)` for the tasks `0 ..< count` and returns when all are done. `worker` is
  /// below ``threadCount`` and no two tasks run with the same worker at once. A task must not call it.
  package func run(_ count: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    if let graph = meter?.graph {
      runMeasured(count, body, graph)
    } else {
      runAll(count, body)
    }
  }

  /// As ``run(_:_:)``, with the time of each task kept.
  private func runMeasured(_ count: Int, _ body: (Int, Int) -> Void, _ graph: TaskGraph) {
    let begin = Profile.now()
    var seconds = [Double](repeating: 0, count: max(count, 0))
    unsafe seconds.withUnsafeMutableBufferPointer { seconds in
      let times = seconds.baseAddress
      runAll(count) { task, worker in
        let start = Profile.now()
        body(task, worker)
        unsafe times?[task] = Profile.now() - start
      }
    }
    graph.add(
      TaskGraph.Region(
        operation: meter?.operation ?? "", seconds: Profile.now() - begin, tasks: seconds))
  }

  private func runAll(_ count: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    if threadCount == 1 || count <= 1 {
      for task in 0..<max(count, 0) { body(task, 0) }
      return
    }
    let start = meter == nil ? 0 : Profile.now()
    withoutActuallyEscaping(body) { escaping in
      self.body = escaping
      taskCount = count
      nextTask.store(0, ordering: .relaxed)
      busyWorkers.store(threadCount - 1, ordering: .relaxed)
      generation.add(1, ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 { wakeAll() }
      takeTasks(worker: 0)
      var spin = 0
      while busyWorkers.load(ordering: .acquiring) > 0 {
        spin += 1
        if spin > Self.spins { sched_yield() }
      }
      self.body = nil
    }
    if let meter { meter.addRegion(Profile.now() - start, threads: threadCount) }
  }

  private func wakeAll() {
    unsafe pthread_mutex_lock(mutex)
    unsafe pthread_cond_broadcast(wake)
    unsafe pthread_mutex_unlock(mutex)
  }

  private func takeTasks(worker: Int) {
    guard let body else { return }
    let start = meter == nil ? 0 : Profile.now()
    defer { if let meter { meter.addWork(Profile.now() - start) } }
    while true {
      let task = nextTask.add(1, ordering: .relaxed).oldValue
      if task >= taskCount { return }
      body(task, worker)
    }
  }

  private static func work(_ start: Start) {
    // The owner stops and joins the threads before it lets the pool go.
    let pool = start.pool
    var seen = 0
    while true {
      var spin = 0
      while pool.generation.load(ordering: .acquiring) == seen {
        if pool.stopping.load(ordering: .acquiring) { return }
        spin += 1
        if spin > spins {
          // Counted before it looks for work once more, so that whoever brings some either sees it or is seen.
          pool.sleepers.add(1, ordering: .sequentiallyConsistent)
          unsafe pthread_mutex_lock(pool.mutex)
          while pool.generation.load(ordering: .sequentiallyConsistent) == seen
            && !pool.stopping.load(ordering: .acquiring)
          {
            unsafe pthread_cond_wait(pool.wake, pool.mutex)
          }
          unsafe pthread_mutex_unlock(pool.mutex)
          pool.sleepers.subtract(1, ordering: .relaxed)
        }
      }
      seen += 1
      pool.takeTasks(worker: start.worker)
      pool.busyWorkers.subtract(1, ordering: .releasing)
    }
  }

  private final class Start {
    let pool: ThreadPool
    let worker: Int
    init(pool: ThreadPool, worker: Int) {
      self.pool = pool
      self.worker = worker
    }
  }
}
