/// What the factors of the large products are rounded to. Sums, and all else, are fp32.
public enum Precision: String, Sendable, Codable, CaseIterable {
  case fp32, bf16
}
