internal import CKernels
import Determinism

/// The numbers of AdamW that hold for all parameters.
public struct AdamW: Sendable, Equatable {
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double

  public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
  }
}

/// The moments of AdamW and how many updates made them, beside a ``ParameterSet`` of the same layout.
public struct AdamWState: Sendable {
  public let layout: ParameterLayout
  /// The updates made so far.
  public var step = 0
  public let firstMoments: FloatBuffer
  public let secondMoments: FloatBuffer

  public init(layout: ParameterLayout) {
    self.layout = layout
    firstMoments = FloatBuffer(count: layout.count)
    secondMoments = FloatBuffer(count: layout.count)
  }
}

extension AdamW {
  /// Updates each trained parameter, as PyTorch's unfused AdamW (Loshchilov and Hutter, 2019).
  ///
  /// Cost: reads and writes weights and both moments, reads gradients, once each.
  ///
  /// - Parameters:
  ///   - gradientScale: What gradients are multiplied by first, for clipping.
  ///   - rates: The learning rate and the weight decay of each entry of the layout.
  public func update(
    _ parameters: inout ParameterSet, _ gradients: GradientBuffer, _ state: inout AdamWState,
    gradientScale: Float, rates: [(learningRate: Double, weightDecay: Double)],
    in workspace: Workspace
  ) {
    let layout = parameters.layout
    precondition(layout == gradients.layout && layout == state.layout, "layouts differ")
    precondition(rates.count == layout.entries.count, "\(rates.count) rates")
    parameters.makeUnique()
    parameters.markChanged()
    state.step += 1
    let bias1 = 1 - power(beta1, state.step)
    let bias2 = 1 - power(beta2, state.step)
    let block = 1 << 16
    var tasks: [(entry: Int, start: Int, count: Int)] = []
    for (index, entry) in layout.entries.enumerated() where gradients.trained[index] {
      for start in stride(from: 0, to: entry.count, by: block) {
        tasks.append((index, entry.offset + start, min(block, entry.count - start)))
      }
    }
    let weights = unsafe parameters.storage.base
    let table = unsafe workspace.kernels.raw
    let (first, second) = unsafe (state.firstMoments.base, state.secondMoments.base)
    workspace.pool.run(tasks.count) { task, _ in
      let (entry, start, count) = tasks[task]
      var with = ck_adamw(
        grad_scale: gradientScale, lr: rates[entry].learningRate, beta1: beta1, beta2: beta2,
        eps: epsilon, decay: rates[entry].weightDecay, bias1: bias1, bias2: bias2)
      unsafe table.pointee.adamw(
        weights + start, gradients.storage.base + start, first + start, second + start, count,
        &with)
    }
  }

  private func power(_ base: Double, _ exponent: Int) -> Double {
    var result = 1.0
    var (square, rest) = (base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }
}

extension GradientBuffer {
  /// The Euclidean norm of the gradient of all trained entries, in `Double`: blocks of fixed size, folded
  /// along a fixed tree. Not finite if any element is not.
  public func norm(in workspace: Workspace) -> Double {
    let block = 1 << 14
    var blocks: [(start: Int, count: Int)] = []
    for (index, entry) in layout.entries.enumerated() where trained[index] {
      for start in stride(from: 0, to: entry.count, by: block) {
        blocks.append((entry.offset + start, min(block, entry.count - start)))
      }
    }
    if blocks.isEmpty { return 0 }
    var sums = [Double](repeating: 0, count: blocks.count)
    let table = unsafe workspace.kernels.raw
    unsafe sums.withUnsafeMutableBufferPointer { sums in
      let to = sums.baseAddress
      workspace.pool.run(blocks.count) { task, _ in
        unsafe to?[task] = table.pointee.sum_of_squares(
          storage.base + blocks[task].start, blocks[task].count)
      }
    }
    return FoldTree.fold(sums.count, leaf: { sums[$0] }, combine: +).squareRoot()
  }
}
