public import Tensors

/// Names the random numbers of one step of a stage.
public struct StepKey: Sendable {
  let seed: UInt64
  let stage: Int
  let step: Int

  public init(seed: UInt64, stage: Int, step: Int) {
    self.seed = seed
    self.stage = stage
    self.step = step
  }

  /// The random numbers of a pass of the step; each item has its own.
  public func dropout(pass: Int) -> DropoutKey {
    DropoutKey(seed: seed, stage: stage, step: step, pass: pass)
  }
}

/// One pass over some shards of a step: what a method works with to leave their gradient in a buffer.
///
/// Usually a method makes one tape, records its terms and calls ``backward(_:item:)``. A method with inner loops makes, for
/// each item in order, ``ownWeights()``, tapes of inner steps over them with gradients of their own, and then an outer tape
/// whose gradient adds to the pass's. The last outer tape says so: only then are entries final, one by one, and on
/// their way to other ranks.
public final class Pass {
  public let workspace: Workspace
  /// Where outer tapes leave the gradient.
  public let gradients: GradientBuffer
  /// Whether sums are to be formed for each segment.
  public let bySegment: Bool
  let terms: [MethodTerm]
  /// Coefficient ÷ weight over the step, or items with a weight in it, of each term; 0 where there is none.
  private let seeds: [Double]
  /// Of terms of item scope, the weights of the pass's items.
  private let itemWeights: [[Double]]
  private let weights: ParameterSet
  private let key: StepKey?
  private let inner: InnerMemory
  private let check: TapeCheck?
  /// Called in the forward pass before weights are read that may still arrive.
  private let whenRead: ((Range<Int>) -> Void)?
  private let whenLossIsNotFinite: () -> Void
  private var whenFinal: ((Int) -> Void)?
  private var tapeIsOut = false
  private var hasBegun = false
  /// The sum of each term in each segment of the pass. Shape `[terms][segments]`.
  private(set) var sums: [[Double]]

  init(
    workspace: Workspace, gradients: GradientBuffer, bySegment: Bool, terms: [MethodTerm],
    seeds: [Double], itemWeights: [[Double]], segments: Int, weights: ParameterSet, key: StepKey?,
    inner: InnerMemory, check: TapeCheck?, whenRead: ((Range<Int>) -> Void)?,
    whenFinal: ((Int) -> Void)?, whenLossIsNotFinite: @escaping () -> Void
  ) {
    self.workspace = workspace
    self.gradients = gradients
    self.bySegment = bySegment
    self.terms = terms
    self.seeds = seeds
    self.itemWeights = itemWeights
    self.weights = weights
    self.key = key
    self.inner = inner
    self.check = check
    self.whenRead = whenRead
    self.whenFinal = whenFinal
    self.whenLossIsNotFinite = whenLossIsNotFinite
    sums = terms.map { _ in [Double](repeating: 0, count: segments) }
  }

  // MARK: Outer tapes

  /// A tape over the step's weights whose gradient adds to the pass's.
  ///
  /// - Parameters:
  ///   - last: Whether it is the pass's last outer tape. No tape of the pass is made after that.
  ///   - number: Tells the random numbers of several tapes over one item apart.
  public func tape(last: Bool = true, number: Int = 0) -> Tape {
    outerTape(over: weights, last: last, number: number)
  }

  /// The same over weights of an inner loop: the gradient is that at the weights where the loop ended, and counts as one of
  /// the step's weights (first-order meta-learning; Finn et al., 2017, section 5.2).
  public func tape(over own: ParameterSet, last: Bool = true, number: Int = 0) -> Tape {
    outerTape(over: own, last: last, number: number)
  }

  private func outerTape(over set: ParameterSet, last: Bool, number: Int) -> Tape {
    precondition(!tapeIsOut, "a tape after the last one of its pass")
    tapeIsOut = last
    let tape = Tape(
      workspace: workspace, parameters: set, gradients: gradients,
      dropout: key?.dropout(pass: number), resetsArena: begins(), completesGradient: last)
    tape.whenRead = whenRead
    if last { tape.whenFinal = whenFinal }
    tape.check = check
    return tape
  }

  /// Whether a tape is the pass's first, with which the memory of the step begins anew.
  private func begins() -> Bool {
    defer { hasBegun = true }
    return !hasBegun
  }

