/// Whole parts in proportion to weights.
package enum Apportionment {
  /// Cuts `total` into whole parts in proportion to weights by largest remainder; of equal remainders
  /// the first is served first.
  ///
  /// - Precondition: The weights are finite and at least 0, and one is positive.
  package static func parts(of total: Int, by weights: [Double]) -> [Int] {
    let sum = weights.reduce(0, +)
    let exact = weights.map { Double(total) * $0 / sum }
    var parts = exact.map { Int($0.rounded(.down)) }
    let order = weights.indices.filter { weights[$0] > 0 }.sorted { left, right in
      let (a, b) = (exact[left] - Double(parts[left]), exact[right] - Double(parts[right]))
      return a == b ? left < right : a > b
    }
    var missing = total - parts.reduce(0, +)
    for place in order where missing > 0 {
      parts[place] += 1
      missing -= 1
    }
    return parts
  }
}
