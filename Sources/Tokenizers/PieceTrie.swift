/// Byte strings with a number each, walked byte by byte.
///
/// Nodes are numbered breadth first, so the children of a node are neighbours, in the order of their
/// bytes. A step costs a look into a table at the root, elsewhere a binary search down to eight of them.
struct PieceTrie: Sendable {
  static let root = 0
  private var nodes: [Node] = []
  /// By node: the byte that leads to it; behind the last eight zeros.
  private var label: [UInt8] = [0]
  /// The children of the root by their bytes; 0 where there is none.
  private var rootChildren: [Int32] = []

  private struct Node {
    /// Its children end where those of the next node begin.
    var firstChild: Int32
    /// Of the key that ends here; −1 if none does.
    var value: Int32
  }

  /// Two keys are the same.
  struct Duplicate: Error { var key: [UInt8] }

  /// Takes distinct keys with values of at least 0.
  ///
  /// - Complexity: O(`n` log `n`) comparisons of keys. Memory is 9 bytes a node, 25 while they grow, room for two levels of nodes, and
  ///   the keys in order.
  init(_ pieces: [(key: [UInt8], value: Int32)]) throws(Duplicate) {
    let sorted = pieces.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    // The nodes of one depth, each as the range of the keys below it.
    var level = [0..<Int32(sorted.count)]
    var depth = 0
    while !level.isEmpty {
      var next: [Range<Int32>] = []
      for node in level {
        var start = Int(node.lowerBound)
        let end = Int(node.upperBound)
        var value: Int32 = -1
        if start < end, sorted[start].key.count == depth {
          value = sorted[start].value
          start += 1
          if start < end, sorted[start].key.count == depth {
            throw Duplicate(key: sorted[start].key)
          }
        }
        nodes.append(Node(firstChild: Int32(label.count), value: value))
        while start < end {
          let byte = sorted[start].key[depth]
          var stop = start + 1
          while stop < end, sorted[stop].key[depth] == byte { stop += 1 }
          next.append(Int32(start)..<Int32(stop))
          label.append(byte)
          start = stop
        }
      }
      level = next
      depth += 1
    }
    nodes.append(Node(firstChild: Int32(label.count), value: -1))
    rootChildren = .init(repeating: 0, count: 256)
    for child in nodes[0].firstChild..<nodes[1].firstChild {
      rootChildren[Int(label[Int(child)])] = child
    }
    // A step looks at eight together.
    label += [UInt8](repeating: 0, count: 8)
  }

  /// The node that `byte` leads to; nil if no key goes on so.
  @inline(__always) func step(_ node: Int, _ byte: UInt8) -> Int? {
    if node == PieceTrie.root {
      let child = Int(rootChildren[Int(byte)])
      return child == 0 ? nil : child
    }
    var low = Int(nodes[node].firstChild)
    var high = Int(nodes[node + 1].firstChild)
    while high - low > 8 {
      let middle = (low + high) >> 1
      if label[middle] <= byte { low = middle } else { high = middle }
    }
    // Of the bytes that are zero now, the first has the lowest of the bits that the subtraction sets.
    let differences = eight(from: low) ^ 0x0101_0101_0101_0101 &* UInt64(byte)
    let ones = (differences &- 0x0101_0101_0101_0101) & ~differences & 0x8080_8080_8080_8080
    let child = low + ones.trailingZeroBitCount >> 3
    return child < high ? child : nil
  }

  @inline(__always) private func eight(from index: Int) -> UInt64 {
    let labels = unsafe label.span.bytes
    return unsafe UInt64(
      littleEndian: labels.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
  }

  /// The value of the key that ends at `node`; −1 if none does.
  @inline(__always) func value(_ node: Int) -> Int32 { nodes[node].value }

  /// The node that `key` leads to; nil if no key begins so.
  func node<Key: Sequence<UInt8>>(of key: Key) -> Int? {
    var node = PieceTrie.root
    for byte in key {
      guard let next = step(node, byte) else { return nil }
      node = next
    }
    return node
  }

  /// The value of a whole key.
  func value<Key: Sequence<UInt8>>(of key: Key) -> Int32? {
    guard let node = node(of: key), value(node) >= 0 else { return nil }
    return value(node)
  }
}
