/// Turns the bytes of a compressed file into those of its text, some at a time.
protocol Inflater: AnyObject {
  /// Whether the file may end here: between members or frames.
  var isBetween: Bool { get }
  /// Takes bytes from the start of `input` and appends what they make, at most some, to `output`.
  ///
  /// What was taken before may make bytes without any input.
  ///
  /// - Returns: How many bytes were taken.
  /// - Throws: ``InflaterError`` if the bytes are damaged.
  func inflate(_ input: Span<UInt8>, into output: inout [UInt8]) throws(InflaterError) -> Int
}

/// What is wrong with compressed bytes.
struct InflaterError: Error { var message: String }
