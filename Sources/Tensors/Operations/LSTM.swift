internal import CKernels

/// The parameters of one direction of a layer of long short-term memory, `units` wide.
///
/// Gates stand in the order of PyTorch's `nn.LSTM`: input, forget, candidate, output. PyTorch adds two biases; here is their
/// sum.
public struct LSTMParameters: Sendable {
  /// Shape `[4 × units, inputs]`.
  public var input: Parameter
  /// Shape `[4 × units, units]`.
  public var hidden: Parameter
  /// Shape `[4 × units]`.
  public var bias: Parameter

  public init(input: Parameter, hidden: Parameter, bias: Parameter) {
    self.input = input
    self.hidden = hidden
    self.bias = bias
  }

  var units: Int { hidden.columns }
}

/// What a layer of long short-term memory gives; of two directions the first one's columns come first.
public struct LSTMStates {
  /// The hidden state at each row. Shape `[rows, directions × units]`.
  public var all: Tensor
  /// The hidden state after the last step of each sequence, which is its first row for the backward direction. Shape
  /// `[sequences, directions × units]`.
  public var last: Tensor
  /// The cells after that step, of the same shape.
  public var lastCells: Tensor
}

extension Tape {
  /// A layer of long short-term memory over packed sequences (Hochreiter and Schmidhuber, 1997; with a forget gate, Gers et
  /// al., 2000), as PyTorch's `nn.LSTM`: the gates are `i, f, o = σ(z)` and `g = tanh(z)` of `z = x·Wᵀ + h·Uᵀ + b`; then
  /// `c′ = f c + i g` and `h′ = o tanh(c′)`.
  ///
  /// Sequences are runs of rows of unequal length; there is no padding. All sequences of a block take a step together, the
  /// longest blocks first, and blocks and directions run on different threads.
  ///
  /// Cost: for a row and a direction, products of `inputs × 4 units` and `units × 4 units`, twice that backward; memory of
  /// `5 units` floats.
  ///
  /// - Parameters:
  ///   - x: Shape `[rows, inputs]`.
  ///   - directions: The forward direction, and the backward one if the layer has it.
  ///   - sequenceBounds: Row bounds of the sequences, from 0 to the row count. A sequence may be empty, and lies in one
  ///     segment.
  ///   - sequences: The space of the sequences, a row each.
  ///   - initial: The state and the cells before the first step, of the shape of ``LSTMStates/last``; 0 where there is none.
  public func lstm(
    _ x: Tensor, _ directions: [LSTMParameters], sequenceBounds: [Int], in sequences: RowSpace,
    initial: (states: Tensor, cells: Tensor)? = nil
  ) -> LSTMStates {
    precondition((1...2).contains(directions.count), "\(directions.count) directions")
    precondition(sequenceBounds.last == x.rows, "sequences end at \(sequenceBounds.last ?? 0)")
    precondition(sequenceBounds.count == sequences.count + 1, "\(sequences.count) sequences")
    let units = directions[0].units
    let columns = directions.count * units
    for tensor in [initial?.states, initial?.cells].compactMap(\.self) {
      precondition(tensor.rows == sequences.count && tensor.columns == columns, "another shape")
    }
    let gates = directions.map { linear(x, $0.input, $0.bias) }
    let needsGradient =
      gates.contains(where: \.needsGradient)
      || gradients != nil
        && (directions.contains { isTrained($0.hidden) } || initial?.states.needsGradient ?? false
          || initial?.cells.needsGradient ?? false)
    let result = LSTMStates(
      all: makeTensor(in: x.space, columns: columns, needsGradient: needsGradient),
      last: makeTensor(in: sequences, columns: columns, needsGradient: needsGradient),
      lastCells: makeTensor(in: sequences, columns: columns, needsGradient: needsGradient))
    let recurrence = unsafe Recurrence(
      gates: gates, cells: workspace.arena.take(x.rows * columns), states: result,
      weights: directions.map(\.hidden), bounds: sequenceBounds, initial: initial, tape: self)
    let name = "lstm \(directions.count) × \(units)"
    let flops = Double(8 * units * columns * x.rows)
    let isRounded = isRounded(directions[0].hidden)
    workspace.measured(name, flops: flops, isRounded: isRounded) { recurrence.forward() }
    for tensor in [result.all, result.last, result.lastCells] {
      inspect(tensor, of: name, reading: directions.map(\.hidden))
    }
    if needsGradient {
      record(
        name, writing: directions.map(\.hidden), flops: 2 * flops, isRounded: isRounded
      ) { recurrence.backward() }
    }
    return result
  }
}

