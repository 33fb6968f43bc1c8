/// Byte strings with a number each, walked byte by byte.
///
/// Nodes are numbered breadth first, so the children of a node are neighbours, in the order of their
/// bytes. A step costs a binary search among them.
struct PieceTrie: Sendable {
  static let root = 0
  private var firstChild: [Int32] = []
  private var label: [UInt8] = [0]
  private var values: [Int32] = []

  /// Two keys are the same.
  struct Duplicate: Error { var key: [UInt8] }

  /// Takes distinct keys with values of at least 0.
  ///
  /// - Complexity: O(`n` log `n`) comparisons of keys.
  init(_ pieces: [(key: [UInt8], value: Int32)]) throws(Duplicate) {
    let sorted = pieces.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    var ranges = [0..<sorted.count]  // of node: the keys below it
    var depths = [0]
    var node = 0
    while node < ranges.count {
      var (range, depth) = (ranges[node], depths[node])
      var value: Int32 = -1
      if let first = range.first, sorted[first].key.count == depth {
        value = sorted[first].value
        range = (first + 1)..<range.upperBound
        if let second = range.first, sorted[second].key.count == depth {
          throw Duplicate(key: sorted[second].key)
        }
      }
      values.append(value)
      firstChild.append(Int32(ranges.count))
      depth += 1
      while let start = range.first {
        let byte = sorted[start].key[depth - 1]
        var end = start + 1
        while end < range.upperBound, sorted[end].key[depth - 1] == byte { end += 1 }
        ranges.append(start..<end)
        depths.append(depth)
        label.append(byte)
        range = end..<range.upperBound
      }
      node += 1
    }
    firstChild.append(Int32(ranges.count))
  }

  /// The node that `byte` leads to; nil if no key goes on so.
  @inline(__always) func step(_ node: Int, _ byte: UInt8) -> Int? {
    var low = Int(firstChild[node])
    var high = Int(firstChild[node + 1])
    while low < high {
      let middle = (low + high) >> 1
      if label[middle] == byte { return middle }
      if label[middle] < byte { low = middle + 1 } else { high = middle }
    }
    return nil
  }

  /// The value of the key that ends at `node`; −1 if none does.
  @inline(__always) func value(_ node: Int) -> Int32 { values[node] }

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
    guard let node = node(of: key), values[node] >= 0 else { return nil }
    return values[node]
  }
}
