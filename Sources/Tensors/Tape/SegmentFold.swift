package import CKernels
import Determinism

/// A sum over the rows of a space, formed for each segment and folded along the tree over segments.
///
/// The sum is a vector, or some columns of a matrix.
@safe package struct SegmentFold {
  let space: RowSpace
  /// The rows of the sum.
  let height: Int
  /// The floats of a row of the sum.
  let width: Int
  let kernels: UnsafePointer<ck_table>

  package init(
    space: RowSpace, height: Int = 1, width: Int, kernels: UnsafePointer<ck_table>
  ) {
    self.space = space
    self.height = height
    self.width = width
    unsafe self.kernels = unsafe kernels
  }

  private var count: Int { height * width }

  /// The scratch that a fold of `count` floats needs, in floats. A fold that adds needs that of twice its segments.
  package static func scratch(count: Int, segments: Int) -> Int {
    var levels = 1
    var covered = 1
    while covered < segments {
      covered *= 2
      levels += 1
    }
    return (count + 15) / 16 * 16 * levels
  }

  /// Leaves the sum at `target`, or adds it to what is there.
  ///
  /// - Parameters:
  ///   - stride: The floats from a row of `target` to the next; nil where they are dense.
  ///   - leaf: Writes the sum over some rows, never none, of one segment, its rows so many floats apart.
  package func callAsFunction(
    into target: UnsafeMutablePointer<Float>, stride: Int? = nil, adds: Bool,
    scratch: UnsafeMutablePointer<Float>,
    leaf: (_ rows: Range<Int>, _ sum: UnsafeMutablePointer<Float>, _ stride: Int) -> Void
  ) {
    let segments = 0..<space.segmentCount
    let stride = stride ?? width
    let next = unsafe scratch + (count + 15) / 16 * 16
    if adds {
      if unsafe fold(segments, into: scratch, width, scratch: next, leaf: leaf) {
        unsafe add(scratch, to: target, stride)
      }
    } else if unsafe !fold(segments, into: target, stride, scratch: scratch, leaf: leaf) {
      for row in 0..<height { unsafe (target + row * stride).update(repeating: 0, count: width) }
    }
  }

  /// False, with `target` untouched, if the segments hold no row.
  private func fold(
    _ segments: Range<Int>, into target: UnsafeMutablePointer<Float>, _ stride: Int,
    scratch: UnsafeMutablePointer<Float>,
    leaf: (Range<Int>, UnsafeMutablePointer<Float>, Int) -> Void
  ) -> Bool {
    if segments.isEmpty { return false }
    if segments.count == 1 {
      let bounds = space.segmentBounds
      let rows = bounds[segments.lowerBound]..<bounds[segments.upperBound]
      if rows.isEmpty { return false }
      unsafe leaf(rows, target, stride)
      return true
    }
    let middle = segments.lowerBound + FoldTree.leftCount(of: segments.count)
    let left = segments.lowerBound..<middle
    let right = middle..<segments.upperBound
    guard unsafe fold(left, into: target, stride, scratch: scratch, leaf: leaf) else {
      return unsafe fold(right, into: target, stride, scratch: scratch, leaf: leaf)
    }
    let next = unsafe scratch + (count + 15) / 16 * 16
    if unsafe fold(right, into: scratch, width, scratch: next, leaf: leaf) {
      unsafe add(scratch, to: target, stride)
    }
    return true
  }

  /// Adds dense rows to rows `stride` floats apart.
  private func add(
    _ sum: UnsafeMutablePointer<Float>, to target: UnsafeMutablePointer<Float>, _ stride: Int
  ) {
    if stride == width {
      unsafe kernels.pointee.add(target, sum, count)
    } else {
      for row in 0..<height {
        unsafe kernels.pointee.add(target + row * stride, sum + row * width, width)
      }
    }
  }
}

extension Tape {
  /// Sums over rows for each column of a matrix, written as the gradient of a vector parameter, if that is trained. In the
  /// backward part of an operation.
  ///
  /// - Parameter leaf: Writes the sums over some rows for the columns of a range.
  package func foldColumns(
    of space: RowSpace, into parameter: Parameter,
    leaf: (Range<Int>, _ columns: Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) {
    guard let gradients, gradients.isTrained(parameter) else { return }
    unsafe foldColumns(of: space, parameter.columns, into: gradients.claim(parameter), leaf: leaf)
  }

  /// The same, left where a gradient of so many columns lies, or added to it.
  package func foldColumns(
    of space: RowSpace, _ count: Int,
    into target: (pointer: UnsafeMutablePointer<Float>, adds: Bool),
    leaf: (Range<Int>, _ columns: Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let width = columnWidth(count)
    workspace.reserveScratch(SegmentFold.scratch(count: width, segments: space.segmentCount * 2))
    pool.run((count + width - 1) / width) { task, worker in
      let columns = task * width..<min((task + 1) * width, count)
      let fold = unsafe SegmentFold(space: space, width: columns.count, kernels: kernels)
      unsafe fold(
        into: target.pointer + columns.lowerBound, adds: target.adds,
        scratch: workspace.scratch(of: worker)
      ) { rows, sum, _ in unsafe leaf(rows, columns, sum) }
    }
  }

  /// The columns that one task sums where only columns part the work: two tasks a worker, of 16 to 128 columns.
  package func columnWidth(_ columns: Int) -> Int {
    let share = (columns + 2 * pool.workers - 1) / (2 * pool.workers)
    return min(128, max(16, (share + 15) / 16 * 16))
  }
}
