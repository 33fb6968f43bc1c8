package import CKernels

/// The parameters of a layer normalisation over rows of `scale.count` columns.
public struct LayerNormParameters: Sendable {
  /// γ, shape `[columns]`.
  public var scale: Parameter
  /// β, shape `[columns]`.
  public var shift: Parameter
  public var epsilon: Float

  public init(scale: Parameter, shift: Parameter, epsilon: Float) {
    self.scale = scale
    self.shift = shift
    self.epsilon = epsilon
  }
}

extension Tape {
  /// `LayerNorm(residual + dropout(h + bias))`, row by row: how every half of a block ends.
  ///
  /// The memory of `h` is used to keep the normalised rows, so `h` must have no other use.
  ///
  /// - Parameters:
  ///   - h: Shape `[rows, columns]`: the product before its bias.
  ///   - bias: Shape `[columns]`.
  ///   - residual: Shape of `h`; nil for a plain normalisation of `h + bias`.
  ///   - rate: How often an element is dropped.
  /// - Returns: Shape of `h`.
  public func layerNorm(
    _ h: Tensor, bias: Parameter? = nil, residual: Tensor? = nil, dropout rate: Float = 0,
    _ norm: LayerNormParameters
  ) -> Tensor {
    let columns = h.columns
    precondition(
      norm.scale.count == columns && norm.shift.count == columns, "a norm of another width")
    precondition(residual.map { $0.columns == columns } ?? true, "a residual of another width")
    precondition((bias == nil) == (residual == nil), "bias and residual come together")
    let space = h.space
    let dropout = nextDropout(rate: residual == nil ? 0 : rate)
    let trained = isTrained(norm.scale) || isTrained(norm.shift) || bias.map(isTrained) ?? false
    let needsGradient =
      gradients != nil && (h.needsGradient || residual?.needsGradient ?? false || trained)
    let output = makeTensor(in: space, columns: columns, needsGradient: needsGradient)
    let deviations = unsafe workspace.arena.take(space.count)
    let gamma = unsafe weights(of: norm.scale)
    let beta = unsafe weights(of: norm.shift)
    let b = unsafe bias.map { unsafe weights(of: $0) }
    workspace.measured("layer norm", bytes: traffic(h, residual == nil ? 3 : 4)) {
      forEachBlock(of: space) { rows in
        let start = rows.lowerBound * columns
        let z = unsafe h.base + start
        if let residual, let b = unsafe b {
          unsafe withDropout(dropout, of: rows, in: space) { dropout, places in
            unsafe kernels.pointee.bias_dropout_add(
              z, b, residual.base + start, rows.count, columns, dropout, places)
          }
        }
        unsafe kernels.pointee.layernorm_forward(
          z, output.base + start, deviations + rows.lowerBound, gamma, beta, norm.epsilon,
          rows.count, columns)
      }
    }
    inspect(output, of: "layer norm", reading: [norm.scale, norm.shift])
    guard needsGradient else { return output }
    record(
      "layer norm", writing: [norm.scale, norm.shift] + (bias.map { [$0] } ?? []),
      bytes: traffic(h, residual == nil ? 5 : 8)
    ) { [self] in
      guard let dy = unsafe arrivedGradient(output) else { return }
      unsafe layerNormParameters(norm, dy: dy, normalised: h)
      forEachBlock(of: space) { rows in
        let start = rows.lowerBound * columns
        unsafe kernels.pointee.layernorm_backward(
          dy + start, dy + start, h.base + start, deviations + rows.lowerBound, gamma, rows.count,
          columns)
      }
      if residual != nil || h.needsGradient {
        let dh = unsafe claimGradient(h)
        precondition(unsafe !dh.adds, "the input of a layer norm has another use")
        forEachBlock(of: space) { rows in
          let start = rows.lowerBound * columns
          unsafe withDropout(dropout, of: rows, in: space) { dropout, places in
            unsafe kernels.pointee.dropout(
              dh.pointer + start, dy + start, rows.count, columns, dropout, places)
          }
        }
        if let bias {
          unsafe foldColumns(of: space, into: bias) { rows, part, sum in
            unsafe kernels.pointee.column_sums(
              sum, dh.pointer + rows.lowerBound * columns + part.lowerBound, rows.count,
              part.count, columns)
          }
        }
        if !h.needsGradient { releaseGradient(h) }
      }
      if let residual, residual.needsGradient, !moveGradient(from: output, to: residual) {
        unsafe addGradient(dy, to: residual)
      }
      releaseGradient(output)
    }
    return output
  }

  /// dγ and dβ, summed over rows for each segment.
  private func layerNormParameters(
    _ norm: LayerNormParameters, dy: UnsafeMutablePointer<Float>, normalised: Tensor
  ) {
    guard let gradients, isTrained(norm.scale) || isTrained(norm.shift) else { return }
    let columns = normalised.columns
    let space = normalised.space
    let gamma = unsafe gradients.claim(norm.scale)
    let beta = unsafe gradients.claim(norm.shift)
    // Each task sums a pair [γ | β] for its columns, then puts the halves where they belong.
    let width = min(64, columnWidth(columns))
    let pair = SegmentFold.scratch(count: 2 * width, segments: space.segmentCount * 2)
    workspace.reserveScratch(pair + 2 * width)
    pool.run((columns + width - 1) / width) { task, worker in
      let part = task * width..<min((task + 1) * width, columns)
      let scratch = unsafe workspace.scratch(of: worker)
      let sums = unsafe scratch + pair
      let fold = unsafe SegmentFold(space: space, width: 2 * part.count, kernels: kernels)
      unsafe fold(into: sums, adds: false, scratch: scratch) { rows, sum, _ in
        let start = rows.lowerBound * columns + part.lowerBound
        unsafe kernels.pointee.layernorm_parameters(
          sum, sum + part.count, dy + start, normalised.base + start, rows.count, part.count,
          columns)
      }
      unsafe put(sums, part.count, at: gamma.pointer + part.lowerBound, adds: gamma.adds)
      unsafe put(
        sums + part.count, part.count, at: beta.pointer + part.lowerBound, adds: beta.adds)
    }
  }

  private func put(
    _ values: UnsafeMutablePointer<Float>, _ count: Int, at target: UnsafeMutablePointer<Float>,
    adds: Bool
  ) {
    if adds {
      unsafe kernels.pointee.add(target, values, count)
    } else {
      unsafe target.update(from: values, count: count)
    }
  }

  /// Adds `values`, of the tensor's shape, to the gradient of a tensor. In the backward part of an operation.
  package func addGradient(_ values: UnsafeMutablePointer<Float>, to tensor: Tensor) {
    let target = unsafe claimGradient(tensor)
    forEachBlock(of: tensor.space) { rows in
      let start = rows.lowerBound * tensor.columns
      let count = rows.count * tensor.columns
      unsafe put(values + start, count, at: target.pointer + start, adds: target.adds)
    }
  }

  /// Calls `body` with the dropout, and with where `rows` stand. In either part of an operation.
  package func withDropout(
    _ dropout: ck_dropout, of rows: Range<Int>, in space: RowSpace,
    _ body: (UnsafePointer<ck_dropout>, UnsafePointer<ck_place>?) -> Void
  ) {
    precondition(
      dropout.threshold == 0 || space.count == 0 || !space.places.isEmpty,
      "dropout over rows without places")
    unsafe withUnsafePointer(to: dropout) { dropout in
      unsafe space.places.withUnsafeBufferPointer { places in
        let first =
          unsafe places.isEmpty ? nil : places.baseAddress.map { unsafe $0 + rows.lowerBound }
        unsafe body(dropout, first)
      }
    }
  }
}
