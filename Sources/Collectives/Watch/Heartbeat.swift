import Glibc
import Synchronization

/// What a rank did at some moment, on its way through the others.
struct Heartbeat: Equatable {
  static let wordCount = 16
  static let byteCount = wordCount * 8
  private static let textBytes = 88

  /// Counts the heartbeats of a rank; 0 if none was heard.
  var number: UInt64 = 0
  /// When it was made, by this machine's monotonic clock.
  var madeAt = 0.0
  /// How long the rank had been in its operation by then.
  var operationSeconds = 0.0
  var step: UInt32 = 0
  /// The process, by its machine's number.
  var process: Int32 = 0
  /// A rank that it waits for.
  var waitsFor: Int?
  var operation = ""

  init() {}

  /// What a rank does now.
  init(_ activity: RankActivity, number: UInt64) {
    let (position, operation, since, call) = activity.now
    self.number = number
    madeAt = monotonicSeconds()
    operationSeconds = madeAt - since
    step = UInt32(truncatingIfNeeded: position.step)
    process = getpid()
    waitsFor = call?.waitsFor.first
    self.operation = operation
    if let call, call.waitsFor.isEmpty == false {
      operationSeconds = madeAt - call.start
      self.operation += ", in \(call.call)"
    }
  }

  /// As it is sent at the time `now`. Ages are sent, since clocks differ.
  func words(at now: Double) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: Self.wordCount)
    words[0] = number
    words[1] = UInt64(min(max(0, now - madeAt), 1e12) * 1000)
    words[2] = UInt64(min(max(0, operationSeconds), 1e12) * 1000)
    words[3] = UInt64(step) << 32 | UInt64(UInt32(bitPattern: process))
    words[4] = UInt64(bitPattern: Int64(waitsFor ?? -1))
    for (index, byte) in operation.utf8.prefix(Self.textBytes).enumerated() {
      words[5 + index / 8] |= UInt64(byte) << (8 * (index % 8))
    }
    return words
  }

  /// As it arrived at the time `now`.
  init(words: [UInt64], at now: Double, ranks: Int) {
    number = words[0]
    madeAt = now - Double(words[1]) / 1000
    operationSeconds = Double(words[2]) / 1000
    step = UInt32(truncatingIfNeeded: words[3] >> 32)
    process = Int32(bitPattern: UInt32(truncatingIfNeeded: words[3]))
    waitsFor = Int(exactly: Int64(bitPattern: words[4])).flatMap {
      (0..<ranks).contains($0) ? $0 : nil
    }
    let bytes = (0..<Self.textBytes).map {
      UInt8(truncatingIfNeeded: words[5 + $0 / 8] >> (8 * ($0 % 8)))
    }
    operation = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}

extension RankActivity {
  /// A heartbeat takes a few rounds from rank to rank.
  private func isRecent(_ beat: Heartbeat) -> Bool {
    monotonicSeconds() - beat.madeAt < 4 * heartbeatSeconds.withLock { $0 } + 1
  }

  /// The other ranks of which nothing was heard of late.
  func silentRanks() -> [Int] {
    let heard = heard.withLock { $0 }
    return heard.indices.filter { $0 != rank && !isRecent(heard[$0]) }
  }

  /// What is known of the ranks that a wait was in vain for, and of those that they wait for in turn.
  ///
  /// - Returns: The ranks at the root of it, and a line about them.
  func explanation(of ranks: [Int]) -> (roots: [Int], text: String) {
    let heard = heard.withLock { $0 }
    if heard.allSatisfy({ $0.number == 0 }) { return (ranks, "") }
    let now = monotonicSeconds()
    func isFresh(_ rank: Int) -> Bool { isRecent(heard[rank]) }
    var roots: [Int] = []
    for first in ranks {
      var (root, visited) = (first, [rank])
      while isFresh(root), let next = heard[root].waitsFor {
        visited.append(root)
        // Ranks that wait for each other explain nothing.
        root = visited.contains(next) ? first : next
        if root == first { break }
      }
      // One that has been silent since it waited for these is not their cause either.
      if !isFresh(root), let next = heard[root].waitsFor, visited.contains(next) { root = first }
      if !roots.contains(root) { roots.append(root) }
    }
    roots.sort()
    var text = roots == ranks ? "" : ", waiting in turn for \(listed(ranks: roots))"
    for root in roots.prefix(3) { text += "; " + describe(root, heard[root], isFresh(root), now) }
    let others = heard.indices.filter { $0 != rank }
    if others.count > 1, others.allSatisfy({ !isFresh($0) }) {
      text += "; nothing was heard of any rank: look at the network of \(hosts[rank]) first"
    }
    return (roots, text)
  }

  private func describe(_ rank: Int, _ beat: Heartbeat, _ isFresh: Bool, _ now: Double) -> String {
    let name = "rank \(rank) on \(hosts[rank])"
    if beat.number == 0 { return "\(name) was never heard of" }
    let age = now - beat.madeAt
    let place = "\(beat.operation), step \(beat.step)"
    if isFresh {
      return "\(name) lives, since \(seconds(beat.operationSeconds + age)) in \(place)"
    }
    let state = hosts[rank] == hosts[self.rank] ? stateOfProcess(beat.process) : nil
    return "\(name) was last heard of \(seconds(age)) ago, in \(place)"
      + (state.map { "; its process \(beat.process) \($0)" } ?? "")
  }

  private func seconds(_ value: Double) -> String {
    value < 100 ? "\(Double(Int(value * 10)) / 10) s" : "\(Int(value)) s"
  }
}

/// What has become of a process of this machine, where that explains its silence.
private func stateOfProcess(_ process: Int32) -> String? {
  guard process > 0 else { return nil }
  let file = unsafe open("/proc/\(process)/stat", O_RDONLY)
  if file < 0 { return errno == ENOENT ? "has ended" : nil }
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: 512)
  let count = unsafe read(file, &bytes, bytes.count)
  // `PID (name) STATE …`, where the name may hold anything.
  guard count > 0, let end = bytes[..<count].lastIndex(of: UInt8(ascii: ")")), end + 2 < count
  else { return nil }
  switch bytes[end + 2] {
  case UInt8(ascii: "T"): return "is stopped (SIGSTOP)"
  case UInt8(ascii: "t"): return "is held by a debugger"
  case UInt8(ascii: "D"): return "hangs in the kernel, on a disk or a network file system"
  case UInt8(ascii: "Z"), UInt8(ascii: "X"): return "has ended"
  default: return nil
  }
}
