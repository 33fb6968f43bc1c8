internal import CKernels
internal import COpenBLAS

/// What follows a linear layer in the same operation.
public enum Activation: Sendable {
  case none
  /// `z Φ(z)`, exact.
  case gelu
}

extension Tape {
  /// `activation(x·Wᵀ + b)`: a linear layer, as PyTorch's.
  ///
  /// Cost: one product forward and two backward of `rows × columns × weight.rows`.
  ///
  /// - Parameters:
  ///   - x: Shape `[rows, in]`.
  ///   - weight: Shape `[out, in]`.
  ///   - bias: Shape `[out]`, or none.
  /// - Returns: Shape `[rows, out]`.
  public func linear(
    _ x: Tensor, _ weight: Parameter, _ bias: Parameter? = nil, activation: Activation = .none
  ) -> Tensor {
    precondition(x.columns == weight.columns, "\(x.columns) columns for \(weight.columns)")
    precondition(bias.map { $0.count == weight.rows } ?? true, "a bias of another width")
    let trained = isTrained(weight) || bias.map(isTrained) ?? false
    let needsGradient = gradients != nil && (x.needsGradient || trained)
    let output = makeTensor(in: x.space, columns: weight.rows, needsGradient: needsGradient)
    // With GELU the product is kept beside its activation for the backward pass.
    let product =
      activation == .gelu && needsGradient
      ? unsafe workspace.arena.take(output.count) : unsafe output.base
    let (outputs, inputs) = (weight.rows, weight.columns)
    let w = unsafe parameters.pointer(weight)
    let b = unsafe bias.map { unsafe parameters.pointer($0) }
    let name = "linear \(inputs) → \(outputs)"
    let flops = 2 * Double(x.rows) * Double(inputs) * Double(outputs)
    let weights = unsafe Operand(base: w, stride: inputs, isTransposed: true)
    let tiles = tiles(of: x.space, columns: outputs, depth: inputs)
    workspace.measured(name, flops: flops) {
      pool.run(tiles.count) { task, worker in
        let (rows, columns) = tiles[task]
        unsafe multiply(
          x.base, weights, depth: inputs, rows, columns, into: product, width: outputs,
          adds: false, worker: worker
        ) { rows in
          let start = rows.lowerBound * outputs + columns.lowerBound
          unsafe finish(
            product + start, output.base + start, b.map { unsafe $0 + columns.lowerBound },
            rows.count, columns.count, outputs, activation)
        }
      }
    }
    guard needsGradient else { return output }
    let products = (x.needsGradient ? 1.0 : 0) + (isTrained(weight) ? 1.0 : 0)
    record(name, flops: products * flops) { [self] in
      guard let dy = unsafe arrivedGradient(output) else { return }
      if activation == .gelu {
        forEachBlock(of: x.space) { rows in
          let start = rows.lowerBound * outputs
          unsafe kernels.pointee.gelu_backward(
            dy + start, dy + start, product + start, rows.count * outputs)
        }
      }
      unsafe linearBackward(x, weight, dy)
      if let bias {
        unsafe foldColumns(of: x.space, into: bias) { rows, columns, sum in
          unsafe kernels.pointee.column_sums(
            sum, dy + rows.lowerBound * outputs + columns.lowerBound, rows.count, columns.count,
            outputs)
        }
      }
      releaseGradient(output)
    }
    return output
  }

  /// The gradients of a product's two operands: blocks of rows of `dx = dy·W`, tiles of rows of
  /// `dW = dyᵀ·x`, all in one round of tasks.
  private func linearBackward(_ x: Tensor, _ weight: Parameter, _ dy: UnsafeMutablePointer<Float>) {
    guard let gradients else { return }
    let (outputs, inputs) = (weight.rows, weight.columns)
    let w = unsafe parameters.pointer(weight)
    let dx = unsafe x.needsGradient ? claimGradient(x) : nil
    let dw = unsafe gradients.isTrained(weight) ? gradients.claim(weight) : nil
    let blocks = unsafe dx == nil ? [] : self.tiles(of: x.space, columns: inputs, depth: outputs)
    let tile = Self.weightTile(outputs: outputs)
    let tiles = unsafe dw == nil ? 0 : (outputs + tile - 1) / tile
    if tiles > 0, unsafe dw?.adds == true || x.space.segmentCount > 1 {
      workspace.reserveScratch(
        SegmentFold.scratch(count: tile * inputs, segments: x.space.segmentCount * 2))
    }
    pool.run(tiles + blocks.count) { task, worker in
      if task < tiles, let dw = unsafe dw {
        let first = task * tile
        let height = min(tile, outputs - first)
        let fold = unsafe SegmentFold(space: x.space, count: height * inputs, kernels: kernels)
        unsafe fold(
          into: dw.pointer + first * inputs, adds: dw.adds, scratch: workspace.scratch(of: worker)
        ) { rows, sum in
          unsafe cblas_sgemm(
            CblasRowMajor, CblasTrans, CblasNoTrans, Int32(height), Int32(inputs),
            Int32(rows.count), 1, dy + rows.lowerBound * outputs + first, Int32(outputs),
            x.base + rows.lowerBound * inputs, Int32(inputs), 0, sum, Int32(inputs))
        }
      } else if let dx = unsafe dx {
        let (rows, columns) = blocks[task - tiles]
        let weights = unsafe Operand(base: w, stride: inputs, isTransposed: false)
        unsafe multiply(
          dy, weights, depth: outputs, rows, columns, into: dx.pointer, width: inputs,
          adds: dx.adds, worker: worker
        ) { _ in }
      }
    }
  }

