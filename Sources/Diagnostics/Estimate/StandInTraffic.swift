import Collectives
import Glibc
import Synchronization
import Tensors
import Training

/// A TCP connection of this machine with itself.
final class Loopback: Sendable {
  let sender: Int32
  let receiver: Int32

  init() throws(RunError) {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    sender = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let sender = sender
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let connected = unsafe withUnsafeMutablePointer(to: &address) { address in
      unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe bind(listener, address, length) == 0 && listen(listener, 1) == 0
          && getsockname(listener, address, &length) == 0 && connect(sender, address, length) == 0
      }
    }
    receiver = connected ? accept(listener, nil, nil) : -1
    guard receiver >= 0 else {
      let code = errno
      throw RunError(.io, "no TCP connection of this machine with itself: errno \(code)")
    }
  }

  deinit {
    close(sender)
    close(receiver)
  }
}

/// Bytes that move as those of a rank do while it computes: a thread that sends and receives at the rate of a link,
/// looks for messages as often as a communicator does, copies what arrives and adds half of it up.
///
/// They go over a connection of this machine with itself, so that what they cost is measured and not guessed.
final class StandInTraffic: Sendable {
  private let connection: Loopback
  private let bytesPerSecond: Double
  /// After so many bytes a wait ends and the next begins.
  private let bytesPerWait: Int
  private let isMoving = Atomic<Bool>(false)
  private let isStopping = Atomic<Bool>(false)
  private let isIdle = Atomic<Bool>(true)
  private let moved = Atomic<Int>(0)
  private let nanoseconds = Atomic<Int>(0)
  private let notices = Mutex<[Double]>([])

  /// What one look for messages handles at most.
  private static let pieceBytes = 1 << 17
  /// The messages on their way at once, each of which is looked at.
  private static let messages = 4

  init(bytesPerSecond: Double, bytesPerWait: Int) throws(RunError) {
    connection = try Loopback()
    self.bytesPerWait = max(1, bytesPerWait)
    self.bytesPerSecond = bytesPerSecond
  }

  /// The bytes sent for each second in which bytes moved.
  var rate: Double {
    let time = nanoseconds.load(ordering: .relaxed)
    return time == 0
      ? bytesPerSecond : Double(moved.load(ordering: .relaxed)) / (Double(time) * 1e-9)
  }

  /// From a message's arrival until the thread looks for it, on the mean over moments of arrival: with looks at
  /// distances t, `Σ t² ÷ 2 Σ t`. The median of all times that bytes moved, since a machine that stands still for a
  /// moment weighs much in a square.
  var noticeSeconds: Double {
    notices.withLock { notices in
      notices.isEmpty ? 0 : notices.sorted()[notices.count / 2]
    }
  }

  func begin() { isMoving.store(true, ordering: .releasing) }

  /// Returns when nothing moves any more.
  func pause() {
    isMoving.store(false, ordering: .releasing)
    while !isIdle.load(ordering: .acquiring) { usleep(50) }
  }

  func stop() { isStopping.store(true, ordering: .releasing) }

  /// What the thread does until ``stop()``.
  func run() {
    var out = [UInt8](repeating: 1, count: Self.pieceBytes)
    var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
    var arrived = [Float](repeating: 0, count: (4 << 20) / MemoryLayout<Float>.stride)
    var sums = arrived
    var place = 0
    while !isStopping.load(ordering: .acquiring) {
      guard isMoving.load(ordering: .acquiring) else {
        usleep(200)
        continue
      }
      isIdle.store(false, ordering: .releasing)
      let start = Profile.now()
      var sent = 0
      // As `RankGroup.wait` does.
      var (waitStart, waitSent, polls, sleep) = (start, 0, 0, 0.00001)
      var (last, squares) = (start, 0.0)
      while isMoving.load(ordering: .acquiring) {
        for _ in 0..<Self.messages {
          var waiting = pollfd(fd: connection.receiver, events: Int16(POLLIN), revents: 0)
          unsafe poll(&waiting, 1, 0)
          let due = Int(bytesPerSecond * (Profile.now() - start)) - sent
          if due > 0 {
            let count = unsafe out.withUnsafeMutableBytes {
              unsafe send(
                connection.sender, $0.baseAddress, min(due, $0.count), Int32(MSG_DONTWAIT))
            }
            sent += max(0, count)
          }
          place = take(&piece, &arrived, &sums, at: place)
        }
        polls += 1
        if sent - waitSent >= bytesPerWait {
          (waitStart, waitSent, polls, sleep) = (last, sent, 0, 0.00001)
        } else if polls >= 100, last - waitStart < 0.001 {
          sched_yield()
        } else if polls >= 100 {
          usleep(UInt32(sleep * 1e6))
          sleep = min(sleep * 1.5, 0.0001)
        }
        let now = Profile.now()
        squares += (now - last) * (now - last)
        last = now
      }
      if last > start {
        let notice = squares / (2 * (last - start))
        notices.withLock { $0.append(notice) }
      }
      moved.add(sent, ordering: .relaxed)
      nanoseconds.add(Int((Profile.now() - start) * 1e9), ordering: .relaxed)
      isIdle.store(true, ordering: .releasing)
    }
  }

  /// Receives what is there, copies it to `place` in a buffer and adds half of it to sums.
  private func take(
    _ piece: inout [UInt8], _ arrived: inout [Float], _ sums: inout [Float], at place: Int
  ) -> Int {
    let count = unsafe piece.withUnsafeMutableBytes {
      unsafe recv(connection.receiver, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
    }
    let floats = max(0, count) / MemoryLayout<Float>.stride
    if floats == 0 { return place }
    let start = place + floats <= arrived.count ? place : 0
    unsafe piece.withUnsafeBytes { from in
      unsafe arrived.withUnsafeMutableBytes { to in
        unsafe UnsafeMutableRawBufferPointer(rebasing: to[(start * 4)..<(start + floats) * 4])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: from[..<(floats * 4)]))
      }
    }
    for index in start..<start + floats / 2 { sums[index] += arrived[index] }
    return start + floats
  }
}
