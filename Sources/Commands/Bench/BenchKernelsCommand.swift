import Configuration
import Foundation
import Tensors

/// `isogloss bench kernels`: every kernel of every table that runs here.
enum BenchKernelsCommand {
  static let command = Command(
    "bench kernels",
    "Measures every kernel of every table that this processor runs, on one thread and data in the caches.",
    options: [Option("json", "Prints JSON lines.")], run: run)

  private struct Row: Encodable {
    var table: String
    var kernel: String
    var shape: String
    var microseconds: Double
    var gigaflops: Double?
    var gigabytes: Double?

    enum CodingKeys: String, CodingKey {
      case table, kernel, shape, microseconds
      case gigaflops = "gflop_per_s"
      case gigabytes = "gb_per_s"
    }

    init(_ speed: KernelSpeed) {
      table = speed.table
      kernel = speed.kernel
      shape = speed.shape
      microseconds = (speed.nanoseconds / 1e3).rounded(decimals: 3)
      gigaflops = speed.gigaflops?.rounded(decimals: 2)
      gigabytes = speed.gigabytes?.rounded(decimals: 2)
    }
  }

  static func run(_ arguments: ParsedArguments) throws {
    for table in KernelTable.runnable {
      for speed in table.speeds() {
        if arguments.has("json") {
          try JSONLine.print(Row(speed))
        } else {
          print(line(speed))
        }
      }
    }
  }

  private static func line(_ speed: KernelSpeed) -> String {
    let rate =
      speed.gigaflops.map { String(format: "%8.1f GFLOP/s", $0) }
      ?? String(format: "%8.1f GB/s", speed.gigabytes ?? 0)
    func cell(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(1, width - text.count))
    }
    return cell(speed.table, 10) + cell(speed.kernel, 21) + cell(speed.shape, 11)
      + String(format: "%10.1f µs ", speed.nanoseconds / 1e3) + rate
  }
}
