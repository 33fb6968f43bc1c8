public import Configuration
import Foundation

extension TaskMetric.Format {
  /// A number as this format prints it.
  public func text(_ value: Double) -> String {
    switch self {
    case .decimals(let digits): return String(format: "%.\(digits)f", value)
    case .percent:
      let hundredths = Int((value * 10_000).rounded())
      let rest = hundredths % 100
      return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
  }
}
