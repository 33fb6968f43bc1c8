/// Stochastic gradient descent without momentum, as PyTorch's `SGD`: `w -= rate · (scale · g + decay · w)`.
///
/// It keeps no moments. A row of a table is updated, and decays, in the steps that touch it alone.
public struct SGD: Sendable, Equatable {
  public init() {}
}

extension SGD: UpdateRule {
  static let name = "sgd"
  static let momentNames: [String] = []

  /// Updates each trained parameter of the state's share. A weight's bits depend on its gradient, the scale and the rates
  /// alone: each product and each sum is rounded to fp32.
  ///
  /// Cost: reads and writes weights, reads gradients, once each, of tables only touched rows.
  ///
  /// - Parameters:
  ///   - gradientScale: What gradients are multiplied by first, for clipping.
  ///   - rates: The learning rate and the weight decay of each entry of the layout.
  public func update(
    _ parameters: inout ParameterSet, _ gradients: GradientBuffer, _ state: inout OptimiserState,
    gradientScale: Float, rates: [(learningRate: Double, weightDecay: Double)],
    in workspace: Workspace
  ) {
    state.begin(&parameters, gradients, rates, in: workspace)
    let tasks = UpdateTasks(of: state, trained: gradients.trained) {
      gradients.touchedRows[$0].rows
    }
    for table in parameters.layout.tables where gradients.trained[table] {
      unsafe parameters.own(tasks.rows[table], ofTable: table, workspace.kernels.raw)
      if parameters.owed[table].factors.isEmpty { continue }
      for row in tasks.rows[table] { parameters.owed[table].exempt.insert(row) }
    }
    let (weights, slopes) = unsafe (parameters.storage.base, gradients.storage.base)
    workspace.measured("SGD", bytes: Double(12 * tasks.floats)) {
      tasks.run(in: workspace.pool) { entry, start, count, _ in
        let (rate, decay) = (Float(rates[entry].learningRate), Float(rates[entry].weightDecay))
        let (weights, slopes) = unsafe (weights + start, slopes + start)
        if decay == 0 {
          for i in 0..<count { unsafe weights[i] -= rate * (gradientScale * slopes[i]) }
        } else {
          for i in 0..<count {
            unsafe weights[i] -= rate * (gradientScale * slopes[i] + decay * weights[i])
          }
        }
      }
    }
  }
}
