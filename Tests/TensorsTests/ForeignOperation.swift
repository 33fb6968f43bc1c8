import Tensors

// An operation from outside of Tensors, written with what the package sees of a tape alone. It is one of the cases that all
// tests of gradients and bits run.

extension Tape {
  /// `x[t, k] · s[k]`: each column by a factor of its own.
  ///
  /// - Parameters:
  ///   - x: Shape `[rows, columns]`.
  ///   - scale: s, shape `[columns]`.
  func scaledColumns(_ x: Tensor, _ scale: Parameter) -> Tensor {
    precondition(scale.count == x.columns, "\(scale.count) factors for \(x.columns) columns")
    let columns = x.columns
    let needsGradient = gradients != nil && (x.needsGradient || isTrained(scale))
    let output = makeTensor(in: x.space, columns: columns, needsGradient: needsGradient)
    let factors = unsafe weights(of: scale)
    forEachBlock(of: x.space) { rows in
      for index in rows.lowerBound * columns..<rows.upperBound * columns {
        unsafe output.base[index] = x.base[index] * factors[index % columns]
      }
    }
    inspect(output, of: "scaled columns", reading: [scale])
    guard needsGradient else { return output }
    record("scaled columns", writing: [scale], bytes: traffic(x, 4)) { [self] in
      guard let dy = unsafe arrivedGradient(output) else { return }
      unsafe foldColumns(of: x.space, into: scale) { rows, part, sum in
        for column in part {
          var total: Float = 0
          for row in rows {
            unsafe total += dy[row * columns + column] * x.base[row * columns + column]
          }
          unsafe sum[column - part.lowerBound] = total
        }
      }
      if x.needsGradient {
        let factors = unsafe weights(of: scale)
        let dx = unsafe claimGradient(x)
        forEachBlock(of: x.space) { rows in
          for index in rows.lowerBound * columns..<rows.upperBound * columns {
            let value = unsafe dy[index] * factors[index % columns]
            unsafe dx.pointer[index] = dx.adds ? dx.pointer[index] + value : value
          }
        }
      }
      releaseGradient(output)
    }
    return output
  }
}
