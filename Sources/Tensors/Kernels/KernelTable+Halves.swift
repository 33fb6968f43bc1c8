internal import CKernels

extension KernelTable {
  /// Whether no element is NaN or infinite.
  public func areFinite(_ floats: Span<Float>) -> Bool {
    unsafe floats.withUnsafeBufferPointer { floats in
      guard let base = floats.baseAddress else { return true }
      return unsafe raw.pointee.all_finite(base, floats.count)
    }
  }

  /// Rounds floats to the nearest bf16, ties to even.
  public func round(_ floats: Span<Float>, to halves: inout MutableSpan<UInt16>) {
    precondition(floats.count <= halves.count, "\(floats.count) floats, room for \(halves.count)")
    let unit = Int(CK_BF16_DEPTH)
    let whole = floats.count / unit * unit
    unsafe floats.withUnsafeBufferPointer { from in
      unsafe halves.withUnsafeMutableBufferPointer { to in
        guard let from = from.baseAddress, let to = to.baseAddress else { return }
        if whole > 0 { unsafe raw.pointee.bf16_rows(to, whole, from, whole, 1, whole) }
        if whole == floats.count { return }
        // The kernel fills up whole units.
        unsafe withUnsafeTemporaryAllocation(of: UInt16.self, capacity: unit) { rest in
          guard let rest = rest.baseAddress else { return }
          let count = floats.count - whole
          unsafe raw.pointee.bf16_rows(rest, unit, from + whole, unit, 1, count)
          unsafe (to + whole).update(from: rest, count: count)
        }
      }
    }
  }

  /// The floats that halves are the upper part of.
  public func widen(_ halves: Span<UInt16>, to floats: inout MutableSpan<Float>) {
    precondition(halves.count <= floats.count, "\(halves.count) halves, room for \(floats.count)")
    unsafe halves.withUnsafeBufferPointer { from in
      unsafe floats.withUnsafeMutableBufferPointer { to in
        guard let from = from.baseAddress, let to = to.baseAddress else { return }
        unsafe raw.pointee.from_bf16(to, from, halves.count)
      }
    }
  }
}
