import CKernels
import Testing

/// A kernel table under test, named in what a failing test prints.
@safe struct Kernels: Sendable, CustomTestStringConvertible {
  nonisolated(unsafe) let raw: UnsafePointer<ck_table>

  /// The table called `name`, if this binary holds it.
  init?(named name: String) {
    guard let raw = unsafe ck_table_named(name) else { return nil }
    unsafe self.raw = raw
  }

  private init(_ raw: UnsafePointer<ck_table>) { unsafe self.raw = raw }

  var name: String { unsafe String(cString: raw.pointee.name) }
  var runsHere: Bool { unsafe raw.pointee.runs_here() }
  var testDescription: String { name }

  /// All tables of this binary, best first.
  static var all: [Kernels] {
    var count = 0
    guard let tables = unsafe ck_tables(&count) else { return [] }
    return (0..<count).compactMap { index in
      unsafe tables[index].map { unsafe Kernels($0) }
    }
  }

  static var best: Kernels? { unsafe ck_best_table().map { unsafe Kernels($0) } }

  /// The tables to hold against the reference: those that run here, and "wide", which has the logic of
  /// AVX-512 on AVX2. The reference is one of them, so that the tests themselves are tested everywhere.
  static let checked: [Kernels] = (all + [Kernels(named: "wide")].compactMap(\.self))
    .filter(\.runsHere)

  /// Lengths around every vector width and block of the tables.
  static let lengths = [0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 384, 1000]
}

/// The specification.
let reference = Kernels.all[Kernels.all.count - 1]

/// The largest relative error of rounding to a float: half an ulp at its worst.
let rounding: Float = 0x1p-24

/// Floats in memory between NaN of a certain pattern, at any distance from an aligned address.
@safe final class Floats {
  let start: UnsafeMutablePointer<Float>
  let count: Int
  private let offset: Int
  private static let guardCount = 80
  private static let mark = Float(bitPattern: 0x7FC0_BEEF)

  /// - Parameter offset: How many floats after a multiple of 64 bytes the values begin.
  init(_ values: [Float], offset: Int = 1) {
    count = values.count
    self.offset = offset
    let total = Self.guardCount + offset + count + Self.guardCount
    let memory = UnsafeMutableRawPointer.allocate(byteCount: total * 4, alignment: 64)
    let floats = unsafe memory.bindMemory(to: Float.self, capacity: total)
    unsafe floats.initialize(repeating: Self.mark, count: total)
    unsafe start = floats + Self.guardCount + offset
    for (index, value) in values.enumerated() { unsafe start[index] = value }
  }

  /// Room for `count` results.
  convenience init(count: Int, offset: Int = 1) {
    self.init(Array(repeating: Self.mark, count: count), offset: offset)
  }

  deinit { unsafe UnsafeMutableRawPointer(start - offset - Self.guardCount).deallocate() }

  var values: [Float] { (0..<count).map { unsafe start[$0] } }
  var bits: [UInt32] { values.bits }

  /// Whether all around the values is as it was.
  var paddingIsIntact: Bool {
    let before = -(Self.guardCount + offset)..<0
    let after = count..<count + Self.guardCount
    return before.allSatisfy { unsafe start[$0].bitPattern == Self.mark.bitPattern }
      && after.allSatisfy { unsafe start[$0].bitPattern == Self.mark.bitPattern }
  }
}

extension [Float] {
  var bits: [UInt32] { map(\.bitPattern) }

  /// Records an issue for the first element that is further from `expected` than the `tolerance` of its
  /// index, or is NaN.
  func expectNear(
    _ expected: [Float], _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
    tolerance: (Int) -> Float
  ) {
    #expect(count == expected.count, sourceLocation: sourceLocation)
    for index in 0..<Swift.min(count, expected.count) {
      let distance = abs(self[index] - expected[index])
      if !(distance <= tolerance(index)) {
        Issue.record(
          """
          \(what)[\(index)] of \(count) is \(self[index]), not \(expected[index]): \
          off by \(distance), allowed \(tolerance(index))
          """, sourceLocation: sourceLocation)
        return
      }
    }
  }
}
