internal import CKernels
internal import COpenBLAS

/// The left side of a product: rows of a space.
@safe enum RowFactor {
  /// Dense rows.
  case floats(UnsafePointer<Float>)
  /// Rows rounded to bf16, some halves apart.
  case halves(UnsafePointer<UInt16>, stride: Int)
}

/// The right side of a product: element (k, n) at `base[k · stride + n]`, or at `base[n · stride + k]` where it
/// is transposed. It is rounded as the left side is.
@safe struct RightFactor {
  let base: UnsafePointer<Float>
  let stride: Int
  let isTransposed: Bool
}

/// `c = a·b`, or `c += a·b`, of shape `[rows, columns]`, with `depth` terms an element.
@safe struct Product {
  let a: RowFactor
  let b: RightFactor
  let depth: Int
  let columns: Int
  let c: UnsafeMutablePointer<Float>
  let adds: Bool

  init(
    _ a: RowFactor, _ b: RightFactor, depth: Int, columns: Int,
    into c: UnsafeMutablePointer<Float>, adds: Bool = false
  ) {
    self.a = a
    self.b = b
    self.depth = depth
    self.columns = columns
    unsafe self.c = c
    self.adds = adds
  }
}

extension Tape {
  /// Rows of floats as the left side of a product: they themselves, or in the step's memory rounded to bf16.
  func rowFactor(
    _ x: UnsafePointer<Float>, _ space: RowSpace, depth: Int, isRounded: Bool
  ) -> RowFactor {
    if !isRounded { return unsafe .floats(x) }
    let stride = halfStride(depth)
    let halves = unsafe takeHalves(space.count * stride)
    forEachBlock(of: space) { rows in
      unsafe kernels.pointee.bf16_rows(
        halves + rows.lowerBound * stride, stride, x + rows.lowerBound * depth, depth, rows.count,
        depth)
    }
    return unsafe .halves(halves, stride: stride)
  }

  /// The parts of a product that one task each computes.
  ///
  /// The kernels' own products give an element the same bits wherever it is cut, so the cut follows the threads:
  /// strips of columns, and of rows where strips are few. A library's product is cut by rows alone, as the
  /// segments are. Measured against OpenBLAS in place (AVX2, 176 rows): 95–99 GFLOP/s a core for 87–88.
  func tiles(
    of product: Product, _ space: RowSpace
  ) -> [(rows: Range<Int>, columns: Range<Int>)] {
    switch product.a {
    case .halves: unsafe workspace.reserveScratch(kernels.pointee.bf16_scratch(product.depth))
    case .floats:
      guard let scratch = unsafe kernels.pointee.product_scratch else {
        return space.blocks.map { ($0, 0..<product.columns) }
      }
      workspace.reserveScratch(scratch(product.depth))
    }
    let strip = Int(CK_STRIP)
    let strips = (product.columns + strip - 1) / strip
    let wanted = 2 * pool.workers
    let chunks = max(
      (space.count + 1023) / 1024, strips >= wanted ? 1 : (wanted + strips - 1) / strips)
    let height = max(48, ((space.count + chunks - 1) / chunks + 47) / 48 * 48)
    return stride(from: 0, to: space.count, by: height).flatMap { first in
      (0..<strips).map {
        (
          first..<min(first + height, space.count),
          $0 * strip..<min(($0 + 1) * strip, product.columns)
        )
      }
    }
  }

