/// A number with at most two digits behind the point.
func fixed(_ value: Double, _ digits: Int) -> String {
  let factor = [1, 10, 100][digits]
  let scaled = Int((value * Double(factor)).rounded())
  if digits == 0 { return "\(scaled)" }
  let rest = "\(scaled % factor)"
  return "\(scaled / factor)." + String(repeating: "0", count: digits - rest.count) + rest
}
