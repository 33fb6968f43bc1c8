internal import CKernels

/// AdamW (Loshchilov and Hutter, 2019): the numbers that hold for all parameters.
public struct AdamW: Sendable, Equatable {
  /// From when on rows of tables decay.
  public enum TableDecay: Sendable, Equatable {
    /// A row decays from the first step that uses it; other rows keep their bytes. Equal to dense AdamW
    /// where tables have no decay.
    case touched
    /// Every row decays in every step, as in dense AdamW; a row that no step has used yet gets it when it
    /// is read: see ``ParameterSet/settle(in:)``.
    case dense
  }

  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double
  public var tableDecay: TableDecay

  public init(
    beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
    tableDecay: TableDecay = .touched
  ) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.tableDecay = tableDecay
  }
}

extension AdamW: UpdateRule {
  static let name = "adamw"
  static let momentNames = ["exp_avg", "exp_avg_sq"]

  /// Updates each trained parameter of the state's share, as PyTorch's unfused AdamW.
  ///
  /// A row of a table is updated in every step from the first on that uses it, as its moments ask. Cost: reads
  /// and writes weights and both moments, reads gradients, once each, of tables only rows in use. Where a copy of the
  /// weights or of the state lives, that which is about to change is copied first.
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
    let layout = parameters.layout
    let bias1 = 1 - power(beta1, state.step)
    let bias2 = 1 - power(beta2, state.step)
    let tasks = UpdateTasks(of: state, trained: gradients.trained) {
      state.rowsInUse[$0].rows
    }
    for table in layout.tables where gradients.trained[table] {
      unsafe parameters.own(tasks.rows[table], ofTable: table, workspace.kernels.raw)
    }
    let weights = unsafe parameters.storage.base
    let kernels = unsafe workspace.kernels.raw
    let (first, second) = unsafe (state.moments[0].base, state.moments[1].base)
    workspace.measured("AdamW", bytes: Double(28 * tasks.floats)) {
      tasks.run(in: workspace.pool) { entry, start, count, moments in
        var with = ck_adamw(
          grad_scale: gradientScale, lr: rates[entry].learningRate, beta1: beta1, beta2: beta2,
          eps: epsilon, decay: rates[entry].weightDecay, bias1: bias1, bias2: bias2)
        unsafe kernels.pointee.adamw(
          weights + start, gradients.storage.base + start, first + moments, second + moments,
          count, &with)
      }
    }
    if tableDecay == .touched { return }
    for table in layout.tables where gradients.trained[table] {
      let (rate, decay) = rates[table]
      if rate * decay != 0 { parameters.owed[table].factors.append(Float(1 - rate * decay)) }
      parameters.owed[table].exempt = state.rowsInUse[table]
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