  /// The right side of a product: element (k, n) at `base[k · stride + n]`, or at `base[n · stride + k]` where it
  /// is transposed.
  @safe private struct Operand {
    let base: UnsafePointer<Float>
    let stride: Int
    let isTransposed: Bool
  }

  /// The parts of a product that one task each computes.
  ///
  /// The kernels' own product gives an element the same bits wherever it is cut, so the cut follows the threads:
  /// strips of columns, and of rows where strips are few. A library's product is cut by rows alone, as the
  /// segments are. Measured against OpenBLAS in place (AVX2, 176 rows): 95–99 GFLOP/s a core for 87–88.
  private func tiles(
    of space: RowSpace, columns: Int, depth: Int
  ) -> [(rows: Range<Int>, columns: Range<Int>)] {
    guard unsafe kernels.pointee.product_pack != nil else {
      return space.blocks.map { ($0, 0..<columns) }
    }
    unsafe workspace.reserveScratch(kernels.pointee.product_scratch(depth))
    let strip = Int(CK_STRIP)
    let strips = (columns + strip - 1) / strip
    let wanted = 2 * pool.threadCount
    let chunks = max(
      (space.count + 1023) / 1024, strips >= wanted ? 1 : (wanted + strips - 1) / strips)
    let height = max(48, ((space.count + chunks - 1) / chunks + 47) / 48 * 48)
    return stride(from: 0, to: space.count, by: height).flatMap { first in
      (0..<strips).map {
        (
          first..<min(first + height, space.count),
          $0 * strip..<min(($0 + 1) * strip, columns)
        )
      }
    }
  }

  /// Some rows and columns of `c = a·b`, or of `c += a·b`.
  ///
  /// - Parameters:
  ///   - a: Shape `[…, depth]`.
  ///   - width: The columns of `c`.
  ///   - finish: Called for rows whose product has just been made and is in the caches.
  private func multiply(
    _ a: UnsafePointer<Float>, _ b: Operand, depth: Int, _ rows: Range<Int>,
    _ columns: Range<Int>, into c: UnsafeMutablePointer<Float>, width: Int, adds: Bool,
    worker: Int, finish: (Range<Int>) -> Void
  ) {
    let first = unsafe b.base + columns.lowerBound * (b.isTransposed ? b.stride : 1)
    guard let pack = unsafe kernels.pointee.product_pack else {
      unsafe cblas_sgemm(
        CblasRowMajor, CblasNoTrans, b.isTransposed ? CblasTrans : CblasNoTrans,
        Int32(rows.count), Int32(columns.count), Int32(depth), 1, a + rows.lowerBound * depth,
        Int32(depth), first, Int32(b.stride), adds ? 1 : 0,
        c + rows.lowerBound * width + columns.lowerBound, Int32(width))
      finish(rows)
      return
    }
    let packed = unsafe workspace.scratch(of: worker)
    unsafe pack(packed, first, b.stride, b.isTransposed, depth, columns.count)
    for start in stride(from: rows.lowerBound, to: rows.upperBound, by: 48) {
      let part = start..<min(start + 48, rows.upperBound)
      unsafe kernels.pointee.product_packed(
        c + start * width + columns.lowerBound, width, a + start * depth, depth, part.count,
        packed, depth, columns.count, adds)
      finish(part)
    }
  }

  /// Adds the bias to some rows and columns of a product, and leaves their activation in `y`.
  private func finish(
    _ z: UnsafeMutablePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ bias: UnsafePointer<Float>?, _ rows: Int, _ columns: Int, _ width: Int,
    _ activation: Activation
  ) {
    let isInPlace = unsafe y == z
    if let bias = unsafe bias, activation == .none || isInPlace {
      unsafe kernels.pointee.add_bias(z, bias, rows, columns, width)
    }
    if activation == .none { return }
    for row in 0..<rows {
      let (z, y) = unsafe (z + row * width, y + row * width)
      if let bias = unsafe bias, !isInPlace {
        unsafe kernels.pointee.bias_gelu(z, y, bias, 1, columns)
      } else {
        unsafe kernels.pointee.gelu_forward(y, z, columns)
      }
    }
  }

  /// Rows of a weight gradient that one task computes: a multiple of 16, about eight tiles, but not so few that
  /// the product loses speed (measured: 83 GFLOP/s a core with 48 rows, 90 with 96, 92 with 192).
  private static func weightTile(outputs: Int) -> Int {
    min(192, max(96, (outputs + 127) / 128 * 16))
  }
}
