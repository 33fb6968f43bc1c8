internal import CKernels
import Determinism

/// The numbers of AdamW that hold for all parameters.
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

/// The moments of AdamW and how many updates made them, beside a ``ParameterSet`` of the same layout: all of them, or
/// a rank's share. A value: copies share their memory until the next update.
public struct AdamWState: Sendable {
  public let layout: ParameterLayout
  /// Whose moments these are.
  public let share: OptimiserShare
  /// The updates made so far.
  public var step = 0
  /// The rows of each table that have moments, here or on the rank that owns them: those that a step has used. Other
  /// rows have none, and cost no memory.
  public var rowsInUse: [RowSet]
  /// Of ``OptimiserShare/count`` floats.
  public private(set) var firstMoments: FloatBuffer
  public private(set) var secondMoments: FloatBuffer

  /// - Parameter share: Nil for all.
  public init(layout: ParameterLayout, share: OptimiserShare? = nil) {
    self.layout = layout
    self.share = share ?? OptimiserShare(allOf: layout)
    rowsInUse = layout.tables.map { RowSet(tableRows: layout.entries[$0].shape[0]) }
    firstMoments = FloatBuffer(count: self.share.count, scattered: self.share.tableCount)
    secondMoments = FloatBuffer(count: self.share.count, scattered: self.share.tableCount)
  }

  /// The floats of both moments of dense parameters, and of rows in use, that are kept here.
  public var floats: (dense: Int, rows: Int) {
    let rows = layout.tables.reduce(0) { sum, table in
      sum + layout.entries[table].shape[1] * rowsInUse[table].rows.count { share.owns(row: $0) }
    }
    return (2 * (share.count - share.tableCount), 2 * rows)
  }

  /// Gives the state moments of its own where a copy has them too. Cost: those of trained parameters and of rows in use
  /// are read and written once.
  fileprivate mutating func makeUnique(trained: [Bool], in pool: ThreadPool) {
    if !isKnownUniquelyReferenced(&firstMoments) {
      firstMoments = copied(firstMoments, trained, in: pool)
    }
    if !isKnownUniquelyReferenced(&secondMoments) {
      secondMoments = copied(secondMoments, trained, in: pool)
    }
  }

  private func copied(
    _ moments: FloatBuffer, _ trained: [Bool], in pool: ThreadPool
  ) -> FloatBuffer {
    // Of rows that are not in use the moments are zero here and in every buffer that was copied to this one.
    let copy = moments.successor()
    for (index, entry) in layout.entries.enumerated() {
      if entry.isTable {
        let columns = entry.shape[1]
        for row in rowsInUse[index].rows where share.owns(row: row) {
          let start = share.start(ofRow: row, table: index, columns: columns)
          copy.copy(start..<start + columns, of: moments)
        }
        continue
      }
      for part in runs(ofEntry: index) {
        // Those of frozen parameters are zero, or what an earlier stage left.
        if trained[index] {
          copy.copy(part, of: moments, in: pool)
        } else {
          copy.copyDifferences(part, of: moments)
        }
      }
    }
    return copy
  }

  /// Where the moments of a dense entry are.
  private func runs(ofEntry index: Int) -> [Range<Int>] {
    let entry = layout.entries[index]
    return share.parts(of: entry.offset..<entry.offset + entry.count).map {
      $0.start..<$0.start + $0.floats.count
    }
  }

  /// What takes the memory for a copy of dense moments beforehand, on any thread.
  ///
  /// - Parameter trained: Whether each entry of the layout is.
  package func copyPreparation(trained: [Bool]) -> @Sendable () -> Void {
    let runs = layout.entries.indices.filter { trained[$0] && !layout.entries[$0].isTable }
      .flatMap { self.runs(ofEntry: $0) }
    let (first, second) = (firstMoments.preparation(runs), secondMoments.preparation(runs))
    return {
      first()
      second()
    }
  }
}

