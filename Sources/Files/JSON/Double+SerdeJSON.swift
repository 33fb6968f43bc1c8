extension Double {
  /// The nearest doubles to the powers of ten from 0 to 308.
  private static let powersOfTen = (0...308).map { Double("1e\($0)") ?? .infinity }

  /// A number of a JSON text as the Rust library `serde_json` reads it; nil if it is too great.
  ///
  /// That library takes the digits as one integer of 64 bits, leaves out those for which it has no room,
  /// rounds it, and divides or multiplies by a power of ten: with 17 digits the result is often the
  /// neighbour of the nearest double.
  ///
  /// - Parameter text: Of the form that JSON gives numbers.
  package init?(serdeJSON text: String) {
    var digits: UInt64 = 0
    var power = 0
    var (isFraction, isFull) = (false, false)
    scan: for (index, byte) in text.utf8.enumerated() {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        let (tens, overflows) = digits.multipliedReportingOverflow(by: 10)
        let (sum, carries) = tens.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
        isFull = isFull || overflows || carries
        if !isFull { digits = sum }
        if isFull != isFraction { power += isFull ? 1 : -1 }
      case UInt8(ascii: "."): isFraction = true
      case UInt8(ascii: "e"), UInt8(ascii: "E"):
        let exponent = text.dropFirst(index + 1)
        // No double needs more than a thousand and the number of digits.
        let limit = 1000 + text.utf8.count
        power += max(
          -limit, min(Int(exponent) ?? (exponent.hasPrefix("-") ? -limit : limit), limit))
        break scan
      default: break  // the sign
      }
    }
    var value = Double(digits)
    while power < -308, value != 0 {
      value /= 1e308
      power += 308
    }
    if value != 0 {
      guard power <= 308 else { return nil }
      value = power < 0 ? value / Double.powersOfTen[-power] : value * Double.powersOfTen[power]
    }
    guard value.isFinite else { return nil }
    self = text.hasPrefix("-") ? -value : value
  }
}
