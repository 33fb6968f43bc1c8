internal import CKernels

extension Tape {
  /// The longest sequence whose attention weights are kept.
  package static let keptLength = 128

  /// Multi-head attention inside each sequence: `softmax(q·kᵀ / √width)·v`, head by head.
  ///
  /// Sequences are runs of rows of unequal length; there is no padding and no mask. Memory is linear in the length:
  /// the weights of sequences up to ``keptLength`` are kept for the backward pass, `heads × length²` floats, and
  /// those of longer ones made again (Dao et al., 2022), from `heads × 2 · length` floats. Without a backward pass
  /// nothing is kept.
  ///
  /// - Parameters:
  ///   - qkv: Shape `[rows, 3 × heads × width]`: query, key and value beside each other.
  ///   - sequenceBounds: Row bounds of the sequences, from 0 to the row count.
  ///   - rate: How often an attention weight is dropped.
  /// - Returns: Shape `[rows, heads × width]`.
  public func attention(
    _ qkv: Tensor, heads: Int, sequenceBounds: [Int], dropout rate: Float = 0
  ) -> Tensor {
    precondition(qkv.columns % (3 * heads) == 0, "\(qkv.columns) columns in \(heads) heads")
    precondition(sequenceBounds.last == qkv.rows, "sequences end at \(qkv.rows)")
    let model = qkv.columns / 3
    let width = model / heads
    let space = qkv.space
    let dropout = nextDropout(rate: rate)
    precondition(
      dropout.threshold == 0 || space.count == 0 || !space.places.isEmpty,
      "dropout over rows without places")
    let output = makeTensor(in: space, columns: model, needsGradient: qkv.needsGradient)
    let sequences = sequenceBounds.count - 1
    // Where what is kept of each sequence begins: so many floats for each of its rows and heads.
    let keeps = output.needsGradient
    func kept(_ length: Int) -> Int { !keeps ? 0 : length <= Self.keptLength ? length : 2 }
    var weightBounds = [0]
    var longest = 0
    for index in 0..<sequences {
      let length = sequenceBounds[index + 1] - sequenceBounds[index]
      weightBounds.append(weightBounds[index] + heads * length * kept(length))
      longest = max(longest, length)
    }
    let memory = unsafe workspace.arena.take(weightBounds[sequences])
    unsafe workspace.reserveScratch(kernels.pointee.attention_scratch(longest, width))

    // One head of one sequence, as the kernels take it.
    func withHead(
      _ task: Int, _ worker: Int, _ body: (UnsafePointer<ck_attention>, _ row: Int, Int) -> Void
    ) {
      let (sequence, head) = (task / heads, task % heads)
      let first = sequenceBounds[sequence]
      let length = sequenceBounds[sequence + 1] - first
      if length == 0 { return }
      let own = unsafe memory + weightBounds[sequence] + head * length * kept(length)
      let base = unsafe qkv.base + first * qkv.columns + head * width
      unsafe space.places.withUnsafeBufferPointer { places in
        var one = unsafe ck_attention(
          length: length, width: width, stride: qkv.columns, out_stride: model, q: base,
          k: base + model, v: base + 2 * model, scale: 1 / Float(width).squareRoot(),
          probs: keeps && length <= Self.keptLength ? own : nil,
          stats: keeps && length > Self.keptLength ? own : nil,
          dropout: dropout,
          places: places.isEmpty ? nil : places.baseAddress.map { unsafe $0 + first },
          head: UInt32(head), scratch: workspace.scratch(of: worker))
        unsafe body(&one, first, head)
      }
    }

    let name = "attention \(heads) × \(width)"
    let product = (0..<sequences).reduce(0.0) { sum, index in
      let length = Double(sequenceBounds[index + 1] - sequenceBounds[index])
      return sum + 2 * length * length * Double(model)
    }
    workspace.measured(name, flops: 2 * product) {
      pool.run(sequences * heads) { task, worker in
        unsafe withHead(task, worker) { one, row, head in
          unsafe kernels.pointee.attention_forward(one, output.base + row * model + head * width)
        }
      }
    }
    inspect(output, of: name)
    guard qkv.needsGradient else { return output }
    record(name, flops: 4 * product) { [self] in
      guard let dy = unsafe arrivedGradient(output) else { return }
      let dqkv = unsafe claimGradient(qkv)
      precondition(unsafe !dqkv.adds, "the input of an attention has another use")
      unsafe workspace.reserveScratch(kernels.pointee.attention_scratch(longest, width))
      pool.run(sequences * heads) { task, worker in
        unsafe withHead(task, worker) { one, row, head in
          let to = unsafe dqkv.pointer + row * qkv.columns + head * width
          unsafe kernels.pointee.attention_backward(
            one, dy + row * model + head * width, to, to + model, to + 2 * model)
        }
      }
      releaseGradient(output)
    }
    return output
  }
}
