import Collectives
import Glibc
import Synchronization
import Tensors

/// What moving bytes costs this machine's cores, measured.
struct ProcessorCost {
  /// Seconds of one core for a byte that a rank sends over TCP, another that it receives, and their part of a sum
  /// over ranks.
  var secondsPerByte: Double
  /// Copied by one core from memory to memory.
  var copyBytesPerSecond: Double

  init() throws {
    copyBytesPerSecond = Self.copyRate()
    secondsPerByte = try Self.loopback() + Self.summing()
  }

  private static let bufferBytes = 32 << 20

  private static func copyRate() -> Double {
    let from = [UInt8](repeating: 1, count: bufferBytes)
    var to = [UInt8](repeating: 2, count: bufferBytes)
    var best = Double.infinity
    for _ in 0..<5 {
      let start = Profile.now()
      unsafe to.withUnsafeMutableBytes { to in
        unsafe from.withUnsafeBytes { unsafe to.copyMemory(from: $0) }
      }
      best = min(best, Profile.now() - start)
    }
    return Double(bufferBytes) / best
  }

  /// Of a sum of two ranks as threads: its copies and additions, for each byte that a rank would send.
  private static func summing() throws -> Double {
    let floats = 1 << 20
    let rounds = 16
    let seconds = try ThreadGroup.run(ranks: 2) { group in
      var values = [Float](repeating: 1, count: floats)
      try group.allReduce(&values, .sum)
      let start = threadSeconds()
      for _ in 0..<rounds { try group.allReduce(&values, .sum) }
      return threadSeconds() - start
    }
    // Each sends half of the buffer for the sum, and half of the result.
    return seconds.reduce(0, +) / Double(2 * rounds * floats * MemoryLayout<Float>.stride)
  }

  /// Of both ends of a TCP connection of this machine with itself.
  private static func loopback() throws -> Double {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let sender = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer {
      close(listener)
      close(sender)
    }
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
    let receiver = connected ? accept(listener, nil, nil) : -1
    guard receiver >= 0 else {
      throw RunError(.io, "no TCP connection of this machine with itself: errno \(errno)")
    }
    defer { close(receiver) }
    let total = 256 << 20
    let seconds = try ThreadGroup.run(ranks: 2) { group in
      var piece = [UInt8](repeating: 0, count: 1 << 20)
      let start = threadSeconds()
      var moved = 0
      while moved < total {
        let count = unsafe piece.withUnsafeMutableBytes { bytes in
          group.rank == 0
            ? unsafe send(sender, bytes.baseAddress, min(bytes.count, total - moved), 0)
            : unsafe recv(receiver, bytes.baseAddress, bytes.count, 0)
        }
        guard count > 0 else {
          shutdown(sender, Int32(SHUT_RDWR))
          throw RunError(.io, "a TCP connection of this machine with itself broke: errno \(errno)")
        }
        moved += count
      }
      return threadSeconds() - start
    }
    return seconds.reduce(0, +) / Double(total)
  }
}
