internal import CKernels
import Determinism

/// A matrix of a step: rows of a ``RowSpace``, row-major, in the memory of a ``Workspace``.
///
/// Valid until the workspace's memory is reset at the next step.
@safe public struct Tensor {
  public let space: RowSpace
  public let columns: Int
  /// Whether a gradient flows back through it.
  public let needsGradient: Bool
  let index: Int
  let base: UnsafeMutablePointer<Float>

  public var rows: Int { space.count }
  public var count: Int { rows * columns }

  /// The elements, row-major, of shape `[rows, columns]`.
  public func withSpan<Result, Failure: Error>(
    _ body: (Span<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let span = unsafe Span(_unsafeStart: UnsafePointer(base), count: count)
    return try body(span)
  }

  /// The elements as an array, for tests and for results that outlive the step.
  public var array: [Float] {
    withSpan { span in span.indices.map { span[$0] } }
  }
}

/// Names the random numbers of one forward and backward pass.
public struct DropoutKey: Sendable {
  let word0: UInt32
  let word1: UInt32

  /// - Parameters:
  ///   - pass: Tells passes over the same step apart, for methods that make several.
  public init(seed: UInt64, stage: Int, step: Int, pass: Int) {
    var stream = RandomStream(
      seed: seed, ["dropout", .number(stage), .number(step), .number(pass)])
    let key = stream.next()
    word0 = UInt32(truncatingIfNeeded: key)
    word1 = UInt32(truncatingIfNeeded: key >> 32)
  }
}

/// Records the operations of a forward pass over a ``ParameterSet`` and runs them backwards.
///
/// Each operation is written by hand, forward and backward. A tape without a gradient buffer records
/// nothing. A tape without a dropout key drops nothing. Use a tape for one pass.
@safe public final class Tape {
  public let workspace: Workspace
  public let parameters: ParameterSet
  /// Where the backward pass leaves the gradient of the parameters.
  public let gradients: GradientBuffer?
  /// The terms of the loss, in the order in which they were recorded.
  public private(set) var terms: [LossTerm] = []
  let dropoutKey: DropoutKey?
  private var dropoutCount: UInt32 = 0
  private var nodes: [() -> Void] = []
  /// How many recorded operations have still to write to the gradient of each entry.
  private var writers: [Int]
  /// Called in the backward pass, once with each entry, when nothing will write to its gradient any more.
  public var whenFinal: ((_ entry: Int) -> Void)?
  /// Called in the forward pass before an operation reads the weights of these entries, tables apart.
  public var whenRead: ((_ entries: Range<Int>) -> Void)?
  /// Looks at what every operation leaves, if there is one.
  public var check: TapeCheck?
  /// By the entry of a decoder's table, what forms its gradient together with that of the embedding.
  var tiedDecoders: [Int: (_ uses: EmbeddingUses?) -> Void] = [:]
  private var slots: [UnsafeMutablePointer<Float>?] = unsafe []
  private var spare: [Int: [UnsafeMutablePointer<Float>]] = unsafe [:]

  public init(
    workspace: Workspace, parameters: ParameterSet, gradients: GradientBuffer? = nil,
    dropout: DropoutKey? = nil
  ) {
    precondition(
      gradients.map { $0.layout == parameters.layout } ?? true, "a gradient of another layout")
    self.workspace = workspace
    self.parameters = parameters
    self.gradients = gradients
    dropoutKey = dropout
    writers = parameters.layout.entries.map { _ in 0 }
    workspace.arena.reset()
  }

  /// A tensor with the given values, of shape `[space.count, columns]`.
  ///
  /// With `needsGradient`, ``gradient(of:)`` tells its gradient after the backward pass.
  public func constant(
    _ values: [Float], in space: RowSpace, columns: Int, needsGradient: Bool = false
  ) -> Tensor {
    precondition(
      values.count == space.count * columns, "\(values.count) for \(space.count) × \(columns)")
    let tensor = makeTensor(
      in: space, columns: columns, needsGradient: needsGradient && gradients != nil)
    for (index, value) in values.enumerated() { unsafe tensor.base[index] = value }
    return tensor
  }

  /// Runs all recorded operations backwards, each term of the loss weighted by its seed.
  ///
  /// Entries of the parameters that no operation used have zero gradient afterwards.
  public func backward() {
    guard let gradients else { preconditionFailure("a tape without a gradient buffer") }
    // Entries that nothing writes to are final too, once they are zero.
    for entry in writers.indices where writers[entry] == 0 { finish(entry) }
    for node in nodes.reversed() { node() }
    nodes = []
    gradients.zeroUntouched()
  }

  /// Runs operations that turn `x` into a tensor of its shape. Where nothing of them is to be learned, in inference
  /// or in frozen layers, the memory of all that stands between is used again: a pass then needs that of one such
  /// part, not of all.
  public func part(_ x: Tensor, _ body: (Tensor) -> Tensor) -> Tensor {
    let mark = workspace.arena.mark
    let y = body(x)
    precondition(y.rows == x.rows && y.columns == x.columns, "a part keeps its shape")
    if y.needsGradient { return y }
    workspace.arena.rewind(to: mark)
    let kept = makeTensor(in: y.space, columns: y.columns, needsGradient: false)
    unsafe kept.base.update(from: y.base, count: y.count)  // the two may overlap
    return kept
  }

  /// The gradient of a tensor, once the backward pass is over; nil if none flowed to it. Only of
  /// tensors made by ``constant(_:in:columns:needsGradient:)``; the memory of others is used again.
  public func gradient(of tensor: Tensor) -> [Float]? {
    guard let base = unsafe slots[tensor.index] else { return nil }
    return (0..<tensor.count).map { unsafe base[$0] }
  }

