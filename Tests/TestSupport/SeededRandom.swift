public import Determinism

extension RandomStream {
  /// `count` floats, even in `range`.
  public mutating func floats(_ count: Int, in range: ClosedRange<Float>) -> [Float] {
    (0..<count).map { _ in
      range.lowerBound + Float(unit()) * (range.upperBound - range.lowerBound)
    }
  }
}
