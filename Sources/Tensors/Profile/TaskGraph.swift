import Files

/// The parallel regions of some steps, task by task, and what more workers would make of them.
///
/// A step is a chain of regions, with serial parts between: all tasks of a region may run at once, and the next one
/// begins when the last of them is done. Tasks are taken in order by whoever is free.
public final class TaskGraph {
  struct Region {
    var operation: String
    /// From the region's begin to its end.
    var seconds: Double
    var tasks: [Double]
  }

  private(set) var regions: [Region] = []

  public init() {}

  func add(_ region: Region) { regions.append(region) }

  /// The time that some workers need for tasks which they take in order.
  static func span(of tasks: [Double], workers: Int) -> Double {
    var free = [Double](repeating: 0, count: max(1, workers))
    for task in tasks {
      guard let first = free.indices.min(by: { free[$0] < free[$1] }) else { break }
      free[first] += task
    }
    return free.max() ?? 0
  }

  /// A table of operations: their regions, tasks and serial parts, and their time with so many workers if each task
  /// takes as long as it did here.
  ///
  /// - Parameters:
  ///   - operations: What was measured of the same steps.
  ///   - total: The seconds of these steps.
  public func table(workers: Int, operations: [Profile.Row], total: Double) -> String {
    var lines = [
      [
        "operation", "regions", "tasks each", "work ms", "longest ms", "serial ms",
        "ms with \(workers)", "share %", "idle %",
      ]
    ]
    var rows: [(name: String, work: Double, serial: Double, span: Double, cells: [String])] = []
    for operation in operations where operation.calls > 0 {
      let own = regions.filter { $0.operation == operation.name }
      let tasks = own.reduce(0) { $0 + $1.tasks.count }
      let work = own.reduce(0) { $0 + $1.tasks.reduce(0, +) }
      let serial = max(0, operation.seconds - own.reduce(0) { $0 + $1.seconds })
      let span = own.reduce(0) { $0 + Self.span(of: $1.tasks, workers: workers) }
      let longest = own.flatMap(\.tasks).max() ?? 0
      rows.append(
        (
          operation.name, work, serial, span,
          [
            "\(own.count)", own.isEmpty ? "" : fixed(Double(tasks) / Double(own.count), 1),
            fixed(work * 1e3, 1), fixed(longest * 1e3, 2), fixed(serial * 1e3, 1),
          ]
        ))
    }
    let named = operations.reduce(0) { $0 + $1.seconds }
    let other = max(0, total - named)
    rows.append(("other", 0, other, 0, ["", "", "", "", fixed(other * 1e3, 1)]))
    let predicted = rows.reduce(0) { $0 + $1.serial + $1.span }
    for row in rows.sorted(by: { $0.serial + $0.span > $1.serial + $1.span }) {
      let time = row.serial + row.span
      let idle = time > 0 ? 1 - (row.work + row.serial) / (time * Double(workers)) : 0
      lines.append(
        [row.name] + row.cells
          + [fixed(time * 1e3, 2), fixed(100 * time / predicted, 1), fixed(100 * max(0, idle), 0)])
    }
    let work = rows.reduce(0) { $0 + $1.work + $1.serial }
    return TextTable(lines).lines.joined(separator: "\n")
      + "\nwith \(workers) workers the steps would take \(fixed(predicted * 1e3, 1)) ms in place of "
      + "\(fixed(total * 1e3, 1)): \(fixed(100 * work / (predicted * Double(workers)), 0)) % of their time is work\n"
  }
}
