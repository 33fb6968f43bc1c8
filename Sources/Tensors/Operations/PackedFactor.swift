internal import CKernels
internal import COpenBLAS

/// The right side of many small products, packed once for all tasks, and how rows of their left sides are laid out.
///
/// An element of a product has the same bits in whatever rows it is formed, but where a library's product forms it:
/// see ``isByRow``.
@safe struct PackedFactor {
  let depth: Int
  let columns: Int
  /// The floats of memory that a row of a left side takes.
  let leftStride: Int
  private let isRounded: Bool
  private let kernels: UnsafePointer<ck_table>
  private let factor: RightFactor
  private let packed: UnsafeMutablePointer<Float>?
  /// The floats of a packed strip.
  private let stripCount: Int

  /// Packs the factor on the threads of a tape, in its memory.
  ///
  /// - Parameters:
  ///   - factor: Of shape `[depth, columns]`.
  ///   - isRounded: Whether both sides of products are rounded to bf16.
  init(_ factor: RightFactor, depth: Int, columns: Int, isRounded: Bool, on tape: Tape) {
    self.depth = depth
    self.columns = columns
    self.isRounded = isRounded
    self.factor = factor
    unsafe kernels = unsafe tape.kernels
    leftStride = isRounded ? tape.halfStride(depth) / 2 : depth
    guard unsafe isRounded || kernels.pointee.product_pack != nil else {
      stripCount = 0
      unsafe packed = nil
      return
    }
    let strip =
      unsafe isRounded
      ? kernels.pointee.bf16_scratch(depth) : kernels.pointee.product_scratch(depth)
    stripCount = (strip + 15) & ~15
    let strips = (0..<columns).partCount(of: Int(CK_STRIP))
    let memory = unsafe tape.workspace.arena.take(strips * stripCount)
    unsafe packed = unsafe memory
    let (table, size) = unsafe (kernels, stripCount)
    tape.pool.run(strips) { strip, _ in
      let part = (0..<columns).part(strip, of: Int(CK_STRIP))
      let from =
        unsafe factor.base + part.lowerBound * (factor.isTransposed ? factor.stride : 1)
      let to = unsafe memory + strip * size
      if isRounded {
        unsafe table.pointee.bf16_pack(
          to, from, factor.stride, factor.isTransposed, depth, part.count)
      } else {
        unsafe table.pointee.product_pack(
          to, from, factor.stride, factor.isTransposed, depth, part.count)
      }
    }
  }

  /// Whether the bits of a row of a product depend on that row alone.
  var isByRow: Bool { unsafe packed != nil }

  /// Makes `x`, `depth` floats, a row of a left side.
  func setRow(_ row: Int, of left: UnsafeMutablePointer<Float>, to x: UnsafePointer<Float>) {
    let to = unsafe left + row * leftStride
    if isRounded {
      unsafe kernels.pointee.bf16_rows(
        UnsafeMutableRawPointer(to).assumingMemoryBound(to: UInt16.self), 2 * leftStride, x, depth,
        1, depth)
    } else {
      unsafe to.update(from: x, count: depth)
    }
  }

  /// Writes the product of the first `rows` rows of a left side, of shape `[rows, columns]`.
  func multiply(_ left: UnsafeMutablePointer<Float>, rows: Int, into c: UnsafeMutablePointer<Float>)
  {
    if rows == 0 { return }
    guard let packed = unsafe packed else {
      unsafe cblas_sgemm(
        CblasRowMajor, CblasNoTrans, factor.isTransposed ? CblasTrans : CblasNoTrans, Int32(rows),
        Int32(columns), Int32(depth), 1, left, Int32(depth), factor.base, Int32(factor.stride), 0,
        c, Int32(columns))
      return
    }
    for strip in 0..<(0..<columns).partCount(of: Int(CK_STRIP)) {
      let part = (0..<columns).part(strip, of: Int(CK_STRIP))
      let b = unsafe packed + strip * stripCount
      // The rows that a product takes at its fastest.
      let height = isRounded ? 96 : 48
      for index in 0..<(0..<rows).partCount(of: height) {
        let some = (0..<rows).part(index, of: height)
        let to = unsafe c + some.lowerBound * columns + part.lowerBound
        let from = unsafe left + some.lowerBound * leftStride
        if isRounded {
          unsafe kernels.pointee.bf16_packed(
            to, columns, UnsafeMutableRawPointer(from).assumingMemoryBound(to: UInt16.self),
            2 * leftStride, some.count, b, depth, part.count, false)
        } else {
          unsafe kernels.pointee.product_packed(
            to, columns, from, leftStride, some.count, b, depth, part.count, false)
        }
      }
    }
  }
}