/// The steps of a layer's cells through time.
@safe private struct Recurrence {
  /// Of each direction: first the input's part, then the activations, after the backward pass the gradient. Shape
  /// `[rows, 4 × units]`.
  let gates: [Tensor]
  /// Shape `[rows, directions × units]`.
  let cells: UnsafeMutablePointer<Float>
  let states: LSTMStates
  let weights: [Parameter]
  let bounds: [Int]
  let initial: (states: Tensor, cells: Tensor)?
  let tape: Tape

  private var units: Int { weights[0].columns }
  private var columns: Int { weights.count * units }

  init(
    gates: [Tensor], cells: UnsafeMutablePointer<Float>, states: LSTMStates, weights: [Parameter],
    bounds: [Int], initial: (states: Tensor, cells: Tensor)?, tape: Tape
  ) {
    self.gates = gates
    unsafe self.cells = unsafe cells
    self.states = states
    self.weights = weights
    self.bounds = bounds
    self.initial = initial
    self.tape = tape
  }

  private func length(_ sequence: Int) -> Int { bounds[sequence + 1] - bounds[sequence] }

  /// The row of a sequence's step, counted from 0 in the order of its direction.
  private func row(_ step: Int, of sequence: Int, _ direction: Int) -> Int {
    direction == 0 ? bounds[sequence] + step : bounds[sequence + 1] - 1 - step
  }

  /// The sequences that take their steps together, longest first, in each block and over all of them. Where the bits of a
  /// row depend on those beside it, a block is of one segment and does not follow the threads.
  private func blocks(byRow: Bool) -> [ArraySlice<Int>] {
    func sorted(_ sequences: Range<Int>) -> [Int] {
      sequences.sorted {
        length($0) == length($1) ? $0 < $1 : length($0) > length($1)
      }
    }
    func cut(_ sequences: [Int], _ height: Int) -> [ArraySlice<Int>] {
      stride(from: 0, to: sequences.count, by: height).map {
        sequences[$0..<min($0 + height, sequences.count)]
      }
    }
    let segments = states.last.space.segmentBounds
    if !byRow {
      return zip(segments, segments.dropFirst()).flatMap { cut(sorted($0..<$1), 96) }
    }
    let count = states.last.rows
    let wanted = max(1, 4 * tape.pool.workers / weights.count)
    let height = min(96, max(16, ((count + wanted - 1) / wanted + 15) / 16 * 16))
    return cut(sorted(0..<count), height)
  }

  /// The weights of each direction as right sides: `[units, 4 × units]` forward, `[4 × units, units]` backward.
  private func factors(isForward: Bool) -> [PackedFactor] {
    weights.map { weight in
      unsafe PackedFactor(
        RightFactor(
          base: tape.weights(of: weight), stride: units, isTransposed: isForward),
        depth: isForward ? units : 4 * units, columns: isForward ? 4 * units : units,
        isRounded: tape.isRounded(weight), on: tape)
    }
  }

  /// The elements of a direction in row `row` of a matrix of the layer's columns.
  private func part(
    _ base: UnsafeMutablePointer<Float>, _ row: Int, _ direction: Int
  ) -> UnsafeMutablePointer<Float> {
    unsafe base + row * columns + direction * units
  }

  /// The cells before a step, of the step before or of the beginning; nil where those are 0.
  private func cellsBefore(
    _ step: Int, of sequence: Int, _ direction: Int
  ) -> UnsafeMutablePointer<Float>? {
    if step > 0 { return unsafe part(cells, row(step - 1, of: sequence, direction), direction) }
    return unsafe initial.map { unsafe part($0.cells.base, sequence, direction) }
  }

  func forward() {
    let mark = tape.workspace.arena.mark
    defer { tape.workspace.arena.rewind(to: mark) }
    let factors = self.factors(isForward: true)
    let blocks = self.blocks(byRow: factors[0].isByRow)
    let height = blocks.map(\.count).max() ?? 0
    let left = height * factors[0].leftStride
    tape.workspace.reserveScratch(left + 4 * units * height)
    tape.pool.run(blocks.count * weights.count) { task, worker in
      let (block, direction) = (blocks[task / weights.count], task % weights.count)
      let before = unsafe tape.workspace.scratch(of: worker)
      let sums = unsafe before + left
      unsafe forward(block, direction, factors[direction], before, sums)
    }
  }

