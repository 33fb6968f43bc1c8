public import Tensors

/// What a paper changes: how a batch becomes terms of a loss and their gradient.
///
/// A method is a value that knows its model's parts. In every step the loop calls, in this order, ``prepare(_:in:)`` and
/// ``weights(of:)`` of each pass's batch, adds the weights over all ranks, calls ``tableRows(of:)``, and then
/// ``accumulate(_:_:)`` for each pass.
public protocol TrainingMethod<Batch>: Sendable {
  associatedtype Batch: StepBatch

  /// The terms of the loss, the same on every rank and in every step.
  var terms: [MethodTerm] { get }

  /// Whether a pass is one shard, whatever `max_tokens_per_pass` says: for methods that work on one item after the other,
  /// whose gradients then add up in the order of items, and over shards along the tree.
  var worksByShard: Bool { get }

  /// Completes a batch with what other models say of it, before anything is recorded. The memory of the workspace is free.
  func prepare(_ batch: inout Batch, in workspace: Workspace)

  /// The weight of each term, before any forward pass: in each segment of the batch, shape `[terms][segments]`, or of a term
  /// of item scope in each item, shape `[terms][items]`.
  func weights(of batch: Batch) -> [[Double]]

  /// The rows that a batch uses of each table of the layout in what ``accumulate(_:_:)`` leaves, each once, ascending. Shape
  /// `[tables][rows]`.
  func tableRows(of batch: Batch) -> [[Int32]]

  /// Whether a pass reads other rows than those: inner loops do.
  var readsMoreRows: Bool { get }

  /// The rows that a batch reads of each table, in the same shape, if ``readsMoreRows``. Where ranks update shares of the
  /// tables, a rank has no others.
  func rowsRead(of batch: Batch) -> [[Int32]]

  /// Runs the forward pass and records the terms. Several terms may have one name; they share a weight.
  ///
  /// - Parameter bySegment: Whether sums are to be formed for each segment; otherwise the batch may be
  ///   worked on as one.
  func record(_ batch: Batch, bySegment: Bool, on tape: Tape)

  /// Leaves the gradient of a pass in its buffer. By default records on one tape and runs it backwards; a method with inner
  /// loops says itself which tapes it makes, see ``Pass``.
  func accumulate(_ batch: Batch, _ pass: Pass)
}

extension TrainingMethod {
  public var worksByShard: Bool { false }

  public var readsMoreRows: Bool { false }

  public func rowsRead(of batch: Batch) -> [[Int32]] { tableRows(of: batch) }

  public func prepare(_ batch: inout Batch, in workspace: Workspace) {}

  /// For methods that say what a pass does: nobody asks them for terms on a tape.
  public func record(_ batch: Batch, bySegment: Bool, on tape: Tape) {
    preconditionFailure("\(Self.self) records nothing by itself")
  }

  public func accumulate(_ batch: Batch, _ pass: Pass) {
    let tape = pass.tape()
    record(batch, bySegment: pass.bySegment, on: tape)
    pass.backward(tape)
  }
}

/// A named part of a method's loss.
public struct MethodTerm: Sendable, Equatable {
  /// What a term's sum is divided by.
  public enum Scope: Sendable {
    /// Its weight over the whole step, all ranks together.
    case step
    /// Each item's sum by the item's own weight, and their sum by the number of items that have one.
    case item
  }

  public var name: String
  /// What the term counts in the loss.
  public var coefficient: Double
  public var scope: Scope

  public init(_ name: String, coefficient: Double = 1, scope: Scope = .step) {
    self.name = name
    self.coefficient = coefficient
    self.scope = scope
  }
}
