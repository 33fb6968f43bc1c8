/// The few formulas of a comparison.
package enum Statistics {
  /// The quantiles of values by linear interpolation between the nearest, as NumPy's default `linear`.
  ///
  /// - Precondition: At least one value; quantiles from 0 to 1.
  package static func quantiles(_ values: [Double], at quantiles: [Double]) -> [Double] {
    let sorted = values.sorted()
    return quantiles.map { quantile in
      let place = quantile * Double(sorted.count - 1)
      let below = Int(place)
      let above = min(below + 1, sorted.count - 1)
      let share = place - Double(below)
      let step = sorted[above] - sorted[below]
      // As NumPy: from the nearer end, so that equal values stay themselves.
      return share < 0.5 ? sorted[below] + step * share : sorted[above] - step * (1 - share)
    }
  }

  /// The two-sided p-value of a difference among those of random swaps: the share of differences at least as far from 0, the
  /// observed one counted among them. Phipson and Smyth, 2010.
  package static func pValue(_ difference: Double, among swaps: [Double]) -> Double {
    Double(1 + extreme(difference, among: swaps)) / Double(1 + swaps.count)
  }

  /// How many differences are at least as far from 0. Sums in another order differ in their last bits, and count as equal.
  package static func extreme(_ difference: Double, among swaps: [Double]) -> Int {
    let least = abs(difference) * (1 - 1e-12)
    return swaps.count { abs($0) >= least }
  }

  /// Holm's step-down correction: p-values that may be held against one level together. Holm, Scandinavian Journal of
  /// Statistics 6, 1979.
  package static func holm(_ values: [Double]) -> [Double] {
    var corrected = values
    var largest = 0.0
    for (rank, index) in values.indices.sorted(by: { values[$0] < values[$1] }).enumerated() {
      largest = max(largest, min(1, values[index] * Double(values.count - rank)))
      corrected[index] = largest
    }
    return corrected
  }
}
