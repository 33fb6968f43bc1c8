/// The magnitude that has a rank among those of many floats, found without sorting them.
struct MagnitudeRank {
  /// The bits of the magnitude: their order as integers is that of the magnitudes.
  let bits: UInt32
  /// How many magnitudes are smaller.
  let below: Int
  /// How many are equal.
  let equal: Int

  /// Reads the floats twice: once for the upper halves of their bits, once for the lower halves of those that agree.
  ///
  /// - Parameters:
  ///   - rank: From 0, of the smallest one; below the number of floats.
  ///   - each: Calls its argument with all the floats, some at a time.
  init(_ rank: Int, each: ((Span<Float>) -> Void) -> Void) {
    var counts = [Int](repeating: 0, count: 1 << 15)
    each { floats in
      for index in floats.indices { counts[Int(floats[index].magnitude.bitPattern >> 16)] += 1 }
    }
    let upper = Self.bin(rank, of: counts)
    var lower = [Int](repeating: 0, count: 1 << 16)
    each { floats in
      for index in floats.indices {
        let bits = floats[index].magnitude.bitPattern
        if bits >> 16 == upper.bin { lower[Int(bits & 0xFFFF)] += 1 }
      }
    }
    let last = Self.bin(rank - upper.below, of: lower)
    bits = UInt32(upper.bin) << 16 | UInt32(last.bin)
    below = upper.below + last.below
    equal = lower[last.bin]
  }

  private static func bin(_ rank: Int, of counts: [Int]) -> (bin: Int, below: Int) {
    precondition(rank >= 0, "a rank of \(rank)")
    var below = 0
    for (bin, count) in counts.enumerated() {
      if below + count > rank { return (bin, below) }
      below += count
    }
    preconditionFailure("rank \(rank) of \(below) floats")
  }
}
