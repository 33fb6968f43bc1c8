public import Tensors

/// Layers of long short-term memory, one above the other, each of one direction or two.
///
/// In comments, T is rows, S sequences, H units and D directions.
public struct RecurrentStack: Sendable {
  /// The directions of each layer.
  private let layers: [[LSTMParameters]]
  public let units: Int

  /// Adds the parameters of a stack to a layout, each layer one deeper than the one below.
  ///
  /// First values are those of TensorFlow's cells: matrices even in ±√(6 / (inputs + units + 4 units)) (Glorot and Bengio,
  /// 2010), as one matrix over input and state has them, and biases 0, but those of the forget gates 1, so that a cell begins with its
  /// memory open (Jozefowicz et al., 2015).
  ///
  /// - Parameters:
  ///   - name: What its parameters' names begin with.
  ///   - first: The first value of the matrices, where it is another one.
  ///   - depth: Of its first layer.
  ///   - group: The part of the model that it belongs to.
  public init(
    _ name: String, inputs: Int, units: Int, layers count: Int, isBidirectional: Bool,
    first: FirstValue? = nil, depth: Int, group: ParameterGroup = .encoder,
    in layout: inout ParameterLayout
  ) {
    self.units = units
    var inputs = inputs
    var layers: [[LSTMParameters]] = []
    for layer in 0..<count {
      let first =
        first ?? .uniform(bound: (6 / Float(inputs + units + 4 * units)).squareRoot())
      layers.append(
        layout.at(depth: depth + layer, group: group) { layout in
          (isBidirectional ? ["", "_reverse"] : [""]).map { direction in
            let place = "l\(layer)\(direction)"
            return LSTMParameters(
              input: layout.add(
                "\(name).weight_ih_\(place)", 4 * units, inputs, first: first),
              hidden: layout.add(
                "\(name).weight_hh_\(place)", 4 * units, units, first: first),
              bias: layout.add(
                "\(name).bias_\(place)", 4 * units, first: .ones(at: units..<2 * units)))
          }
        })
      inputs = units * (isBidirectional ? 2 : 1)
    }
    self.layers = layers
  }

  /// The columns of a layer's states.
  public var columns: Int { layers[0].count * units }

  /// The states of every layer.
  ///
  /// - Parameters:
  ///   - x: Shape `[T, inputs]`.
  ///   - sequenceBounds: Row bounds of the sequences.
  ///   - sequences: Their space, a row each.
  ///   - before: The states and the cells of every layer before the first step, `[S, D·H]`; nil for 0.
  ///   - dropout: Of the inputs of every layer, drawn for each row and column.
  ///   - inputDropout: Of `x`, where it is another.
  public func callAsFunction(
    _ x: Tensor, sequenceBounds: [Int], in sequences: RowSpace,
    from before: [(states: Tensor, cells: Tensor)]? = nil, dropout: Float,
    inputDropout: Float? = nil, on tape: Tape
  ) -> [LSTMStates] {
    precondition((before?.count ?? layers.count) == layers.count, "states of other layers")
    var below = x
    return layers.enumerated().map { layer, directions in
      let rate = layer == 0 ? inputDropout ?? dropout : dropout
      let states = tape.lstm(
        tape.dropout(below, rate: rate), directions, sequenceBounds: sequenceBounds,
        in: sequences, initial: before?[layer])
      below = states.all  // [T, D·H]
      return states
    }
  }
}
