import Glibc

/// What the operations of a rank's steps took: calls, time, arithmetic, memory traffic.
///
/// A ``Workspace`` that has one measures every operation; one that has none measures nothing.
public final class Profile {
  /// An operation by its name and shape, forward and backward apart.
  public struct Row: Sendable, Equatable {
    public var name: String
    public var calls = 0
    public var seconds = 0.0
    /// Floating-point operations.
    public var flops = 0.0
    /// Whether its products round their factors to bf16.
    public var isRounded = false
    /// Bytes read and written at least.
    public var bytes = 0.0
  }

  /// One call, for a trace.
  public struct Event: Sendable {
    public var row: Int
    /// Since the profile began.
    public var start: Double
    public var seconds: Double
    /// 0 for operations; 1 for what another thread does beside them.
    public var thread = 0
  }

  public private(set) var rows: [Row] = []
  /// The calls of the first steps.
  public private(set) var events: [Event] = []
  private var places: [String: Int] = [:]
  private let began = Profile.now()
  private let eventLimit: Int
  let pool = PoolMeter()

  /// - Parameter eventLimit: The calls that are kept one by one.
  public init(eventLimit: Int = 200_000) { self.eventLimit = eventLimit }

  /// The seconds since the profile began.
  public var seconds: Double { Profile.now() - began }

  /// The share of the threads' time inside parallel regions in which they waited for the last one of them.
  public var waitingShare: Double { pool.waitingShare }

  /// The seconds inside regions that several threads share.
  public var parallelSeconds: Double { pool.wallSeconds }

  /// Keeps the time of every task of parallel regions, if there is one.
  public var graph: TaskGraph? {
    get { pool.graph }
    set { pool.graph = newValue }
  }

  /// Forgets what was measured, but not what trace events hold.
  public func reset() {
    for index in rows.indices { rows[index] = Row(name: rows[index].name) }
    pool.reset()
  }

  /// Runs `body` and counts it under `name`.
  public func measure<Result, Failure: Error>(
    _ name: String, flops: Double = 0, isRounded: Bool = false, bytes: Double = 0,
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pool.operation = name
    let start = Profile.now()
    let result = try body()
    let seconds = Profile.now() - start
    let place = row(name)
    rows[place].calls += 1
    rows[place].seconds += seconds
    rows[place].flops += flops
    rows[place].isRounded = isRounded
    rows[place].bytes += bytes
    if events.count < eventLimit {
      events.append(Event(row: place, start: start - began, seconds: seconds))
    }
    return result
  }

  /// Adds to the events what a thread beside the operations did; no row counts it.
  ///
  /// - Parameter start: By ``now()``.
  public func addEvent(_ name: String, start: Double, seconds: Double) {
    guard events.count < eventLimit else { return }
    events.append(Event(row: row(name), start: start - began, seconds: seconds, thread: 1))
  }

  private func row(_ name: String) -> Int {
    if let known = places[name] { return known }
    places[name] = rows.count
    rows.append(Row(name: name))
    return rows.count - 1
  }

  /// An event of a trace that Perfetto and chrome://tracing open, in microseconds since the profile began.
  public struct TraceEvent: Codable, Sendable {
    var name: String
    /// `X` for something that took time, `M` for a name.
    var ph: String
    var pid: Int
    var tid: Int?
    var ts: Int?
    var dur: Int?
    var args: [String: String]?
  }

  /// The events as those of one process in a trace.
  public func traceEvents(process: Int, name: String) -> [TraceEvent] {
    [TraceEvent(name: "process_name", ph: "M", pid: process, args: ["name": name])]
      + events.map { event in
        TraceEvent(
          name: rows[event.row].name, ph: "X", pid: process, tid: event.thread,
          ts: Int(event.start * 1e6), dur: Int(event.seconds * 1e6))
      }
  }

  /// Seconds of the clock that events are measured with.
  public static func now() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