  /// - Parameters:
  ///   - before: Memory for the states before a step, as a left side.
  ///   - sums: Memory for their products. Shape `[sequences, 4 × units]`.
  private func forward(
    _ block: ArraySlice<Int>, _ direction: Int, _ factor: PackedFactor,
    _ before: UnsafeMutablePointer<Float>, _ sums: UnsafeMutablePointer<Float>
  ) {
    let first = block.startIndex
    var active = block.count
    for step in 0..<length(block[first]) {
      while active > 0, length(block[first + active - 1]) <= step { active -= 1 }
      let hasBefore = step > 0 || initial != nil
      if step == 0, let initial {
        for place in 0..<active {
          unsafe factor.setRow(
            place, of: before, to: part(initial.states.base, block[first + place], direction))
        }
      }
      if hasBefore { unsafe factor.multiply(before, rows: active, into: sums) }
      for place in 0..<active {
        let sequence = block[first + place]
        let row = row(step, of: sequence, direction)
        let state = unsafe part(states.all.base, row, direction)
        unsafe tape.kernels.pointee.lstm_forward(
          gates[direction].base + row * 4 * units, hasBefore ? sums + place * 4 * units : nil,
          cellsBefore(step, of: sequence, direction), part(cells, row, direction), state, units)
        if step + 1 < length(sequence) {
          unsafe factor.setRow(place, of: before, to: state)
        }
      }
    }
    for sequence in block {
      unsafe copyLast(
        sequence, direction, from: states.all.base, initial?.states, to: states.last)
      unsafe copyLast(sequence, direction, from: cells, initial?.cells, to: states.lastCells)
    }
  }

  /// What a sequence ends with, into a result that has a row for each sequence.
  ///
  /// - Parameter initial: What an empty sequence ends with; nil for 0.
  private func copyLast(
    _ sequence: Int, _ direction: Int, from all: UnsafeMutablePointer<Float>, _ initial: Tensor?,
    to result: Tensor
  ) {
    let to = unsafe part(result.base, sequence, direction)
    if length(sequence) > 0 {
      let row = row(length(sequence) - 1, of: sequence, direction)
      unsafe to.update(from: part(all, row, direction), count: units)
    } else if let initial {
      unsafe to.update(from: part(initial.base, sequence, direction), count: units)
    } else {
      unsafe to.update(repeating: 0, count: units)
    }
  }

  /// Gradients that have arrived at, or leave for, matrices of the layer's columns.
  private typealias Gradient = UnsafeMutablePointer<Float>?

  func backward() {
    let all = unsafe tape.arrivedGradient(states.all)
    let last = unsafe tape.arrivedGradient(states.last)
    let lastCells = unsafe tape.arrivedGradient(states.lastCells)
    if unsafe all == nil && last == nil && lastCells == nil { return }
    for tensor in gates where tensor.needsGradient { tape.makeGradient(of: tensor) }
    let toStates = unsafe initial.flatMap { unsafe claim($0.states) }
    let toCells = unsafe initial.flatMap { unsafe claim($0.cells) }

    let mark = tape.workspace.arena.mark
    let factors = self.factors(isForward: false)
    let blocks = self.blocks(byRow: factors[0].isByRow)
    let height = blocks.map(\.count).max() ?? 0
    let left = height * factors[0].leftStride
    tape.workspace.reserveScratch(left + 2 * units * height)
    tape.pool.run(blocks.count * weights.count) { task, worker in
      let (block, direction) = (blocks[task / weights.count], task % weights.count)
      let scratch = unsafe tape.workspace.scratch(of: worker)
      let ofStates = unsafe scratch + left
      let ofCells = unsafe ofStates + height * units
      unsafe backward(
        block, direction, factors[direction], (all, last, lastCells), scratch, ofStates, ofCells)
      for (place, sequence) in block.enumerated() {
        let isEmpty = length(sequence) == 0
        unsafe add(
          isEmpty ? last.map { unsafe part($0, sequence, direction) } : ofStates + place * units,
          to: toStates, sequence, direction)
        unsafe add(
          isEmpty
            ? lastCells.map { unsafe part($0, sequence, direction) } : ofCells + place * units,
          to: toCells, sequence, direction)
      }
    }
    tape.workspace.arena.rewind(to: mark)

    for (direction, weight) in weights.enumerated() where tape.isTrained(weight) {
      guard let gradients = tape.gradients else { continue }
      let target = unsafe gradients.claim(weight)
      let mark = tape.workspace.arena.mark
      unsafe tape.productBackward(
        statesBefore(direction), tape.weights(of: weight), outputs: 4 * units,
        isRounded: tape.isRounded(weight), gates[direction].base, dx: nil, dw: target)
      tape.workspace.arena.rewind(to: mark)
    }
    for tensor in [states.all, states.last, states.lastCells] { tape.releaseGradient(tensor) }
  }

