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
  /// - Complexity: O(`n` log `n`) comparisons of keys. Memory is 9 bytes a node, room for two levels of nodes, and
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
        values.append(value)
        firstChild.append(Int32(label.count))
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
    firstChild.append(Int32(label.count))
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