  /// Some rows and columns of a product.
  ///
  /// - Parameter finish: Called for rows whose product has just been made and is in the caches.
  func multiply(
    _ product: Product, _ tile: (rows: Range<Int>, columns: Range<Int>), _ worker: Int,
    finish: (Range<Int>) -> Void
  ) {
    let (rows, columns) = tile
    let (b, depth, width) = (product.b, product.depth, product.columns)
    let first = unsafe b.base + columns.lowerBound * (b.isTransposed ? b.stride : 1)
    let c = unsafe product.c + columns.lowerBound
    let packed = unsafe workspace.scratch(of: worker)
    let height: Int  // the rows that a product takes at its fastest
    switch product.a {
    case .halves:
      height = 96
      unsafe kernels.pointee.bf16_pack(
        packed, first, b.stride, b.isTransposed, depth, columns.count)
    case .floats(let a):
      height = 48
      guard let pack = unsafe kernels.pointee.product_pack else {
        unsafe cblas_sgemm(
          CblasRowMajor, CblasNoTrans, b.isTransposed ? CblasTrans : CblasNoTrans,
          Int32(rows.count), Int32(columns.count), Int32(depth), 1, a + rows.lowerBound * depth,
          Int32(depth), first, Int32(b.stride), product.adds ? 1 : 0,
          c + rows.lowerBound * width, Int32(width))
        return finish(rows)
      }
      unsafe pack(packed, first, b.stride, b.isTransposed, depth, columns.count)
    }
    for index in 0..<rows.partCount(of: height) {
      let part = rows.part(index, of: height)
      let to = unsafe c + part.lowerBound * width
      switch product.a {
      case .halves(let a, let stride):
        unsafe kernels.pointee.bf16_packed(
          to, width, a + part.lowerBound * stride, stride, part.count, packed, depth,
          columns.count, product.adds)
      case .floats(let a):
        unsafe kernels.pointee.product_packed(
          to, width, a + part.lowerBound * depth, depth, part.count, packed, depth, columns.count,
          product.adds)
      }
      finish(part)
    }
  }

  /// The halves between rows of `depth` halves that a product may read.
  func halfStride(_ depth: Int) -> Int {
    (depth + Int(CK_BF16_DEPTH) - 1) / Int(CK_BF16_DEPTH) * Int(CK_BF16_DEPTH)
  }

  func takeHalves(_ count: Int) -> UnsafeMutablePointer<UInt16> {
    unsafe UnsafeMutableRawPointer(workspace.arena.take((count + 1) / 2))
      .bindMemory(to: UInt16.self, capacity: count)
  }
}

/// Products over the rows of a space, segment by segment: `dyᵀ·x`.
///
/// The kernels' own products find both factors made ready for all tasks, each segment by itself: the columns of dy
/// as rows, and x in packed strips. They give an element the same bits wherever the sum is cut.
@safe struct RowSums {
  /// What is made ready, and how.
  private enum Form { case raw, floats, halves }

  private let dy: UnsafePointer<Float>
  private let outputs: Int
  private let x: UnsafePointer<Float>
  private let inputs: Int
  private let form: Form
  private let kernels: UnsafePointer<ck_table>
  private var columns: UnsafeMutablePointer<Float>?
  /// The elements, floats or halves, from one of `columns` to the next.
  private var stride = 0
  private var packed: UnsafeMutablePointer<Float>?
  /// Where the segment that begins at a row stands in a column, and where its first strip is in `packed`.
  private var places: [Int: (element: Int, strip: Int)] = [:]

  /// - Parameters:
  ///   - dy: Shape `[rows, outputs]`.
  ///   - x: Shape `[rows, inputs]`.
  init(
    _ dy: UnsafePointer<Float>, _ outputs: Int, _ x: UnsafePointer<Float>, _ inputs: Int,
    _ space: RowSpace, isRounded: Bool, on tape: Tape
  ) {
    unsafe self.dy = unsafe dy
    self.outputs = outputs
    unsafe self.x = unsafe x
    self.inputs = inputs
    unsafe kernels = unsafe tape.kernels
    form = unsafe isRounded ? .halves : kernels.pointee.product_pack == nil ? .raw : .floats
    if form == .raw { return }
    let strips = (0..<inputs).partCount(of: Int(CK_STRIP))
    var segments: [Range<Int>] = []
    var floats = 0
    for (lower, upper) in zip(space.segmentBounds, space.segmentBounds.dropFirst())
    where lower < upper {
      places[lower] = (stride, floats)
      segments.append(lower..<upper)
      stride += isRounded ? tape.halfStride(upper - lower) : upper - lower
      floats += strips * scratch(upper - lower)
    }
    unsafe columns = tape.workspace.arena.take(
      isRounded ? (outputs * stride + 1) / 2 : outputs * stride)
    unsafe packed = tape.workspace.arena.take(floats)
    let columnWidth = 64
    let columnParts = (0..<outputs).partCount(of: columnWidth)
    let ready = self
    tape.pool.run(segments.count * (columnParts + strips)) { task, _ in
      let rows = segments[task / (columnParts + strips)]
      let part = task % (columnParts + strips)
      if part < columnParts {
        ready.turn((0..<outputs).part(part, of: columnWidth), rows)
      } else {
        ready.pack(strip: part - columnParts, rows)
      }
    }
  }

