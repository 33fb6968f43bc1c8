package import CKernels
import Determinism

/// A matrix of a step: rows of a ``RowSpace``, row-major, in the memory of a ``Workspace``.
///
/// Valid until its tape gives its memory back, or another one resets the memory of the workspace.
@safe public struct Tensor {
  public let space: RowSpace
  public let columns: Int
  /// Whether a gradient flows back through it.
  public let needsGradient: Bool
  let index: Int
  /// The elements, `[rows, columns]` without gaps, aligned to 64 bytes. The operation that makes a tensor fills them;
  /// others read them. A consumer may overwrite them only if its doc comment says so.
  package let base: UnsafeMutablePointer<Float>

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
///
/// A pass may have several tapes. Those that do not reset the arena are released in the reverse order of their beginnings,
/// and only the tape that began last may record or run backwards. Several tapes may add to one gradient, in the order in
/// which they run backwards; the last of them completes it.
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
  /// Whether the gradient is whole once this tape has run backwards.
  private let completesGradient: Bool
  /// The tape among those that have memory of the workspace.
  private let place: Workspace.TapePlace
  /// How many recorded operations have still to write to the gradient of each entry.
  private var writers: [Int]
  /// Called in the backward pass of a tape that completes the gradient, once with each entry, when nothing will write to
  /// its gradient any more.
  public var whenFinal: ((_ entry: Int) -> Void)?
  /// Called in the forward pass before an operation reads the weights of these entries, tables apart.
  public var whenRead: ((_ entries: Range<Int>) -> Void)?
  /// Looks at what every operation leaves, if there is one.
  public var check: TapeCheck?
  /// By the entry of a decoder's table, what forms its gradient together with that of the embedding.
  var tiedDecoders: [Int: (_ uses: EmbeddingUses?) -> Void] = [:]
  private var slots: [UnsafeMutablePointer<Float>?] = unsafe []
  private var spare: [Int: [UnsafeMutablePointer<Float>]] = unsafe [:]

