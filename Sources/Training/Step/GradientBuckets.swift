package import Tensors

/// The buckets in which dense gradients travel: runs of trained entries, from the end of the buffer to its start.
package struct GradientBuckets: Sendable {
  package struct Bucket: Sendable {
    package var floats: Range<Int>
    package var entries: Range<Int>
  }

  /// In the order in which they travel.
  package private(set) var buckets: [Bucket] = []
  /// The bucket of each entry; nil for tables and what is not trained.
  package private(set) var ofEntry: [Int?]

  /// - Parameter bucketBytes: Buckets end with the entry that fills so many bytes of fp32.
  package init(layout: ParameterLayout, trained: [Bool], bucketBytes: Int) {
    ofEntry = [Int?](repeating: nil, count: layout.entries.count)
    var isOpen = false
    for (index, entry) in layout.entries.enumerated().reversed() {
      guard trained[index], !entry.isTable else {
        isOpen = false
        continue
      }
      if isOpen, let last = buckets.last {
        buckets[buckets.count - 1] = Bucket(
          floats: entry.offset..<last.floats.upperBound,
          entries: index..<last.entries.upperBound)
      } else {
        buckets.append(
          Bucket(floats: entry.offset..<entry.offset + entry.count, entries: index..<index + 1))
      }
      ofEntry[index] = buckets.count - 1
      isOpen =
        buckets[buckets.count - 1].floats.count * MemoryLayout<Float>.stride < bucketBytes
    }
  }

  /// The floats of each.
  package var floats: [Int] { buckets.map(\.floats.count) }
}