  /// - Parameters:
  ///   - arrived: The gradients of ``LSTMStates``.
  ///   - left: Memory for the gradients of gates, as a left side.
  ///   - ofStates: Memory for the gradient of the states before a step, at the end before the first one. Shape
  ///     `[sequences, units]`.
  ///   - ofCells: The same of the cells.
  private func backward(
    _ block: ArraySlice<Int>, _ direction: Int, _ factor: PackedFactor,
    _ arrived: (all: Gradient, last: Gradient, lastCells: Gradient),
    _ left: UnsafeMutablePointer<Float>, _ ofStates: UnsafeMutablePointer<Float>,
    _ ofCells: UnsafeMutablePointer<Float>
  ) {
    let first = block.startIndex
    var active = 0
    for step in (0..<length(block[first])).reversed() {
      while active < block.count, length(block[first + active]) > step {
        let sequence = block[first + active]
        unsafe begin(ofStates + active * units, arrived.last, sequence, direction)
        unsafe begin(ofCells + active * units, arrived.lastCells, sequence, direction)
        active += 1
      }
      for place in 0..<active {
        let sequence = block[first + place]
        let row = row(step, of: sequence, direction)
        let gate = unsafe gates[direction].base + row * 4 * units
        unsafe tape.kernels.pointee.lstm_backward(
          gate, part(cells, row, direction), cellsBefore(step, of: sequence, direction),
          arrived.all.map { unsafe part($0, row, direction) }, ofStates + place * units,
          ofCells + place * units, units)
        unsafe factor.setRow(place, of: left, to: gate)
      }
      if step > 0 || initial != nil {
        unsafe factor.multiply(left, rows: active, into: ofStates)
      }
    }
  }

  /// The gradient with which a sequence's backward steps begin: what has arrived at its end.
  private func begin(
    _ to: UnsafeMutablePointer<Float>, _ arrived: Gradient, _ sequence: Int, _ direction: Int
  ) {
    if let arrived = unsafe arrived {
      unsafe to.update(from: part(arrived, sequence, direction), count: units)
    } else {
      unsafe to.update(repeating: 0, count: units)
    }
  }

  /// Memory for the gradient of an initial state, zeros where there was none; nil where none is wanted.
  private func claim(_ tensor: Tensor) -> Gradient {
    guard tensor.needsGradient else { return nil }
    let claimed = unsafe tape.claimGradient(tensor)
    if unsafe !claimed.adds { unsafe claimed.pointer.update(repeating: 0, count: tensor.count) }
    return unsafe claimed.pointer
  }

  private func add(_ row: Gradient, to target: Gradient, _ sequence: Int, _ direction: Int) {
    guard let row = unsafe row, let target = unsafe target else { return }
    unsafe tape.kernels.pointee.add(part(target, sequence, direction), row, units)
  }

  /// The states before each row's step. Shape `[rows, units]`.
  private func statesBefore(_ direction: Int) -> Tensor {
    let before = tape.makeTensor(in: states.all.space, columns: units, needsGradient: false)
    tape.pool.run((0..<states.last.rows).partCount(of: 64)) { task, _ in
      for sequence in (0..<states.last.rows).part(task, of: 64) {
        for step in 0..<length(sequence) {
          let to = unsafe before.base + row(step, of: sequence, direction) * units
          if step > 0 {
            let from = row(step - 1, of: sequence, direction)
            unsafe to.update(from: part(states.all.base, from, direction), count: units)
          } else if let initial {
            unsafe to.update(from: part(initial.states.base, sequence, direction), count: units)
          } else {
            unsafe to.update(repeating: 0, count: units)
          }
        }
      }
    }
    return before
  }
}
