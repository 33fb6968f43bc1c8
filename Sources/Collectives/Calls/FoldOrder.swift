import Determinism

/// The order in which the parts of several ranks become one, as steps for a stack.
package struct FoldOrder {
  package enum Step: Equatable {
    /// Puts the part of a rank on the stack.
    case push(Int)
    /// Replaces the two topmost by their combination, the lower one on the left.
    case combine
  }

  package let steps: [Step]
  /// The most parts that are on the stack together.
  let depth: Int

  /// From rank 0 on: `((0, 1), 2), 3`.
  package static func byRank(_ size: Int) -> FoldOrder {
    var steps = [Step.push(0)]
    for rank in 1..<max(1, size) { steps += [.push(rank), .combine] }
    return FoldOrder(steps)
  }

  /// Along the tree over shards, in which each rank holds one node.
  package static func byTree(shards: Int, ranks: Int) -> FoldOrder {
    let nodes = FoldTree.nodes(shards: shards, ranks: ranks)
    var steps: [Step] = []
    var next = 0
    func visit(_ node: Range<Int>) {
      if node == nodes[next] {
        steps.append(.push(next))
        next = min(next + 1, nodes.count - 1)
        return
      }
      let middle = node.lowerBound + FoldTree.leftCount(of: node.count)
      visit(node.lowerBound..<middle)
      visit(middle..<node.upperBound)
      steps.append(.combine)
    }
    visit(0..<shards)
    return FoldOrder(steps)
  }

  /// The order in which `ranks` ranks are reduced.
  package init(_ reduction: Reduction, ranks: Int) {
    reduction.check(ranks: ranks)
    switch reduction {
    case .treeSum(let shards): self = .byTree(shards: shards, ranks: ranks)
    case .sum, .min, .max: self = .byRank(ranks)
    }
  }

  private init(_ steps: [Step]) {
    var height = 0
    var depth = 0
    for step in steps {
      height += step == .combine ? -1 : 1
      depth = max(depth, height)
    }
    self.steps = steps
    self.depth = depth
  }

  /// Sums parts that lie in one buffer: that of rank r begins at `starts[r]`.
  package func sum(_ floats: Span<Float>, starts: [Int], into result: inout MutableSpan<Float>) {
    let count = result.count
    precondition(
      starts.allSatisfy { $0 >= 0 && $0 + count <= floats.count }, "parts out of \(floats.count)")
    unsafe floats.withUnsafeBufferPointer { floats in
      unsafe result.withUnsafeMutableBytes { result in
        guard let from = floats.baseAddress, let to = result.baseAddress else { return }
        unsafe fold(
          starts.map { unsafe UnsafeRawPointer(from + $0) }, count: count, of: .float, .sum,
          into: to)
      }
    }
  }

  /// Combines the parts of all ranks, element by element, into `result`.
  ///
  /// - Parameters:
  ///   - parts: The part of each rank: `count` elements of `type`.
  ///   - result: Room for as many, which may be one of the parts.
  func fold(
    _ parts: [UnsafeRawPointer], count: Int, of type: ElementType, _ reduction: Reduction,
    into result: UnsafeMutableRawPointer
  ) {
    switch type {
    case .float: unsafe fold(parts, count, sum: { (x: Float, y) in x + y }, reduction, result)
    case .double: unsafe fold(parts, count, sum: { (x: Double, y) in x + y }, reduction, result)
    case .int64: unsafe fold(parts, count, sum: { (x: Int64, y) in x + y }, reduction, result)
    case .bfloat16:
      precondition(reduction.isSum, "bfloat16 is summed, nothing else")
      unsafe foldHalves(parts, count, into: result.assumingMemoryBound(to: UInt16.self))
    case .int32, .uint8: preconditionFailure("\(type) is moved and not reduced")
    }
  }

  /// Sums of the upper halves of floats, each sum of two rounded.
  private func foldHalves(
    _ parts: [UnsafeRawPointer], _ count: Int, into result: UnsafeMutablePointer<UInt16>
  ) {
    let block = 2048
    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: block * depth) { room in
      guard let room = room.baseAddress else { return }
      for start in stride(from: 0, to: count, by: block) {
        let length = min(block, count - start)
        var height = 0
        for step in steps {
          switch step {
          case .push(let rank):
            let part = unsafe parts[rank].assumingMemoryBound(to: UInt16.self) + start
            let target = unsafe room + block * height
            for index in 0..<length {
              unsafe target[index] = Float(bitPattern: UInt32(part[index]) << 16)
            }
            height += 1
          case .combine:
            height -= 1
            let (left, right) = unsafe (room + block * (height - 1), room + block * height)
            for index in 0..<length {
              let bits = unsafe (left[index] + right[index]).bitPattern
              let isNaN = bits & 0x7FFF_FFFF > 0x7F80_0000
              let rounded = bits &+ 0x7FFF &+ (bits >> 16 & 1)
              unsafe left[index] = Float(
                bitPattern: (isNaN ? bits | 0x40_0000 : rounded) & 0xFFFF_0000)
            }
          }
        }
        for index in 0..<length {
          unsafe result[start + index] = UInt16(
            truncatingIfNeeded: room[index].bitPattern >> 16)
        }
      }
    }
  }

  @inline(__always)
  private func fold<E: Comparable & BitwiseCopyable>(
    _ parts: [UnsafeRawPointer], _ count: Int, sum: (E, E) -> E, _ reduction: Reduction,
    _ result: UnsafeMutableRawPointer
  ) {
    // `x != x` holds for NaN alone.
    switch reduction {
    case .sum, .treeSum: unsafe fold(parts, count, sum, result)
    case .min: unsafe fold(parts, count, { (x: E, y: E) -> E in y < x || y != y ? y : x }, result)
    case .max: unsafe fold(parts, count, { (x: E, y: E) -> E in y > x || y != y ? y : x }, result)
    }
  }

  @inline(__always)
  private func fold<E: BitwiseCopyable>(
    _ parts: [UnsafeRawPointer], _ count: Int, _ combine: (E, E) -> E,
    _ result: UnsafeMutableRawPointer
  ) {
    let block = 2048
    unsafe withUnsafeTemporaryAllocation(of: E.self, capacity: block * depth) { room in
      guard let room = room.baseAddress else { return }
      // The stack's operands: a part as it came, or level `height` of `room`.
      var stack: [UnsafePointer<E>] = unsafe []
      unsafe stack.reserveCapacity(depth)
      for start in stride(from: 0, to: count, by: block) {
        let length = min(block, count - start)
        for step in steps {
          switch step {
          case .push(let rank):
            unsafe stack.append(parts[rank].assumingMemoryBound(to: E.self) + start)
          case .combine:
            let right = unsafe stack.removeLast()
            let left = unsafe stack.removeLast()
            let target = unsafe room + block * stack.count
            // Two loops, since the compiler makes vectors of neither if left may be the target.
            if unsafe left == UnsafePointer(target) {
              for index in 0..<length {
                unsafe target[index] = combine(target[index], right[index])
              }
            } else {
              for index in 0..<length {
                unsafe target[index] = combine(left[index], right[index])
              }
            }
            unsafe stack.append(UnsafePointer(target))
          }
        }
        let sum = unsafe stack.removeLast()
        unsafe result.advanced(by: start * MemoryLayout<E>.stride)
          .copyMemory(from: sum, byteCount: length * MemoryLayout<E>.stride)
      }
    }
  }
}

extension Reduction {
  var isSum: Bool {
    switch self {
    case .sum, .treeSum: true
    case .min, .max: false
    }
  }

  /// Traps if there are more ranks than shards.
  func check(ranks: Int) {
    if case .treeSum(let shards) = self {
      precondition(ranks <= shards, "\(ranks) ranks over \(shards) shards")
    }
  }

  /// What ranks tell each other of it: different for each, and for each number of shards.
  var code: Int {
    switch self {
    case .sum: 0
    case .min: -1
    case .max: -2
    case .treeSum(let shards): shards
    }
  }
}
