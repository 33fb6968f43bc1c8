import Collectives
import Glibc
import Synchronization
import Tensors
import Training

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
    let connection = try Loopback()
    let (sender, receiver) = (connection.sender, connection.receiver)
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
    withExtendedLifetime(connection) {}
    return seconds.reduce(0, +) / Double(total)
  }
}
