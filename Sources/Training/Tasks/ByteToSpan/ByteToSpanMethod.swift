public import Tensors

/// The cross entropy of the outputs that say a window's spans, each given the wanted ones before it: summed over a window, a
/// mean over windows.
public struct ByteToSpanMethod: TrainingMethod {
  let network: ByteToSpanNetwork

  package init(network: ByteToSpanNetwork) { self.network = network }

  public var terms: [MethodTerm] { [MethodTerm("spans")] }

  public func weights(of batch: SpanBatch) -> [[Double]] {
    [
      zip(batch.segmentBounds, batch.segmentBounds.dropFirst()).map { Double($1 - $0) }
    ]
  }

  public func tableRows(of batch: SpanBatch) -> [[Int32]] { [] }

  public func record(_ batch: SpanBatch, bySegment: Bool, on tape: Tape) {
    tape.crossEntropy(
      network.logits(batch, bySegment: bySegment, on: tape), targets: batch.targets, named: "spans")
  }

  /// The scores of the outputs that a batch wants, row-major, of shape `[outputs, vocabulary]`.
  package func logits(
    _ batch: SpanBatch, _ parameters: ParameterSet, in workspace: Workspace
  ) -> [Float] {
    let tape = Tape(workspace: workspace, parameters: parameters)
    return network.logits(batch, bySegment: false, on: tape).array
  }

  /// The outputs of each window by greedy search: step after step the likeliest one, up to STOP or the most that spans can
  /// need. Of equal ones the lower id is taken.
  ///
  /// A step of the decoder goes on from the states of the step before, over the windows that have not stopped.
  package func outputs(
    _ batch: SpanBatch, _ parameters: ParameterSet, in workspace: Workspace
  ) -> [[Int32]] {
    let vocabulary = network.vocabulary
    let (bytes, _, windows) = batch.spaces(bySegment: false)
    let encoder = Tape(workspace: workspace, parameters: parameters)
    var carried = CarriedStates(network.encoded(batch, bytes, windows, on: encoder))
    var outputs = [[Int32]](repeating: [], count: batch.count)
    var open = Array(0..<batch.count)
    for _ in 0..<vocabulary.longestSequence where !open.isEmpty {
      let tape = Tape(workspace: workspace, parameters: parameters)
      let space = RowSpace(segmentBounds: [0, open.count])
      let (logits, states) = network.decoded(
        open.map { outputs[$0].last ?? vocabulary.go }, bounds: Array(0...open.count), space, space,
        from: carried.tensors(in: space, on: tape), on: tape)
      for (window, output) in zip(open, Self.likeliest(logits)) { outputs[window].append(output) }
      let rows = open.indices.filter { outputs[open[$0]].last != vocabulary.stop }
      carried = CarriedStates(states, rows: rows, on: tape)
      open = rows.map { open[$0] }
    }
    return outputs
  }

  /// The column of the highest value of each row; of equal ones the lowest.
  private static func likeliest(_ logits: Tensor) -> [Int32] {
    let columns = logits.columns
    return logits.withSpan { scores in
      (0..<logits.rows).map { row in
        var best = 0
        for column in 1..<columns
        where scores[row * columns + column] > scores[row * columns + best] {
          best = column
        }
        return Int32(best)
      }
    }
  }
}

/// What the decoder takes from a step to the next, whose tape has memory of its own: of each layer the states and the cells
/// of the windows, row-major.
private struct CarriedStates {
  private var layers: [(states: [Float], cells: [Float])]
  private let units: Int

  init(_ states: [LSTMStates]) {
    layers = states.map { ($0.last.array, $0.lastCells.array) }
    units = states[0].last.columns
  }

  /// Some rows of the states.
  init(_ states: [LSTMStates], rows: [Int], on tape: Tape) {
    let space = RowSpace(segmentBounds: [0, rows.count])
    let indices = rows.map { Int32($0) }
    layers = states.map {
      (
        tape.gather($0.last, rows: indices, as: space).array,
        tape.gather($0.lastCells, rows: indices, as: space).array
      )
    }
    units = states[0].last.columns
  }

  func tensors(in space: RowSpace, on tape: Tape) -> [(states: Tensor, cells: Tensor)] {
    layers.map {
      (
        tape.constant($0.states, in: space, columns: units),
        tape.constant($0.cells, in: space, columns: units)
      )
    }
  }
}
