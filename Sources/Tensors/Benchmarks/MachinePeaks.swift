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