  /// Gives each term of an outer tape its seed, takes up its sums and runs it backwards. The tape's memory is free
  /// afterwards.
  ///
  /// - Parameter item: The item of the batch that the tape is of; nil for all of a pass whose terms are of step scope.
  public func backward(_ tape: Tape, item: Int? = nil) {
    for term in tape.terms {
      guard let place = terms.firstIndex(where: { $0.name == term.name }) else {
        preconditionFailure("a term \(term.name) that the method does not name")
      }
      var divisor = 1.0
      if terms[place].scope == .item {
        guard let item else { preconditionFailure("\(term.name) is of one item: name it") }
        divisor = itemWeights[place][item]
      }
      term.seed = divisor > 0 ? Float(seeds[place] / divisor) : 0
      if !term.segmentSums.allSatisfy(\.isFinite) { whenLossIsNotFinite() }
      for (segment, sum) in term.segmentSums.enumerated() {
        sums[place][segment] += divisor > 0 ? sum / divisor : 0
      }
    }
    tape.backward()
    tape.release()
  }

  // MARK: Inner loops

  /// Weights that begin as the step's and may be changed without changing those: what is not written is shared. All
  /// weights that other ranks have updated are waited for. Give them back with ``release(_:)``.
  public func ownWeights() -> ParameterSet {
    whenRead?(weights.layout.entries.indices)
    return inner.weights(sharing: weights)
  }

  /// Gradients of an inner loop, empty. Give them back with ``release(_:)``.
  public func ownGradients() -> GradientBuffer {
    inner.gradients(like: gradients)
  }

  /// Gives back what an inner loop had, for the next one to use its memory.
  public func release(_ weights: consuming ParameterSet) { inner.keep(weights) }

  /// Gives back what an inner loop had, for the next one to use its memory.
  public func release(_ gradients: GradientBuffer) { inner.keep(gradients) }

  /// A tape of an inner loop, over weights and into gradients of its own. Nothing of it leaves the rank. Call
  /// `backward()`, after its terms have seeds, and then `release()` on it yourself.
  ///
  /// - Parameters:
  ///   - gradients: Nil for a pass that is not run backwards.
  ///   - number: Tells the random numbers of several tapes over one item apart; those of outer tapes are 0 unless they
  ///     say otherwise.
  public func innerTape(
    over weights: ParameterSet, into gradients: GradientBuffer?, number: Int
  ) -> Tape {
    let tape = Tape(
      workspace: workspace, parameters: weights, gradients: gradients,
      dropout: key?.dropout(pass: number), resetsArena: begins())
    tape.whenRead = whenRead
    tape.check = check
    return tape
  }

  // MARK: The loop's side

  /// Calls `body` with each entry when its gradient is final, before other ranks get it.
  package func observe(whenFinal body: @escaping (Int) -> Void) {
    let whenFinal = whenFinal
    self.whenFinal = { entry in
      body(entry)
      whenFinal?(entry)
    }
  }

  /// Tells other ranks that the loss of the pass is not finite, before any entry is final: a fault made on purpose.
  package func lossWillNotBeFinite() { whenLossIsNotFinite() }

  /// Makes the sums of the pass NaN: a fault made on purpose.
  package func spoilLoss() {
    for term in sums.indices { sums[term] = sums[term].map { _ in .nan } }
  }

  /// Ends a pass whose method has made no last tape, as over no items.
  func finish() {
    if tapeIsOut { return }
    let tape = tape()
    tape.backward()
    tape.release()
  }
}

/// The memory of inner loops, kept from pass to pass.
final class InnerMemory {
  private var sets: [ParameterSet] = []
  private var buffers: [GradientBuffer] = []

  func weights(sharing other: ParameterSet) -> ParameterSet {
    guard var set = sets.popLast() else { return ParameterSet(sharing: other) }
    set.reset(sharing: other)
    return set
  }

  func gradients(like other: GradientBuffer) -> GradientBuffer {
    guard let buffer = buffers.popLast() else {
      return GradientBuffer(layout: other.layout, trained: other.trained)
    }
    buffer.reset()
    return buffer
  }

  func keep(_ set: consuming ParameterSet) {
    var set = set
    // The next update is to find nobody else who holds the weights.
    set.endSharing()
    sets.append(set)
  }

  func keep(_ buffer: GradientBuffer) { buffers.append(buffer) }
}
