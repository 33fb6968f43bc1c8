internal import CKernels
internal import COpenBLAS
import Glibc

/// What this machine can do at most with a workspace's threads, measured here and now.
public struct MachinePeaks: Sendable {
  /// fp32 operations a second on matrices that stay in the caches: of OpenBLAS or of the kernels' own products.
  public var flopsPerSecond: Double
  /// The same of bf16 products with fp32 sums, by the kernels; nil if the workspace rounds nothing.
  public var bf16FlopsPerSecond: Double?
  /// Bytes a second of `a += b` over arrays larger than the caches.
  public var bytesPerSecond: Double

  /// Measures for about half a second.
  public init(_ workspace: Workspace) {
    let threads = workspace.threadCount
    let size = 384
    let operands = (0..<threads).map { _ in FloatBuffer(count: 3 * size * size) }
    for operand in operands {
      operand.withMutableSpan { span in for i in span.indices { span[i] = Float(i % 7) * 0.1 } }
    }
    let products = 10
    var best = Double.infinity
    for _ in 0..<8 {
      let start = Profile.now()
      workspace.pool.run(threads) { task, _ in
        let a = unsafe operands[task].base
        for _ in 0..<products {
          unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(size), Int32(size), Int32(size), 1, a,
            Int32(size), a + size * size, Int32(size), 0, a + 2 * size * size, Int32(size))
        }
      }
      best = min(best, Profile.now() - start)
    }
    flopsPerSecond = Double(threads * products * 2 * size * size * size) / best

    flopsPerSecond = max(flopsPerSecond, Self.productPeak(workspace, isRounded: false))
    if workspace.precision == .bf16 {
      bf16FlopsPerSecond = Self.productPeak(workspace, isRounded: true)
    }

    let count = 16 << 20
    let arrays = FloatBuffer(count: 2 * count)
    arrays.withMutableSpan { span in for i in span.indices { span[i] = 1 } }
    let block = 1 << 18
    best = .infinity
    for _ in 0..<6 {
      let start = Profile.now()
      workspace.pool.run(count / block) { task, _ in
        let to = unsafe arrays.base + task * block
        unsafe workspace.kernels.raw.pointee.add(to, to + count, block)
      }
      best = min(best, Profile.now() - start)
    }
    bytesPerSecond = Double(count * 12) / best
  }

  /// The speed of the kernels' own products on operands that stay in the caches.
  private static func productPeak(_ workspace: Workspace, isRounded: Bool) -> Double {
    let threads = workspace.threadCount
    let kernels = unsafe workspace.kernels.raw
    guard
      let scratch = unsafe isRounded
        ? kernels.pointee.bf16_scratch : kernels.pointee.product_scratch
    else { return 0 }
    let (rows, depth, columns, products) = (96, 512, Int(CK_STRIP), 20)
    let size = rows * depth + rows * columns + scratch(depth)
    let operands = (0..<threads).map { _ in FloatBuffer(count: size) }
    var best = Double.infinity
    for _ in 0..<8 {
      let start = Profile.now()
      workspace.pool.run(threads) { task, _ in
        let c = unsafe operands[task].base
        let a = unsafe c + rows * columns
        let b = unsafe a + rows * depth
        for _ in 0..<products {
          if isRounded {
            unsafe kernels.pointee.bf16_packed(
              c, columns, UnsafeMutableRawPointer(a).assumingMemoryBound(to: UInt16.self), depth,
              rows, b, depth, columns, false)
          } else {
            unsafe kernels.pointee.product_packed(
              c, columns, a, depth, rows, b, depth, columns, false)
          }
        }
      }
      best = min(best, Profile.now() - start)
    }
    return Double(threads * products * 2 * rows * depth * columns) / best
  }
}

extension MachinePeaks {
  func flops(isRounded: Bool) -> Double {
    isRounded ? bf16FlopsPerSecond ?? flopsPerSecond : flopsPerSecond
  }
}

extension Profile {
  /// A table of operations, longest first, with their share of the time and of the machine's peak.
  ///
  /// - Parameter total: The seconds of all steps: what no operation took stands in a row of its own.
  public func table(total: Double, peaks: MachinePeaks) -> String {
    var lines = [["operation", "calls", "ms", "share %", "GFLOP/s", "GB/s", "of peak %"]]
    func line(
      _ name: String, _ calls: Int, _ seconds: Double, _ flops: Double, _ bytes: Double,
      isRounded: Bool = false
    ) {
      let isProduct = flops > 0
      let speed = seconds > 0 ? (isProduct ? flops : bytes) / seconds : 0
      let peak = isProduct ? peaks.flops(isRounded: isRounded) : peaks.bytesPerSecond
      lines.append([
        name, calls > 0 ? "\(calls)" : "", fixed(seconds * 1e3, 1), fixed(100 * seconds / total, 1),
        isProduct ? fixed(speed * 1e-9, 1) : "",
        !isProduct && bytes > 0 ? fixed(speed * 1e-9, 1) : "",
        speed > 0 ? fixed(100 * speed / peak, 0) : "",
      ])
    }
    for row in rows.sorted(by: { $0.seconds > $1.seconds }) where row.calls > 0 {
      line(
        row.name, row.calls, row.seconds, row.flops, row.bytes, isRounded: row.isRounded)
    }
    let named = rows.reduce(0) { $0 + $1.seconds }
    line("other", 0, max(0, total - named), 0, 0)
    line(
      "all steps", 0, total, rows.reduce(0) { $0 + $1.flops }, 0,
      isRounded: rows.contains(where: \.isRounded))
    return aligned(lines)
      + "\npeaks measured here: \(fixed(peaks.flopsPerSecond * 1e-9, 0)) GFLOP/s fp32, "
      + (peaks.bf16FlopsPerSecond.map { "\(fixed($0 * 1e-9, 0)) GFLOP/s bf16, " } ?? "")
      + "\(fixed(peaks.bytesPerSecond * 1e-9, 1)) GB/s; parallel regions take "
      + "\(fixed(100 * parallelSeconds / total, 1)) % of the time, and threads wait "
      + "\(fixed(100 * waitingShare, 1)) % of it for each other\n"
  }
}

/// Lines of cells as text: the first column to the left, the others to the right.
func aligned(_ lines: [[String]]) -> String {
  let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
  return lines.map { cells in
    zip(cells, widths).enumerated().map { column, cell in
      let padding = String(repeating: " ", count: cell.1 - cell.0.count)
      return column == 0 ? cell.0 + padding : padding + cell.0
    }.joined(separator: "  ")
  }.joined(separator: "\n")
}

/// A number with at most two digits behind the point.
func fixed(_ value: Double, _ digits: Int) -> String {
  let factor = [1, 10, 100][digits]
  let scaled = Int((value * Double(factor)).rounded())
  if digits == 0 { return "\(scaled)" }
  let rest = "\(scaled % factor)"
  return "\(scaled / factor)." + String(repeating: "0", count: digits - rest.count) + rest
}
