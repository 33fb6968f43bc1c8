extension Range<Int> {
  /// How many parts of at most `length` make the range.
  package func partCount(of length: Int) -> Int { (count + length - 1) / length }

  /// The part of that index.
  package func part(_ index: Int, of length: Int) -> Range<Int> {
    let start = lowerBound + index * length
    return start..<Swift.min(start + length, upperBound)
  }
}