  /// - Parameters:
  ///   - resetsArena: Whether all memory of earlier tapes is taken back first. Otherwise the tape begins after it, and
  ///     gives its own back with ``release()``.
  ///   - completesGradient: Whether no later tape adds to `gradients`: the backward pass then makes the gradient of entries
  ///     zero that no operation used, and calls ``whenFinal``.
  public init(
    workspace: Workspace, parameters: ParameterSet, gradients: GradientBuffer? = nil,
    dropout: DropoutKey? = nil, resetsArena: Bool = true, completesGradient: Bool = true
  ) {
    precondition(
      gradients.map { $0.layout == parameters.layout } ?? true, "a gradient of another layout")
    self.workspace = workspace
    self.parameters = parameters
    self.gradients = gradients
    dropoutKey = dropout
    writers = parameters.layout.entries.map { _ in 0 }
    self.completesGradient = completesGradient
    place = workspace.beginTape(resettingArena: resetsArena)
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
  /// The tape adds to the gradient that earlier tapes have left since the buffer's reset. If it completes the gradient,
  /// entries that no operation of any tape used have zero gradient afterwards.
  public func backward() {
    guard let gradients else { preconditionFailure("a tape without a gradient buffer") }
    preconditionInnermost()
    // Entries that nothing writes to are final too, once they are zero.
    for entry in writers.indices where writers[entry] == 0 { finish(entry) }
    for node in nodes.reversed() { node() }
    nodes = []
    if completesGradient { gradients.zeroUntouched() }
  }

  /// Gives back the memory of the tape, and drops what it recorded. Its tensors and their gradients must not be read any
  /// more.
  ///
  /// Let go of the tape before you update its parameters: it holds them as a copy does.
  public func release() {
    nodes = []
    tiedDecoders = [:]
    workspace.endTape(place)
  }

  /// Traps if a later tape has memory: that tape's release would take back the memory that this one is about to take.
  private func preconditionInnermost() {
    precondition(workspace.isInnermost(place), "a later tape has still to be released")
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

  // An operation is a method of a tape, in any target of the package. Its forward part makes a tensor, fills it, lets
  // `inspect` look at it, and records what it does backwards if the tensor needs a gradient. Its backward part begins with
  // the gradient that has arrived at the tensor, claims those of its inputs and parameters, writes or adds to each claimed
  // one as the claim says, and releases the first.

  /// The kernels of the workspace. For a task of ``pool`` too.
  package var kernels: UnsafePointer<ck_table> { unsafe workspace.kernels.raw }
  /// The threads that share the work of an operation. Not to be called from a task of its own.
  package var pool: ThreadPool { workspace.pool }

  /// The weights of a parameter, to be read from now on until the operation ends: forward or backward, before or in tasks.
  ///
  /// Rows of a table that is used by rows are read with ``ParameterSet/copyRow(_:of:to:_:)`` instead: a row may lie
  /// elsewhere than its neighbours, and may owe decay.
  package func weights(of parameter: Parameter) -> UnsafePointer<Float> {
    whenRead?(parameter.entries)
    check?.weights(parameter, of: parameters)
    return unsafe parameters.pointer(parameter)
  }

  /// A tensor of unknown content. In the forward part.
  ///
  /// - Parameter needsGradient: Whether an input of the operation needs one, or a parameter of it is trained, and the tape has
  ///   a gradient buffer.
  package func makeTensor(in space: RowSpace, columns: Int, needsGradient: Bool) -> Tensor {
    preconditionInnermost()
    unsafe slots.append(nil)
    return unsafe Tensor(
      space: space, columns: columns, needsGradient: needsGradient, index: slots.count - 1,
      base: workspace.arena.take(space.count * columns))
  }

  /// Records what an operation does backwards, and what that costs. In the forward part, once, if the output needs a
  /// gradient.
  ///
  /// - Parameters:
  ///   - parameters: Those whose gradient it may write to.
  ///   - flops: Multiplications and additions of the backward part, for profiles; `bytes` those that it reads and writes.
  ///   - isRounded: Whether its products round their factors to bf16.
  package func record(
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
  package func hasOtherWriters(_ parameter: Parameter) -> Bool {
    parameter.entries.contains { writers[$0] > 1 }
  }

  /// Nothing writes to the gradient of this entry any more.
  private func finish(_ entry: Int) {
    if !completesGradient { return }
    gradients?.zeroUntouched(CollectionOfOne(entry))
    whenFinal?(entry)
  }

  /// The bytes that `passes` reads or writes of a matrix move.
  package func traffic(_ tensor: Tensor, _ passes: Int) -> Double {
    Double(4 * tensor.count * passes)
  }

  /// Records a term of the loss. In the forward part; its backward part reads the term's seed, and does nothing where that
  /// is 0.
  package func record(_ term: LossTerm) {
    terms.append(term)
    check?.loss(term)
  }

  /// Whether the tape is to leave a gradient of a parameter.
  package func isTrained(_ parameter: Parameter) -> Bool {
    gradients?.isTrained(parameter) ?? false
  }

  /// The gradient that has arrived at a tensor, of its shape; nil if none did. In the backward part, of the operation's
  /// output, which may use the memory for itself.
  package func arrivedGradient(_ tensor: Tensor) -> UnsafeMutablePointer<Float>? {
    unsafe slots[tensor.index]
  }

  /// Memory for a gradient of `tensor`, and whether it holds a part of it already, to be added to; else all of it must be
  /// written. In the backward part, of an input that needs a gradient, once.
  package func claimGradient(_ tensor: Tensor) -> (pointer: UnsafeMutablePointer<Float>, adds: Bool)
  {
    check?.writes(tensor)
    if let base = unsafe slots[tensor.index] { return unsafe (base, true) }
    let base = unsafe takeSpare(tensor.count)
    unsafe slots[tensor.index] = base
    return unsafe (base, false)
  }

  /// Makes the elements of a tensor, which nothing reads any more, its gradient. In the backward part, of an input that
  /// needs a gradient and has no other use, in place of a claim of its gradient.
  package func makeGradient(of tensor: Tensor) {
    precondition(unsafe slots[tensor.index] == nil, "a tensor with another use")
    check?.writes(tensor)
    unsafe slots[tensor.index] = tensor.base
  }

  /// Hands the gradient memory of `source`, all used, on to `target` of equal count. False if the
  /// target has a part of its gradient already. In the backward part, in place of a claim of the target's gradient.
  package func moveGradient(from source: Tensor, to target: Tensor) -> Bool {
    precondition(source.count == target.count, "\(source.count) floats for \(target.count)")
    guard unsafe slots[target.index] == nil else { return false }
    check?.writes(target)
    unsafe slots[target.index] = slots[source.index]
    unsafe slots[source.index] = nil
    return true
  }

  /// Gives back the gradient memory of a tensor. The last of the backward part, of the operation's output.
  package func releaseGradient(_ tensor: Tensor) {
    guard let base = unsafe slots[tensor.index] else { return }
    unsafe spare[Self.sizeClass(tensor.count), default: []].append(base)
    unsafe slots[tensor.index] = nil
  }

  private func takeSpare(_ count: Int) -> UnsafeMutablePointer<Float> {
    if let base = unsafe spare[Self.sizeClass(count)]?.popLast() { return unsafe base }
    return unsafe workspace.arena.take(count)
  }

  private static func sizeClass(_ count: Int) -> Int { (max(count, 1) + 15) / 16 }

  /// The random numbers of the next place that drops with `rate`. In the forward part, whether or not something is dropped,
  /// so that places have the same numbers always.
  package func nextDropout(rate: Float) -> ck_dropout {
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
  /// the rows are cut. In either part.
  package func forEachBlock(of space: RowSpace, _ body: (Range<Int>) -> Void) {
    let share = (space.count + 4 * pool.workers - 1) / (4 * pool.workers)
    let height = min(192, max(8, (share + 7) / 8 * 8))
    let rows = 0..<space.count
    pool.run(rows.partCount(of: height)) { task, _ in body(rows.part(task, of: height)) }
  }
}
