import Tensors

/// The buckets in which dense gradients travel, as ``GradientExchange`` cuts them.
struct GradientBuckets {
  /// Of fp32, in the order in which they travel.
  private(set) var floats: [Int] = []
  /// The bucket of each entry; nil for tables and what is not trained.
  private(set) var ofEntry: [Int?]

  init(layout: ParameterLayout, trained: [Bool], bucketBytes: Int) {
    ofEntry = [Int?](repeating: nil, count: layout.entries.count)
    var isOpen = false
    for (index, entry) in layout.entries.enumerated().reversed() {
      guard trained[index], !entry.isTable else {
        isOpen = false
        continue
      }
      if !isOpen { floats.append(0) }
      floats[floats.count - 1] += entry.count
      ofEntry[index] = floats.count - 1
      isOpen = floats[floats.count - 1] * MemoryLayout<Float>.stride < bucketBytes
    }
  }
}