  // MARK: What operations are made of

  var kernels: UnsafePointer<ck_table> { unsafe workspace.kernels.raw }
  var pool: ThreadPool { workspace.pool }

  /// The weights of a parameter, to be read from now on.
  func weights(of parameter: Parameter) -> UnsafePointer<Float> {
    whenRead?(parameter.entries)
    check?.weights(parameter, of: parameters)
    return unsafe parameters.pointer(parameter)
  }

  func makeTensor(in space: RowSpace, columns: Int, needsGradient: Bool) -> Tensor {
    unsafe slots.append(nil)
    return unsafe Tensor(
      space: space, columns: columns, needsGradient: needsGradient, index: slots.count - 1,
      base: workspace.arena.take(space.count * columns))
  }

  /// Records what an operation does backwards, and what that costs.
  ///
  /// - Parameter parameters: Those whose gradient it may write to.
  func record(
    _ name: @autoclosure () -> String, writing parameters: [Parameter] = [], flops: Double = 0,
    isRounded: Bool = false, bytes: Double = 0, _ node: @escaping () -> Void
  ) {
    for parameter in parameters {
      for entry in parameter.entries { writers[entry] += 1 }
    }
    let run: () -> Void
    if let profile = workspace.profile {
      let name = name() + " backward"
      run = {
        profile.measure(name, flops: flops, isRounded: isRounded, bytes: bytes, node)
      }
    } else {
      run = node
    }
    let checked = check.map { ($0, name() + " backward", $0.scope) }
    nodes.append { [self] in
      run()
      if let (check, name, scope) = checked {
        check.ran(name, scope: scope, writing: parameters, on: self)
      }
      for parameter in parameters {
        for entry in parameter.entries {
          writers[entry] -= 1
          if writers[entry] == 0 { finish(entry) }
        }
      }
    }
  }

  /// Whether, in the backward pass, another operation than the one that runs will write to a parameter's gradient.
  func hasOtherWriters(_ parameter: Parameter) -> Bool {
    parameter.entries.contains { writers[$0] > 1 }
  }

  /// Nothing writes to the gradient of this entry any more.
  private func finish(_ entry: Int) {
    gradients?.zeroUntouched(CollectionOfOne(entry))
    whenFinal?(entry)
  }

  /// The bytes that `passes` reads or writes of a matrix move.
  func traffic(_ tensor: Tensor, _ passes: Int) -> Double { Double(4 * tensor.count * passes) }

  func record(_ term: LossTerm) {
    terms.append(term)
    check?.loss(term)
  }

  func isTrained(_ parameter: Parameter) -> Bool { gradients?.isTrained(parameter) ?? false }

  /// The gradient that has arrived at a tensor.
  func arrivedGradient(_ tensor: Tensor) -> UnsafeMutablePointer<Float>? {
    unsafe slots[tensor.index]
  }

  /// Memory for a gradient of `tensor`, and whether it holds a part of it already, to be added to.
  func claimGradient(_ tensor: Tensor) -> (pointer: UnsafeMutablePointer<Float>, adds: Bool) {
    check?.writes(tensor)
    if let base = unsafe slots[tensor.index] { return unsafe (base, true) }
    let base = unsafe takeSpare(tensor.count)
    unsafe slots[tensor.index] = base
    return unsafe (base, false)
  }

  /// Hands the gradient memory of `source`, all used, on to `target` of equal count. False if the
  /// target has a part of its gradient already.
  func moveGradient(from source: Tensor, to target: Tensor) -> Bool {
    precondition(source.count == target.count, "\(source.count) floats for \(target.count)")
    guard unsafe slots[target.index] == nil else { return false }
    check?.writes(target)
    unsafe slots[target.index] = slots[source.index]
    unsafe slots[source.index] = nil
    return true
  }

  /// Gives back the gradient memory of a tensor whose operation has run backwards.
  func releaseGradient(_ tensor: Tensor) {
    guard let base = unsafe slots[tensor.index] else { return }
    unsafe spare[Self.sizeClass(tensor.count), default: []].append(base)
    unsafe slots[tensor.index] = nil
  }

  private func takeSpare(_ count: Int) -> UnsafeMutablePointer<Float> {
    if let base = unsafe spare[Self.sizeClass(count)]?.popLast() { return unsafe base }
    return unsafe workspace.arena.take(count)
  }

  private static func sizeClass(_ count: Int) -> Int { (max(count, 1) + 15) / 16 }

  /// The random numbers of the next place that drops with `rate`.
  func nextDropout(rate: Float) -> ck_dropout {
    precondition(rate >= 0 && rate < 1, "a dropout rate of \(rate)")
    defer { dropoutCount += 1 }
    guard let key = dropoutKey, rate > 0 else {
      return ck_dropout(key0: 0, key1: 0, op: 0, threshold: 0, scale: 1)
    }
    return ck_dropout(
      key0: key.word0, key1: key.word1, op: dropoutCount,
      threshold: UInt32(min(Double(rate) * 0x1p32, 0x1p32 - 1)), scale: 1 / (1 - rate))
  }

  /// Runs `body` for blocks of rows, on the threads of the rank. For work that gives a row the same bits wherever
  /// the rows are cut.
  func forEachBlock(of space: RowSpace, _ body: (Range<Int>) -> Void) {
    let share = (space.count + 4 * pool.workers - 1) / (4 * pool.workers)
    let height = min(192, max(8, (share + 7) / 8 * 8))
    let rows = 0..<space.count
    pool.run(rows.partCount(of: height)) { task, _ in body(rows.part(task, of: height)) }
  }
}
