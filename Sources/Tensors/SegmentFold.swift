internal import CKernels
import Determinism

/// A sum over the rows of a space, formed for each segment and folded along the tree over segments.
@safe struct SegmentFold {
  let space: RowSpace
  /// The floats of the sum.
  let count: Int
  let kernels: UnsafePointer<ck_table>

  /// The scratch that a fold of `count` floats needs, in floats.
  static func scratch(count: Int, segments: Int) -> Int {
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
  /// - Parameter leaf: Writes the sum over some rows, never none, of one segment.
  func callAsFunction(
    into target: UnsafeMutablePointer<Float>, adds: Bool, scratch: UnsafeMutablePointer<Float>,
    leaf: (_ rows: Range<Int>, _ sum: UnsafeMutablePointer<Float>) -> Void
  ) {
    let segments = 0..<space.segmentCount
    let stride = (count + 15) / 16 * 16
    if adds {
      if unsafe fold(segments, into: scratch, scratch: scratch + stride, leaf: leaf) {
        unsafe kernels.pointee.add(target, scratch, count)
      }
    } else if unsafe !fold(segments, into: target, scratch: scratch, leaf: leaf) {
      unsafe target.update(repeating: 0, count: count)
    }
  }

  /// False, with `target` untouched, if the segments hold no row.
  private func fold(
    _ segments: Range<Int>, into target: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, leaf: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) -> Bool {
    if segments.isEmpty { return false }
    if segments.count == 1 {
      let bounds = space.segmentBounds
      let rows = bounds[segments.lowerBound]..<bounds[segments.upperBound]
      if rows.isEmpty { return false }
      unsafe leaf(rows, target)
      return true
    }
    let middle = segments.lowerBound + FoldTree.leftCount(of: segments.count)
    let left = segments.lowerBound..<middle
    let right = middle..<segments.upperBound
    guard unsafe fold(left, into: target, scratch: scratch, leaf: leaf) else {
      return unsafe fold(right, into: target, scratch: scratch, leaf: leaf)
    }
    let stride = (count + 15) / 16 * 16
    if unsafe fold(right, into: scratch, scratch: scratch + stride, leaf: leaf) {
      unsafe kernels.pointee.add(target, scratch, count)
    }
    return true
  }
}

extension Tape {
  /// Sums over rows for each column of a matrix, written as the gradient of a vector parameter.
  ///
  /// - Parameter leaf: Writes the sums over some rows for the columns of a range.
  func foldColumns(
    of space: RowSpace, into parameter: Parameter,
    leaf: (Range<Int>, _ columns: Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) {
    guard let gradients, gradients.isTrained(parameter) else { return }
    let target = unsafe gradients.claim(parameter)
    let width = 128
    workspace.reserveScratch(SegmentFold.scratch(count: width, segments: space.segmentCount * 2))
    pool.run((parameter.columns + width - 1) / width) { task, worker in
      let columns = task * width..<min((task + 1) * width, parameter.columns)
      let fold = unsafe SegmentFold(space: space, count: columns.count, kernels: kernels)
      unsafe fold(
        into: target.pointer + columns.lowerBound, adds: target.adds,
        scratch: workspace.scratch(of: worker)
      ) { rows, sum in unsafe leaf(rows, columns, sum) }
    }
  }
}
