import Collectives
import Configuration
import Foundation
import Tensors

/// `isogloss bench collectives`: what ranks can send each other.
enum BenchCollectivesCommand {
  static let command = Command(
    "bench collectives",
    "Measures sums and exchanges of buffers over the ranks of an MPI job, as training makes them.",
    options: [
      Option("bytes", value: "N", takesMany: true, "Buffer sizes; default 16 KiB to 64 MiB."),
      Option(
        "repeats", value: "N", default: "10",
        "Calls of each that are timed, after two that are not."),
      Option("json", "Prints JSON lines."),
    ],
    notes: [
      "Start it with mpirun. MB/s is what a rank sends, and receives at the same time, by the median call of the slowest "
        + "rank. A barrier of no bytes is the time of a small message."
    ], run: run)

  private struct Row: Encodable {
    var collective: String
    var ranks: Int
    var bytes: Int
    var milliseconds: Double
    var megabytesPerSecond: Double

    enum CodingKeys: String, CodingKey {
      case collective, ranks, bytes, milliseconds
      case megabytesPerSecond = "mb_per_s"
    }
  }

  static func run(_ arguments: ParsedArguments) throws {
    let asked = try arguments.values("bytes").map { text in
      guard let bytes = Int(text), (4...1 << 32).contains(bytes) else {
        throw UsageError(
          "--bytes: '\(text)' is no number from 4 to \(1 << 32)",
          command: "isogloss bench collectives")
      }
      return bytes
    }
    let sizes = asked.isEmpty ? stride(from: 14, through: 26, by: 2).map { 1 << $0 } : asked
    let repeats = try arguments.integer("repeats", in: 1...1_000_000) ?? 10
    let communicator = try Ranks.join(timeoutSeconds: 600)
    guard communicator.size > 1 else {
      throw UsageError(
        "one rank sends nothing; start it with mpirun -n 2", command: "isogloss bench collectives")
    }
    let isJSON = arguments.has("json")
    func measure(_ name: String, _ bytes: Int, sent: Double, _ call: () throws -> Void) throws {
      var times: [Double] = []
      for index in 0..<repeats + 2 {
        try communicator.barrier()
        let start = Profile.now()
        try call()
        if index >= 2 { times.append(Profile.now() - start) }
      }
      times.sort()
      let seconds = try communicator.allReduce(times[times.count / 2], .max)
      guard communicator.rank == 0 else { return }
      let rate = sent / seconds / 1e6
      if isJSON {
        try JSONLine.print(
          Row(
            collective: name, ranks: communicator.size, bytes: bytes,
            milliseconds: (seconds * 1e3).rounded(decimals: 3),
            megabytesPerSecond: rate.rounded(decimals: 1)))
      } else {
        let padded = name + String(repeating: " ", count: max(1, 26 - name.count))
        print(
          padded + String(format: "%11d bytes %10.3f ms %9.1f MB/s", bytes, seconds * 1e3, rate))
      }
    }

    let size = communicator.size
    let others = Double(size - 1) / Double(size)
    try measure("barrier", 0, sent: 0) { try communicator.barrier() }
    let levels = try communicator.levels()
    for bytes in sizes {
      let count = bytes / MemoryLayout<Float>.stride
      var values = [Float](repeating: 1, count: count)
      let ranges = (0..<size).map { $0 * count / size..<($0 + 1) * count / size }
      try measure("all-reduce", bytes, sent: 2 * others * Double(bytes)) {
        for index in values.indices { values[index] = 1 }
        try communicator.allReduce(&values, .treeSum(shards: size))
      }
      try measure("reduce-scatter", bytes, sent: others * Double(bytes)) {
        var span = values.mutableSpan
        try communicator.reduceScatter(&span, ranges: ranges, .treeSum(shards: size))
      }
      try measure("all-gather", bytes, sent: others * Double(bytes)) {
        var span = values.mutableSpan
        try communicator.allGather(&span, ranges: ranges)
      }
      guard let levels else { continue }
      let inner = levels.machine.size
      let parts = (0..<inner).map { $0 * count / inner..<($0 + 1) * count / inner }
      // What leaves the machine.
      let across = Double(levels.across.size - 1) / Double(levels.across.size)
      try measure("all-reduce by machines", bytes, sent: 2 * across * Double(bytes / inner)) {
        var span = values.mutableSpan
        try levels.machine.reduceScatter(&span, ranges: parts, .sum)
        var part = Array(values[parts[levels.machine.rank]])
        try levels.across.allReduce(&part, .sum)
        span = values.mutableSpan
        try levels.machine.allGather(&span, ranges: parts)
      }
    }
    try Ranks.leave()
  }
}
