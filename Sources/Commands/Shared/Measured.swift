import Training

/// Measurements of this process that several commands report.
enum Measured {
  /// The largest resident memory that this process has had, in bytes.
  static var peakBytes: Double {
    Double(PeakMemory.bytes)
  }

  /// The seconds that `body` takes.
  static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    let time = (ContinuousClock.now - start).components
    return Double(time.seconds) + Double(time.attoseconds) * 1e-18
  }
}
