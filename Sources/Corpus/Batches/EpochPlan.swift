import Determinism

/// The steps of one epoch: which sentences each works on.
public struct EpochPlan: Sendable, Equatable {
  public let epoch: Int
  /// All draws of the epoch, in order.
  public let draws: [ItemReference]
  /// Bounds of the steps in `draws`. Shape `[steps + 1]`.
  public let stepBounds: [Int]

  /// Draws an epoch, from 0: a pure function of its arguments.
  ///
  /// - Complexity: O(sentences drawn + sentences of the languages drawn from).
  public init(_ sampling: StageSampling, epoch: Int) {
    precondition(epoch >= 0, "epoch \(epoch)")
    var draws: [ItemReference] = []
    draws.reserveCapacity(sampling.epochLength)
    for language in sampling.sentenceCounts.indices {
      for sentence in sampling.draws(ofLanguage: language, epoch: epoch) {
        draws.append(ItemReference(language: language, index: Int(sentence)))
      }
    }
    var random = RandomStream(
      seed: sampling.seed, "mix", .number(sampling.stage), .number(epoch))
    random.shuffle(&draws)

    self.epoch = epoch
    self.draws = draws
    stepBounds = EpochPlan.stepBounds(of: draws, sampling)
  }

  private static func stepBounds(of draws: [ItemReference], _ sampling: StageSampling) -> [Int] {
    var bounds = [0]
    switch sampling.stepSize {
    case .sentences(let size):
      while let last = bounds.last, last < draws.count {
        bounds.append(last + min(size, draws.count - last))
      }
    case .tokens(let budget):
      var filled = 0
      for (index, draw) in draws.enumerated() {
        let tokens = Int(sampling.tokenCounts[draw.language][draw.index])
        if filled > 0, filled + tokens > budget {
          bounds.append(index)
          filled = 0
        }
        filled += tokens
      }
      bounds.append(draws.count)
    }
    return bounds
  }

  public var stepCount: Int { stepBounds.count - 1 }

  /// The sentences of a step, counted from the first of the epoch.
  public subscript(step: Int) -> ArraySlice<ItemReference> {
    draws[stepBounds[step]..<stepBounds[step + 1]]
  }
}

/// The steps of a stage, epoch after epoch without end.
///
/// A value that keeps the epoch last asked for, so that going through the steps in order draws each epoch
/// once. Memory is that of one epoch.
public struct StagePlan: Sendable {
  public let sampling: StageSampling
  private var current: EpochPlan
  /// The first step of each epoch whose predecessors have been drawn; steps filled by tokens are not
  /// equally many in every epoch.
  private var starts = [0]

  public init(_ sampling: StageSampling) {
    self.sampling = sampling
    current = EpochPlan(sampling, epoch: 0)
  }

  /// The sentences of step `step` of the stage, from 0, in an order that is part of the plan.
  public mutating func sentences(ofStep step: Int) -> ArraySlice<ItemReference> {
    let (epoch, index) = place(ofStep: step)
    load(epoch)
    return current[index]
  }

  /// The epoch of a step, and its index in it.
  ///
  /// - Complexity: O(1) if steps are filled by sentences; else every epoch before it is drawn once.
  public mutating func place(ofStep step: Int) -> (epoch: Int, index: Int) {
    precondition(step >= 0, "step \(step)")
    if case .sentences = sampling.stepSize {
      let (epoch, index) = step.quotientAndRemainder(dividingBy: current.stepCount)
      return (epoch, index)
    }
    while let last = starts.last, last <= step { extendStarts() }
    var epoch = starts.count - 2
    while starts[epoch] > step { epoch -= 1 }
    return (epoch, step - starts[epoch])
  }

  /// The steps of `epochs` epochs from the first, at most 10⁹; a part of an epoch is rounded up to whole
  /// steps.
  public mutating func stepCount(epochs: Double) -> Int {
    precondition(epochs >= 0 && epochs <= 1e9, "\(epochs) epochs")
    let whole = Int(epochs.rounded(.down))
    let part = epochs - Double(whole)
    let full = firstStep(ofEpoch: whole)
    guard part > 0 else { return full }
    let next = firstStep(ofEpoch: whole + 1) - full
    return full + Int((part * Double(next)).rounded(.up))
  }

  /// The index of an epoch's first step.
  public mutating func firstStep(ofEpoch epoch: Int) -> Int {
    if case .sentences = sampling.stepSize { return epoch * current.stepCount }
    while starts.count <= epoch { extendStarts() }
    return starts[epoch]
  }

  /// How many sentences of each language the first `steps` steps draw, for the ledger.
  public mutating func drawCounts(steps: Int) -> [Int] {
    let (epoch, index) = place(ofStep: steps)
    var counts = sampling.drawsPerEpoch.map { $0 * epoch }
    guard index > 0 else { return counts }
    load(epoch)
    for draw in current.draws[..<current.stepBounds[index]] { counts[draw.language] += 1 }
    return counts
  }

  private mutating func extendStarts() {
    load(starts.count - 1)
    starts.append(starts[starts.count - 1] + current.stepCount)
  }

  private mutating func load(_ epoch: Int) {
    if current.epoch != epoch { current = EpochPlan(sampling, epoch: epoch) }
  }
}
