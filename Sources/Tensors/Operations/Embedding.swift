internal import CKernels
import Determinism

extension Tape {
  /// The sum of one row of each of several tables, for each row of a space.
  ///
  /// A table's gradient is summed, for each of its rows, over the uses within a segment in order, then
  /// over segments along the tree.
  ///
  /// - Parameters:
  ///   - tables: Each of shape `[its rows, columns]`, with the row it gives to each row of `space`. Only
  ///     the first may be a table in the sense of ``ParameterLayout/addTable(_:_:_:)``.
  /// - Returns: Shape `[space.count, columns]`.
  public func embed(
    _ tables: [(table: Parameter, rows: [Int32])], in space: RowSpace
  ) -> Tensor {
    guard let columns = tables.first?.table.columns else { preconditionFailure("no table") }
    for (table, rows) in tables {
      precondition(table.columns == columns && rows.count == space.count, "tables do not fit")
      precondition(
        rows.allSatisfy { $0 >= 0 && Int($0) < table.rows }, "an id out of \(table.rows) rows")
    }
    precondition(
      tables.dropFirst().allSatisfy {
        !parameters.layout.entries[$0.table.entries.lowerBound].isTable
      },
      "only the first table is used by rows")
    let trained = tables.contains { isTrained($0.table) }
    let output = makeTensor(in: space, columns: columns, needsGradient: trained)
    // Those that are used by rows are read row by row.
    let bases = unsafe tables.map {
      parameters.layout.entries[$0.table.entries.lowerBound].isTable
        ? nil : unsafe weights(of: $0.table)
    }
    for (table, rows) in tables { check?.tableRows(rows, of: table, in: space, on: self) }
    workspace.measured("embed", bytes: traffic(output, tables.count + 1)) {
      forEachBlock(of: space) { block in
        for row in block {
          let to = unsafe output.base + row * columns
          for (index, (table, rows)) in tables.enumerated() {
            if index == 0 {
              unsafe parameters.copyRow(rows[row], of: table, to: to, kernels)
            } else if let base = unsafe bases[index] {
              let from = unsafe base + Int(rows[row]) * columns
              unsafe kernels.pointee.add(to, from, columns)
            }
          }
        }
      }
    }
    inspect(output, of: "embed", reading: tables.map(\.table))
    if trained {
      record(
        "embed", writing: tables.map(\.table), bytes: traffic(output, 2 * tables.count)
      ) { [self] in
        guard let dy = unsafe arrivedGradient(output) else { return }
        for (table, rows) in tables where isTrained(table) {
          unsafe embedBackward(table, rows, dy, in: space)
        }
        releaseGradient(output)
      }
    }
    return output
  }

  private func embedBackward(
    _ table: Parameter, _ rows: [Int32], _ dy: UnsafeMutablePointer<Float>, in space: RowSpace
  ) {
    guard let gradients else { return }
    let columns = table.columns
    if let finish = tiedDecoders.removeValue(forKey: table.entries.lowerBound) {
      finish(unsafe EmbeddingUses(rows, columns: columns, gradient: dy, space: space))
      return
    }
    // Uses sorted by table row, then by place: `uses[groups[g] ..< groups[g + 1]]` are those of one row.
    let uses = rows.indices.sorted { (rows[$0], $0) < (rows[$1], $1) }
    var groups = uses.indices.filter { $0 == 0 || rows[uses[$0]] != rows[uses[$0 - 1]] }
    let target = unsafe gradients.claim(table, rows: groups.lazy.map { rows[uses[$0]] })
    groups.append(uses.count)
    let chunk = 16
    workspace.reserveScratch(
      SegmentFold.scratch(count: columns, segments: space.segmentCount * 4))
    pool.run((groups.count - 1 + chunk - 1) / chunk) { task, worker in
      for group in task * chunk..<min((task + 1) * chunk, groups.count - 1) {
        let members = uses[groups[group]..<groups[group + 1]]
        guard let first = members.first else { continue }
        let to = unsafe target + Int(rows[first]) * columns
        let scratch = unsafe workspace.scratch(of: worker)
        let sum = unsafe RowUses(
          members: members, bounds: space.segmentBounds, columns: columns, gradient: dy,
          kernels: kernels)
        unsafe sum.add(to: to, scratch: scratch)
      }
    }
  }
}

/// The uses of one row of a table, in order, and what is to be summed over them.
@safe private struct RowUses {
  let members: ArraySlice<Int>
  let bounds: [Int]
  let columns: Int
  let gradient: UnsafeMutablePointer<Float>
  let kernels: UnsafePointer<ck_table>

  func add(to target: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>) {
    unsafe fold(0..<bounds.count - 1, members, into: scratch, scratch: scratch + stride)
    unsafe kernels.pointee.add(target, scratch, columns)
  }

  private var stride: Int { (columns + 15) / 16 * 16 }

  /// The sum of `members`, which are not empty and all in `segments`, left at `target`.
  private func fold(
    _ segments: Range<Int>, _ members: ArraySlice<Int>, into target: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>
  ) {
    if segments.count == 1 {
      for (index, member) in members.enumerated() {
        let row = unsafe gradient + member * columns
        if index == 0 {
          unsafe target.update(from: row, count: columns)
        } else {
          unsafe kernels.pointee.add(target, row, columns)
        }
      }
      return
    }
    let middle = segments.lowerBound + FoldTree.leftCount(of: segments.count)
    let split = members.firstIndex { $0 >= bounds[middle] } ?? members.endIndex
    let (left, right) = (members[..<split], members[split...])
    if left.isEmpty {
      unsafe fold(middle..<segments.upperBound, right, into: target, scratch: scratch)
      return
    }
    unsafe fold(segments.lowerBound..<middle, left, into: target, scratch: scratch)
    if right.isEmpty { return }
    unsafe fold(
      middle..<segments.upperBound, right, into: scratch, scratch: scratch + stride)
    unsafe kernels.pointee.add(target, scratch, columns)
  }
}