  /// The floats of a packed strip of so many rows.
  private func scratch(_ rows: Int) -> Int {
    unsafe form == .halves
      ? kernels.pointee.bf16_scratch(rows) : kernels.pointee.product_scratch(rows)
  }

  private func halves(
    _ floats: UnsafeMutablePointer<Float>
  ) -> UnsafeMutablePointer<UInt16> {
    unsafe UnsafeMutableRawPointer(floats).assumingMemoryBound(to: UInt16.self)
  }

  /// Some columns of dy over the rows of a segment as rows.
  private func turn(_ range: Range<Int>, _ rows: Range<Int>) {
    guard let columns = unsafe columns, let (element, _) = places[rows.lowerBound] else { return }
    let from = unsafe dy + rows.lowerBound * outputs + range.lowerBound
    let start = range.lowerBound * stride + element
    if form == .halves {
      unsafe kernels.pointee.bf16_columns(
        halves(columns) + start, stride, from, outputs, rows.count, range.count)
    } else {
      unsafe kernels.pointee.product_columns(
        columns + start, stride, from, outputs, rows.count, range.count)
    }
  }

  /// A strip of x over the rows of a segment, packed.
  private func pack(strip index: Int, _ rows: Range<Int>) {
    guard let packed = unsafe packed, let (_, strip) = places[rows.lowerBound] else { return }
    let range = (0..<inputs).part(index, of: Int(CK_STRIP))
    let from = unsafe x + rows.lowerBound * inputs + range.lowerBound
    let to = unsafe packed + strip + index * scratch(rows.count)
    if form == .halves {
      unsafe kernels.pointee.bf16_pack(to, from, inputs, false, rows.count, range.count)
    } else {
      unsafe kernels.pointee.product_pack(to, from, inputs, false, rows.count, range.count)
    }
  }

  /// Writes the sum over the rows of a segment for some outputs and inputs, whole strips of these, rows of the sum
  /// `stride` floats apart.
  func callAsFunction(
    _ rows: Range<Int>, _ part: Range<Int>, _ range: Range<Int>,
    _ sum: UnsafeMutablePointer<Float>, _ sumStride: Int
  ) {
    guard let columns = unsafe columns, let packed = unsafe packed,
      let (element, strip) = places[rows.lowerBound]
    else {
      unsafe cblas_sgemm(
        CblasRowMajor, CblasTrans, CblasNoTrans, Int32(part.count), Int32(range.count),
        Int32(rows.count), 1, dy + rows.lowerBound * outputs + part.lowerBound, Int32(outputs),
        x + rows.lowerBound * inputs + range.lowerBound, Int32(inputs), 0, sum, Int32(sumStride))
      return
    }
    let width = Int(CK_STRIP)
    for index in 0..<range.partCount(of: width) {
      let some = range.part(index, of: width)
      let b = unsafe packed + strip + some.lowerBound / width * scratch(rows.count)
      for number in 0..<part.partCount(of: 48) {
        let outputs = part.part(number, of: 48)
        let start = outputs.lowerBound * stride + element
        let to = unsafe sum + (outputs.lowerBound - part.lowerBound) * sumStride + index * width
        if form == .halves {
          unsafe kernels.pointee.bf16_packed(
            to, sumStride, halves(columns) + start, stride, outputs.count, b, rows.count,
            some.count, false)
        } else {
          unsafe kernels.pointee.product_packed(
            to, sumStride, columns + start, stride, outputs.count, b, rows.count, some.count,
            false)
        }
      }
    }
  }
}
