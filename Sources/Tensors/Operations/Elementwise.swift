internal import CKernels

extension Tape {
  /// `dropout(x)`: an element is 0 with the given rate, else divided by one minus it.
  public func dropout(_ x: Tensor, rate: Float) -> Tensor {
    unsafe dropped("dropout", x, rate) { [self] to, from, rows, dropout, places in
      let start = rows.lowerBound * x.columns
      unsafe kernels.pointee.dropout(
        to + start, from + start, rows.count, x.columns, dropout, places)
    }
  }

  /// Dropout of whole rows: a row is 0 with the given rate, else divided by one minus it.
  public func dropoutRows(_ x: Tensor, rate: Float) -> Tensor {
    unsafe dropped("dropout of rows", x, rate) { [self] to, from, rows, dropout, places in
      unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.count) { factors in
        unsafe factors.initialize(repeating: 1)
        let base = factors.baseAddress
        unsafe kernels.pointee.dropout(base, base, rows.count, 1, dropout, places)
        for (index, row) in rows.enumerated() {
          let factor = unsafe factors[index]
          for place in row * x.columns..<(row + 1) * x.columns {
            unsafe to[place] = factor == 0 ? 0 : factor * from[place]
          }
        }
      }
    }
  }

  /// - Parameter apply: Drops from a block of rows, for the gradient as for the values.
  private func dropped(
    _ name: String, _ x: Tensor, _ rate: Float,
    apply:
      @escaping (
        _ to: UnsafeMutablePointer<Float>, _ from: UnsafeMutablePointer<Float>,
        _ rows: Range<Int>, _ dropout: UnsafePointer<ck_dropout>,
        _ places: UnsafePointer<ck_place>?
      ) -> Void
  ) -> Tensor {
    let dropout = nextDropout(rate: rate)
    if dropout.threshold == 0 { return x }
    let output = makeTensor(in: x.space, columns: x.columns, needsGradient: x.needsGradient)
    let applyAll = {
      [self] (to: UnsafeMutablePointer<Float>, from: UnsafeMutablePointer<Float>) in
      forEachBlock(of: x.space) { rows in
        unsafe withDropout(dropout, of: rows, in: x.space) { dropout, places in
          unsafe apply(to, from, rows, dropout, places)
        }
      }
    }
    workspace.measured(name, bytes: traffic(x, 2)) { unsafe applyAll(output.base, x.base) }
    inspect(output, of: name)
    if x.needsGradient {
      record(name, bytes: traffic(x, 2)) { [self] in
        guard let dy = unsafe arrivedGradient(output) else { return }
        unsafe applyAll(dy, dy)
        if !moveGradient(from: output, to: x) { unsafe addGradient(dy, to: x) }
        releaseGradient(output)
      }
    }
    return output
  }

  /// The hyperbolic tangent of each element.
  public func tanh(_ x: Tensor) -> Tensor {
    unsafe elementwise(
      "tanh", x, forward: kernels.pointee.tanh_forward, backward: kernels.pointee.tanh_backward,
      fromOutput: true)
  }

  /// `z Φ(z)` of each element, exact.
  public func gelu(_ x: Tensor) -> Tensor {
    unsafe elementwise(
      "gelu", x, forward: kernels.pointee.gelu_forward, backward: kernels.pointee.gelu_backward,
      fromOutput: false)
  }

  /// The softmax of each row, as PyTorch's over the last dimension: `exp(x[k]) / Σ exp(x)`.
  ///
  /// - Parameter x: Shape `[rows, columns]`.
  /// - Returns: Shape of `x`; rows sum to 1.
  public func softmax(_ x: Tensor) -> Tensor {
    let columns = x.columns
    let output = makeTensor(in: x.space, columns: columns, needsGradient: x.needsGradient)
    workspace.measured("softmax", bytes: traffic(x, 2)) {
      forEachBlock(of: x.space) { rows in
        for row in rows {
          let y = unsafe output.base + row * columns
          unsafe y.update(from: x.base + row * columns, count: columns)
          var largest = -Float.infinity
          var sum = 0.0
          unsafe kernels.pointee.softmax_part(y, columns, &largest, &sum)
          unsafe kernels.pointee.softmax_scaled(y, columns, largest, Float(1 / sum))
        }
      }
    }
    inspect(output, of: "softmax")
    guard x.needsGradient else { return output }
    record("softmax", bytes: traffic(x, 3)) { [self] in
      guard let dy = unsafe arrivedGradient(output) else { return }
      forEachBlock(of: x.space) { rows in
        for row in rows {
          let (y, dy) = unsafe (output.base + row * columns, dy + row * columns)
          var inner = 0.0
          for column in 0..<columns { unsafe inner += Double(dy[column]) * Double(y[column]) }
          for column in 0..<columns {
            unsafe dy[column] = y[column] * Float(Double(dy[column]) - inner)
          }
        }
      }
      if !moveGradient(from: output, to: x) { unsafe addGradient(dy, to: x) }
      releaseGradient(output)
    }
    return output
  }

  /// A function of each element.
  ///
  /// - Parameters:
  ///   - backward: Gives dx from dy and the elements of the output, or else of the input.
  private func elementwise(
    _ name: String, _ x: Tensor,
    forward:
      @escaping @convention(c) (UnsafeMutablePointer<Float>?, UnsafePointer<Float>?, Int)
      -> Void,
    backward:
      @escaping @convention(c) (
        UnsafeMutablePointer<Float>?, UnsafePointer<Float>?, UnsafePointer<Float>?, Int
      ) -> Void,
    fromOutput: Bool
  ) -> Tensor {
    let output = makeTensor(in: x.space, columns: x.columns, needsGradient: x.needsGradient)
    workspace.measured(name, bytes: traffic(x, 2)) {
      forEachBlock(of: x.space) { rows in
        let start = rows.lowerBound * x.columns
        unsafe forward(output.base + start, x.base + start, rows.count * x.columns)
      }
    }
    inspect(output, of: name)
    guard x.needsGradient else { return output }
    record(name, bytes: traffic(x, 3)) { [self] in
      guard let dy = unsafe arrivedGradient(output) else { return }
      let kept = unsafe fromOutput ? output.base : x.base
      forEachBlock(of: x.space) { rows in
        let start = rows.lowerBound * x.columns
        unsafe backward(dy + start, dy + start, kept + start, rows.count * x.columns)
      }
      if !moveGradient(from: output, to: x) { unsafe addGradient(dy, to: x) }
      releaseGradient(output)
    }
    return output
  }

  /// Tensors of the same rows beside each other, as PyTorch's `cat` over the last dimension.
  ///
  /// - Returns: Shape `[rows, Σ columns]`.
  public func beside(_ parts: [Tensor]) -> Tensor {
    if parts.count == 1 { return parts[0] }
    guard let space = parts.first?.space else { preconditionFailure("no tensors") }
    precondition(parts.allSatisfy { $0.rows == space.count }, "tensors of unequal rows")
    let columns = parts.reduce(0) { $0 + $1.columns }
    let output = makeTensor(
      in: space, columns: columns, needsGradient: parts.contains(where: \.needsGradient))
    workspace.measured("beside", bytes: traffic(output, 2)) {
      forEachBlock(of: space) { block in
        for row in block {
          var to = unsafe output.base + row * columns
          for part in parts {
            unsafe to.update(from: part.base + row * part.columns, count: part.columns)
            unsafe to += part.columns
          }
        }
      }
    }
    inspect(output, of: "beside")
    guard output.needsGradient else { return output }
    record("beside", bytes: traffic(output, 2)) { [self] in
      guard let dy = unsafe arrivedGradient(output) else { return }
      var first = 0
      for part in parts {
        defer { first += part.columns }
        guard part.needsGradient else { continue }
        let dx = unsafe claimGradient(part)
        let offset = first
        forEachBlock(of: space) { block in
          for row in block {
            let from = unsafe dy + row * columns + offset
            let to = unsafe dx.pointer + row * part.columns
            if unsafe dx.adds {
              unsafe kernels.pointee.add(to, from, part.columns)
            } else {
              unsafe to.update(from: from, count: part.columns)
            }
          }
        }
      }
      releaseGradient(output)
    }
    return output
  }

  /// Some rows of a tensor in the given order, each at most once if the tensor needs a gradient.
  ///
  /// - Parameters:
  ///   - rows: Row indices of `x`, one for each row of `space`.
  public func gather(_ x: Tensor, rows: [Int32], as space: RowSpace) -> Tensor {
    precondition(rows.count == space.count, "\(rows.count) rows for \(space.count)")
    precondition(rows.allSatisfy { $0 >= 0 && Int($0) < x.rows }, "a row out of \(x.rows)")
    let columns = x.columns
    let output = makeTensor(in: space, columns: columns, needsGradient: x.needsGradient)
    forEachBlock(of: space) { block in
      for row in block {
        unsafe (output.base + row * columns).update(
          from: x.base + Int(rows[row]) * columns, count: columns)
      }
    }
    inspect(output, of: "gather")
    if x.needsGradient {
      record("gather", bytes: traffic(x, 1) + traffic(output, 3)) { [self] in
        guard let dy = unsafe arrivedGradient(output) else { return }
        let dx = unsafe claimGradient(x)
        if unsafe !dx.adds {
          forEachBlock(of: x.space) { block in
            unsafe (dx.pointer + block.lowerBound * columns).update(
              repeating: 0, count: block.count * columns)
          }
        }
        forEachBlock(of: space) { block in
          for row in block {
            unsafe kernels.pointee.add(
              dx.pointer + Int(rows[row]) * columns, dy + row * columns, columns)
          }
        }
        releaseGradient(output)
      }
    }
    return output
  }
}
