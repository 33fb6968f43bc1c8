internal import CKernels
import Determinism

/// A hash of the bits of floats, about as fast as memory gives them: for comparing runs, not against malice.
///
/// Floats go to four lanes in turn, each of which multiplies as FNV-1a does, but a float at a time.
package struct BitsHash {
  private var lanes: (UInt64, UInt64, UInt64, UInt64) = (
    0xCBF2_9CE4_8422_2325, 0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB
  )
  private var count = 0

  package init() {}

  package mutating func add(_ values: Span<Float>) {
    let whole = values.count / 4 * 4
    for index in stride(from: 0, to: whole, by: 4) {
      lanes.0 = Self.mixed(lanes.0, values[index])
      lanes.1 = Self.mixed(lanes.1, values[index + 1])
      lanes.2 = Self.mixed(lanes.2, values[index + 2])
      lanes.3 = Self.mixed(lanes.3, values[index + 3])
    }
    for index in whole..<values.count { lanes.0 = Self.mixed(lanes.0, values[index]) }
    count += values.count
  }

  package mutating func add(_ word: UInt64) {
    lanes.1 = Self.mixed(lanes.1, word)
    count += 1
  }

  package var value: UInt64 {
    var hash = FNV1a()
    for lane in [lanes.0, lanes.1, lanes.2, lanes.3, UInt64(count)] { hash.add(word: lane) }
    return hash.value
  }

  @inline(__always) private static func mixed(_ lane: UInt64, _ value: Float) -> UInt64 {
    mixed(lane, UInt64(value.bitPattern))
  }

  /// Odd factors lose nothing, and the rotation brings high bits down.
  @inline(__always) private static func mixed(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    let product = (lane ^ word) &* 0x9FB2_1C65_1E98_DF25
    return product << 29 | product >> 35
  }
}

extension ParameterSet {
  /// A hash of the stored bits of each entry, of tables over some rows alone. By the entries' order.
  ///
  /// - Parameter rows: Of each table, those that may have changed: as the optimiser's state names them.
  /// - Complexity: A pass over these weights, on the threads of the workspace.
  package func entryHashes(rowsInUse rows: [RowSet], in workspace: Workspace) -> [UInt64] {
    // Runs of about one size, so that a large entry is shared out too.
    let block = 1 << 18
    var tasks: [(entry: Int, part: Range<Int>, rows: ArraySlice<Int32>)] = []
    for (index, entry) in layout.entries.enumerated() {
      if entry.isTable {
        let used = rows[index].rows.sorted()
        let height = max(1, block / entry.shape[1])
        for first in stride(from: 0, to: used.count, by: height) {
          tasks.append((index, 0..<0, used[first..<min(first + height, used.count)]))
        }
      } else {
        for first in stride(from: 0, to: entry.count, by: block) {
          tasks.append((index, first..<min(first + block, entry.count), []))
        }
      }
    }
    var hashes = [UInt64](repeating: 0, count: tasks.count)
    unsafe hashes.withUnsafeMutableBufferPointer { hashes in
      guard let to = hashes.baseAddress else { return }
      workspace.pool.run(tasks.count) { task, _ in
        let (index, part, rows) = tasks[task]
        let entry = layout.entries[index]
        var hash = BitsHash()
        if !entry.isTable {
          let base = unsafe address(ofEntry: index)
          hash.add(unsafe Span(_unsafeStart: base + part.lowerBound, count: part.count))
        }
        for row in rows {
          hash.add(UInt64(UInt32(bitPattern: row)))
          let start = unsafe address(ofRow: row, ofTable: index)
          hash.add(unsafe Span(_unsafeStart: start, count: entry.shape[1]))
        }
        unsafe to[task] = hash.value
      }
    }
    var combined = layout.entries.map { _ in BitsHash() }
    for (task, hash) in zip(tasks, hashes) { combined[task.entry].add(hash) }
    return combined.map(\.value)
  }
}

extension GradientBuffer {
  /// A hash of the bits of an entry's gradient, and the sum of its squares: of a table over the touched rows,
  /// ascending, with their numbers.
  package func digest(ofEntry index: Int, _ kernels: KernelTable) -> (hash: UInt64, squares: Double)
  {
    let entry = layout.entries[index]
    var hash = BitsHash()
    var squares = 0.0
    func add(_ floats: Range<Int>) {
      storage.withSpan(floats) { hash.add($0) }
      unsafe squares += kernels.raw.pointee.sum_of_squares(
        storage.base + floats.lowerBound, floats.count)
    }
    if entry.isTable {
      let columns = entry.shape[1]
      for row in touchedRows[index].rows.sorted() {
        hash.add(UInt64(UInt32(bitPattern: row)))
        let start = entry.offset + Int(row) * columns
        add(start..<start + columns)
      }
    } else {
      add(entry.offset..<entry.offset + entry.count)
    }
    return (hash.value, squares)
  }
}
