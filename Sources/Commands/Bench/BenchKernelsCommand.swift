import Configuration
import Foundation
import Tensors

/// `isogloss bench kernels`: every kernel of every table that runs here.
enum BenchKernelsCommand {
  static let command = Command(
    "bench kernels",
    "Measures every kernel of every table that this processor runs, on one thread and data in the caches.",
    options: [Option("json", "Prints JSON lines.")], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    for table in KernelTable.runnable {
      for speed in table.speeds() { print(arguments.has("json") ? json(speed) : line(speed)) }
    }
  }

  private static func json(_ speed: KernelSpeed) -> String {
    let rate =
      speed.gigaflops.map { String(format: "\"gflop_per_s\": %.2f", $0) }
      ?? String(format: "\"gb_per_s\": %.2f", speed.gigabytes ?? 0)
    return "{\"table\": \"\(speed.table)\", \"kernel\": \"\(speed.kernel)\", "
      + "\"shape\": \"\(speed.shape)\", "
      + String(format: "\"microseconds\": %.3f, ", speed.nanoseconds / 1e3) + "\(rate)}"
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
