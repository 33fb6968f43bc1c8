import Tensors
import Testing

/// The memory of steps of different sizes. Nothing is written to it, so that large steps cost nothing here.
@Suite struct ArenaTests {
  /// Takes memory of some sizes in one step, and tells where it lies.
  private func step(_ arena: Arena, _ sizes: [Int]) -> [Range<UInt>] {
    arena.reset()
    return sizes.map { count in
      let start = UInt(bitPattern: unsafe arena.take(count))
      return start..<start + UInt(count * MemoryLayout<Float>.stride)
    }
  }

  private func overlap(_ ranges: [Range<UInt>]) -> Bool {
    let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
    return zip(sorted, sorted.dropFirst()).contains { $0.overlaps($1) }
  }

  @Test func stepsUseTheSameMemoryAgain() {
    let arena = Arena()
    let small = step(arena, [1000, 1 << 20, 3])
    let large = step(arena, [2000, 2 << 20, 3, 1 << 24])
    #expect(step(arena, [1000, 1 << 20, 3]) == small)
    #expect(step(arena, [2000, 2 << 20, 3, 1 << 24]) == large)
    #expect(small[0].lowerBound == large[0].lowerBound, "a larger step begins where others do")
    #expect(!overlap(large) && !overlap(small))
    #expect(arena.capacity == 2000 + (2 << 20) + 16 + (1 << 24), "what the largest step used")
  }

  @Test func stepsOfAnyLengthFindRoom() {
    let arena = Arena()
    let sizes = [100 << 20, 200 << 20, 700 << 20, 50 << 20, 300 << 20, 1 << 20]  // floats: 5 GiB
    let first = step(arena, sizes)
    #expect(!overlap(first))
    #expect(step(arena, sizes) == first)
    #expect(!overlap(step(arena, sizes.reversed())))
    #expect(!overlap(step(arena, sizes)))
  }
}
