/// Rows of a table, each once, in the order in which they came.
///
/// Cost: a bit for each row of the table, and four bytes for each row of the set.
public struct RowSet: Sendable, Equatable {
  public private(set) var rows: [Int32] = []
  private var bits: [UInt64]

  /// No row of a table of `tableRows`.
  public init(tableRows: Int) {
    bits = [UInt64](repeating: 0, count: (tableRows + 63) / 64)
  }

  public func contains(_ row: Int32) -> Bool {
    bits[Int(row) >> 6] >> UInt64(row & 63) & 1 == 1
  }

  /// Adds a row. False if it was there.
  @discardableResult
  public mutating func insert(_ row: Int32) -> Bool {
    if contains(row) { return false }
    bits[Int(row) >> 6] |= 1 << UInt64(row & 63)
    rows.append(row)
    return true
  }

  public mutating func removeAll() {
    for row in rows { bits[Int(row) >> 6] = 0 }
    rows.removeAll(keepingCapacity: true)
  }
}