extension AdamW {
  /// Updates each trained parameter of the state's share, as PyTorch's unfused AdamW (Loshchilov and Hutter, 2019).
  ///
  /// A row of a table is updated in every step from the first on that uses it, as its moments ask. Cost: reads
  /// and writes weights and both moments, reads gradients, once each, of tables only rows in use. Where a copy of the
  /// weights or of the state lives, that which is about to change is copied first.
  ///
  /// - Parameters:
  ///   - gradientScale: What gradients are multiplied by first, for clipping.
  ///   - rates: The learning rate and the weight decay of each entry of the layout.
  public func update(
    _ parameters: inout ParameterSet, _ gradients: GradientBuffer, _ state: inout AdamWState,
    gradientScale: Float, rates: [(learningRate: Double, weightDecay: Double)],
    in workspace: Workspace
  ) {
    let layout = parameters.layout
    precondition(layout == gradients.layout && layout == state.layout, "layouts differ")
    precondition(rates.count == layout.entries.count, "\(rates.count) rates")
    parameters.makeUnique(in: workspace.pool)
    parameters.markChanged()
    state.makeUnique(trained: gradients.trained, in: workspace.pool)
    state.step += 1
    let bias1 = 1 - power(beta1, state.step)
    let bias2 = 1 - power(beta2, state.step)
    for table in layout.tables where gradients.trained[table] {
      useRows(of: table, gradients, &parameters, &state, in: workspace)
    }
    let block = 1 << 16
    // A run of floats and where its moments begin, or some of the rows in use of a table.
    var tasks: [(entry: Int, start: Int, count: Int, moments: Int, rows: ArraySlice<Int32>)] = []
    let share = state.share
    for (index, entry) in layout.entries.enumerated() where gradients.trained[index] {
      if entry.isTable {
        let rows = state.rowsInUse[index].rows.filter { share.owns(row: $0) }
        let height = max(1, block / entry.shape[1])
        for first in stride(from: 0, to: rows.count, by: height) {
          tasks.append(
            (index, entry.offset, entry.shape[1], 0, rows[first..<min(first + height, rows.count)]))
        }
      } else {
        for part in share.parts(of: entry.offset..<entry.offset + entry.count) {
          for first in stride(from: 0, to: part.floats.count, by: block) {
            tasks.append(
              (
                index, part.floats.lowerBound + first, min(block, part.floats.count - first),
                part.start + first, []
              ))
          }
        }
      }
    }
    let weights = unsafe parameters.storage.base
    let kernels = unsafe workspace.kernels.raw
    let (first, second) = unsafe (state.firstMoments.base, state.secondMoments.base)
    let updated = tasks.reduce(0) { $0 + $1.count * max(1, $1.rows.count) }
    workspace.measured("AdamW", bytes: Double(28 * updated)) {
      workspace.pool.run(tasks.count) { task, _ in
        let (entry, start, count, moments, rows) = tasks[task]
        var with = ck_adamw(
          grad_scale: gradientScale, lr: rates[entry].learningRate, beta1: beta1, beta2: beta2,
          eps: epsilon, decay: rates[entry].weightDecay, bias1: bias1, bias2: bias2)
        func update(_ start: Int, _ moments: Int) {
          unsafe kernels.pointee.adamw(
            weights + start, gradients.storage.base + start, first + moments, second + moments,
            count, &with)
        }
        if rows.isEmpty {
          update(start, moments)
        } else {
          for row in rows {
            update(
              start + Int(row) * count, share.start(ofRow: row, table: entry, columns: count))
          }
        }
      }
    }
    if tableDecay == .touched { return }
    for table in layout.tables where gradients.trained[table] {
      let (rate, decay) = rates[table]
      if rate * decay != 0 { parameters.owed[table].factors.append(Float(1 - rate * decay)) }
      parameters.owed[table].exempt = state.rowsInUse[table]
    }
  }

  /// Takes the touched rows of a table into use.
  private func useRows(
    of table: Int, _ gradients: GradientBuffer, _ parameters: inout ParameterSet,
    _ state: inout AdamWState, in workspace: Workspace
  ) {
    var new: [Int32] = []
    for row in gradients.touchedRows[table].rows where state.rowsInUse[table].insert(row) {
      new.append(row)
    }
    // A row that another state had in use owes nothing either.
    parameters.payDecay(
      new.filter { !parameters.owed[table].exempt.contains($0) }, ofTable: table, in: workspace)
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
