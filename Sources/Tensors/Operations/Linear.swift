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
    let w = unsafe weights(of: weight)
    let b = unsafe bias.map { unsafe weights(of: $0) }
    let name = "linear \(inputs) → \(outputs)"
    let flops = 2 * Double(x.rows) * Double(inputs) * Double(outputs)
    let mark = workspace.arena.mark
    let isRounded = isRounded(weight)
    workspace.measured(name, flops: flops, isRounded: isRounded) {
      let forward = unsafe Product(
        rowFactor(x.base, x.space, depth: inputs, isRounded: isRounded),
        RightFactor(base: w, stride: inputs, isTransposed: true), depth: inputs, columns: outputs,
        into: product)
      let tiles = tiles(of: forward, x.space)
      pool.run(tiles.count) { task, worker in
        let columns = tiles[task].columns
        multiply(forward, tiles[task], worker) { rows in
          let start = rows.lowerBound * outputs + columns.lowerBound
          unsafe finish(
            product + start, output.base + start, b.map { unsafe $0 + columns.lowerBound },
            rows.count, columns.count, outputs, activation)
        }
      }
    }
    workspace.arena.rewind(to: mark)
    inspect(output, of: name, reading: [weight] + (bias.map { [$0] } ?? []))
    guard needsGradient else { return output }
    let products = (x.needsGradient ? 1.0 : 0) + (isTrained(weight) ? 1.0 : 0)
    record(
      name, writing: [weight] + (bias.map { [$0] } ?? []), flops: products * flops,
      isRounded: isRounded
    ) { [self] in
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

  /// Whether the products of a layer round their factors to bf16. Layers of few outputs, those of heads, do not.
  package func isRounded(_ weight: Parameter) -> Bool {
    workspace.precision == .bf16 && weight.rows >= 32
  }

  /// The gradients of a product's two factors: `dx = dy·W` and `dW = dyᵀ·x`.
  private func linearBackward(_ x: Tensor, _ weight: Parameter, _ dy: UnsafeMutablePointer<Float>) {
    guard let gradients else { return }
    let w = unsafe weights(of: weight)
    unsafe productBackward(
      x, w, outputs: weight.rows, isRounded: isRounded(weight), dy,
      dx: x.needsGradient ? claimGradient(x) : nil,
      dw: gradients.isTrained(weight) ? gradients.claim(weight) : nil)
  }

  /// The gradients of the factors of `x·Wᵀ`, each left at its place or added to what is there, all in one round of
  /// tasks. In the backward part of an operation.
  ///
  /// - Parameters:
  ///   - w: Shape `[outputs, x.columns]`.
  ///   - dy: Shape `[x.rows, outputs]`.
  ///   - dx: Of the shape of `x`; nil where it is not wanted.
  ///   - dw: Of the shape of `w`; nil where it is not wanted.
  package func productBackward(
    _ x: Tensor, _ w: UnsafePointer<Float>, outputs: Int, isRounded: Bool,
    _ dy: UnsafePointer<Float>, dx: (pointer: UnsafeMutablePointer<Float>, adds: Bool)?,
    dw: (pointer: UnsafeMutablePointer<Float>, adds: Bool)?
  ) {
    let inputs = x.columns
    let mark = workspace.arena.mark
    defer { workspace.arena.rewind(to: mark) }
    var backward: Product?
    if let dx = unsafe dx {
      backward = unsafe Product(
        rowFactor(dy, x.space, depth: outputs, isRounded: isRounded),
        RightFactor(base: w, stride: inputs, isTransposed: false), depth: outputs,
        columns: inputs, into: dx.pointer, adds: dx.adds)
    }
    let tiles = backward.map { self.tiles(of: $0, x.space) } ?? []
    guard let dw = unsafe dw else {
      pool.run(tiles.count) { task, worker in
        if let backward { multiply(backward, tiles[task], worker) { _ in } }
      }
      return
    }
    let weightTiles = self.weightTiles(outputs: outputs, inputs: inputs)
    if let tile = weightTiles.first, unsafe dw.adds || x.space.segmentCount > 1 {
      workspace.reserveScratch(
        SegmentFold.scratch(
          count: tile.outputs.count * tile.inputs.count, segments: x.space.segmentCount * 2))
    }
    let sums = unsafe RowSums(
      dy, outputs, x.base, inputs, x.space, isRounded: isRounded, on: self)
    pool.run(weightTiles.count + tiles.count) { task, worker in
      if task < weightTiles.count {
        let tile = weightTiles[task]
        let fold = unsafe SegmentFold(
          space: x.space, height: tile.outputs.count, width: tile.inputs.count, kernels: kernels)
        unsafe fold(
          into: dw.pointer + tile.outputs.lowerBound * inputs + tile.inputs.lowerBound,
          stride: inputs, adds: dw.adds, scratch: workspace.scratch(of: worker)
        ) { rows, sum, stride in unsafe sums(rows, tile.outputs, tile.inputs, sum, stride) }
      } else if let backward {
        multiply(backward, tiles[task - weightTiles.count], worker) { _ in }
      }
    }
  }

  /// The parts of a weight gradient that one task each computes, the first of them the largest.
  ///
  /// About eight tiles of whole rows, but not so few rows that a library's product loses speed (measured: 83 GFLOP/s a
  /// core with 48 rows, 90 with 96, 92 with 192), and whose bits depend on that cut. The kernels' own products are also
  /// cut by strips of columns, where there are more workers.
  func weightTiles(
    outputs: Int, inputs: Int
  ) -> [(outputs: Range<Int>, inputs: Range<Int>)] {
    let height = min(192, max(96, (outputs + 127) / 128 * 16))
    let rows = (0..<outputs).partCount(of: height)
    let strip = Int(CK_STRIP)
    let strips = (0..<inputs).partCount(of: strip)
    let parts = min(strips, (2 * pool.workers + rows - 1) / rows)
    let width =
      unsafe kernels.pointee.product_pack == nil ? inputs : (strips + parts - 1) / parts * strip
    return (0..<rows).flatMap { row in
      (0..<(0..<inputs).partCount(of: width)).map {
        ((0..<outputs).part(row, of: height), (0..<inputs).part($0, of: width))
      }
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
}
