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
    workspace.measured(name, flops: flops) {
      forEachBlock(of: x.space) { rows in
        let z = unsafe product + rows.lowerBound * outputs
        unsafe cblas_sgemm(
          CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows.count), Int32(outputs), Int32(inputs),
          1, x.base + rows.lowerBound * inputs, Int32(inputs), w, Int32(inputs), 0, z,
          Int32(outputs))
        switch (activation, unsafe b) {
        case (.none, .some(let b)):
          unsafe kernels.pointee.add_bias(z, b, rows.count, outputs, outputs)
        case (.gelu, .some(let b)):
          let y = unsafe output.base + rows.lowerBound * outputs
          if unsafe y == z {
            unsafe kernels.pointee.add_bias(z, b, rows.count, outputs, outputs)
            unsafe kernels.pointee.gelu_forward(z, z, rows.count * outputs)
          } else {
            unsafe kernels.pointee.bias_gelu(z, y, b, rows.count, outputs)
          }
        case (.gelu, .none):
          let y = unsafe output.base + rows.lowerBound * outputs
          unsafe kernels.pointee.gelu_forward(y, z, rows.count * outputs)
        case (.none, .none): break
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
    let blocks = unsafe dx == nil ? [] : x.space.blocks
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
        let rows = blocks[task - tiles]
        unsafe cblas_sgemm(
          CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(rows.count), Int32(inputs),
          Int32(outputs), 1, dy + rows.lowerBound * outputs, Int32(outputs), w, Int32(inputs),
          dx.adds ? 1 : 0, dx.pointer + rows.lowerBound * inputs, Int32(inputs))
      }
    }
  }

  /// Rows of a weight gradient that one task computes: a multiple of 16, about eight tiles, but not so few that
  /// the product loses speed (measured: 83 GFLOP/s a core with 48 rows, 90 with 96, 92 with 192).
  private static func weightTile(outputs: Int) -> Int {
    min(192, max(96, (outputs + 127) / 128 * 16))
  }
}
