import Determinism
import Foundation
import Tensors
import TestSupport
import Testing

/// Weights that stay in a file, or wherever they lie: read there, copied where they are written.
@Suite struct MappingTests {
  private static let columns = 8

  private static func layout(rows: Int) -> ParameterLayout {
    var layout = ParameterLayout()
    _ = layout.addTable("words", rows, columns)
    _ = layout.add("bias", 5)
    return layout
  }

  /// A file of `offset` bytes and then `values`, opened, its name already gone.
  private func file(_ values: [Float], offset: Int, tail: Int = 0) throws -> FileHandle {
    let path = NSTemporaryDirectory() + "mapping-\(UUID().uuidString)"
    var bytes = Data(repeating: 0xEE, count: offset)
    bytes.append(Self.data(values))
    bytes.append(Data(repeating: 0xEE, count: tail))
    try bytes.write(to: URL(fileURLWithPath: path))
    let handle = try #require(FileHandle(forUpdatingAtPath: path))
    try FileManager.default.removeItem(atPath: path)
    return handle
  }

  private static func data(_ values: [Float]) -> Data {
    unsafe values.withUnsafeBufferPointer { unsafe Data(buffer: $0) }
  }

  private func values(_ rows: Int) -> [Float] {
    var random = RandomStream(seed: 3, "mapping")
    return random.floats(rows * Self.columns, in: -1...1)
  }

  private func table(_ set: ParameterSet, _ entry: Int = 0) -> [Float] {
    set.read(entry: entry) { span in span.indices.map { span[$0] } }
  }

  /// Tables smaller than a page, of whole pages and of parts, from bytes at a page's begin, middle and end.
  @Test(arguments: [1, 100, 128, 1000], [0, 4, 64, 4092, 4096, 8200])
  func mappedFloatsAreTheFiles(rows: Int, offset: Int) throws {
    let expected = values(rows)
    let file = try file(expected, offset: offset, tail: rows % 2 * 4)
    var set = ParameterSet(layout: Self.layout(rows: rows))
    set.update(entry: 1) { span in
      for i in span.indices { span[i] = Float(i) + 0.5 }
    }
    let isMapped = set.map(entry: 0, file: file.fileDescriptor, offset: offset)
    try #require(isMapped)
    #expect(table(set) == expected)
    #expect(table(set, 1) == [0.5, 1.5, 2.5, 3.5, 4.5])

    set.update(entry: 0) { span in span[span.count - 1] = 7 }
    #expect(table(set) == expected.dropLast() + [7])
    try file.seek(toOffset: 0)
    let bytes = try #require(try file.readToEnd())
    #expect(Data(bytes[offset..<offset + expected.count * 4]) == Self.data(expected))
  }

  @Test func aFileTooShortIsNotMapped() throws {
    let file = try file(values(9), offset: 8)
    var set = ParameterSet(layout: Self.layout(rows: 10))
    for offset in [8, 1 << 40] {
      let isMapped = set.map(entry: 0, file: file.fileDescriptor, offset: offset)
      #expect(!isMapped)
    }
    #expect(table(set) == Array(repeating: 0, count: 80))
  }

  @Test func whatIsNoTableOrNotAlignedIsNotMapped() throws {
    let file = try file(values(10), offset: 2)
    var set = ParameterSet(layout: Self.layout(rows: 10))
    for (entry, offset) in [(1, 0), (0, 2)] {
      let isMapped = set.map(entry: entry, file: file.fileDescriptor, offset: offset)
      #expect(!isMapped)
    }
  }

  /// A copy of a set whose table is partly the file's and partly written keeps both, whatever becomes of the first.
  @Test(arguments: [1, 128, 1000], [0, 64, 4092, 8200])
  func copiesAreValues(rows: Int, offset: Int) throws {
    let file = try file(values(rows), offset: offset, tail: 4)
    var set = ParameterSet(layout: Self.layout(rows: rows))
    let isMapped = set.map(entry: 0, file: file.fileDescriptor, offset: offset)
    try #require(isMapped)
    var expected = values(rows)
    for index in [0, expected.count / 2, expected.count - 1] {
      set.update(entry: 0) { span in span[index] = 9 }
      expected[index] = 9
    }
    set.update(entry: 1) { span in span[4] = 3 }
    let copy = set
    set.update(entry: 0) { span in
      for index in span.indices { span[index] = -1 }
    }
    set.update(entry: 1) { span in span[4] = -1 }
    #expect(table(copy) == expected)
    #expect(table(copy, 1) == [0, 0, 0, 0, 3])
    #expect(table(set) == Array(repeating: -1, count: expected.count))
    // A copy of a copy, whose first is gone.
    let last = { () -> ParameterSet in
      var other = copy
      other.update(entry: 0) { span in span[0] = 5 }
      return other
    }()
    #expect(table(last) == [5] + expected.dropFirst())
    #expect(table(copy) == expected)
  }

  /// Floats on memory that ends with its owner.
  @safe private final class Lender: @unchecked Sendable {
    let floats: UnsafeMutableBufferPointer<Float>

    init(_ values: [Float]) {
      unsafe floats = .allocate(capacity: values.count)
      _ = unsafe floats.initialize(from: values)
    }

    deinit {
      unsafe floats.update(repeating: .nan)
      unsafe floats.deallocate()
    }

    /// Lends `count` floats, or all, after the first `skipped` bytes.
    func lend(
      _ entry: Int, of set: inout ParameterSet, skipped: Int = 0, count: Int? = nil
    ) -> Bool {
      let bytes = unsafe UnsafeRawBufferPointer(floats)
      let end = count.map { skipped + $0 * 4 } ?? bytes.count
      return unsafe set.lend(entry: entry, .init(rebasing: bytes[skipped..<end]), of: self)
    }
  }

  /// Entries that lie elsewhere read as if they had been copied, and are copied where they are written: each
  /// copy of the set keeps its own.
  @Test func lentFloatsAreReadAndNotWritten() throws {
    let expected = values(10)
    let bias: [Float] = [4, 3, 2, 1, 0]
    var own = ParameterSet(layout: Self.layout(rows: 10))
    own.update { span in
      for (index, value) in (expected + bias).enumerated() { span[index] = value }
    }
    var lenders: [Lender] = [Lender(expected), Lender(bias)]
    var set = ParameterSet(layout: Self.layout(rows: 10))
    for entry in 0..<2 {
      let isLent = lenders[entry].lend(entry, of: &set)
      try #require(isLent)
    }
    #expect(table(set) == expected)
    #expect(table(set, 1) == bias)
    #expect(set.hash == own.hash)
    let workspace = Workspace(kernels: .forTests, threadCount: 2)
    var rows = [RowSet(tableRows: 10)]
    for row: Int32 in [1, 9] { _ = rows[0].insert(row) }
    #expect(
      set.entryHashes(rowsInUse: rows, in: workspace)
        == own.entryHashes(rowsInUse: rows, in: workspace))

    let copy = set
    let version = set.version
    set.update(entry: 1) { span in span[2] = 9 }
    #expect(set.version > version)
    #expect(table(set) == expected)
    #expect(table(set, 1) == [4, 3, 9, 1, 0])
    #expect(table(copy, 1) == bias)
    set.update { span in span[0] = 9 }
    #expect(table(set) == [9] + expected.dropFirst())
    #expect(table(set, 1) == [4, 3, 9, 1, 0])
    #expect(unsafe Array(lenders[0].floats) == expected)
    #expect(unsafe Array(lenders[1].floats) == bias)
    // What is lent outlives whoever lent it.
    lenders = []
    #expect(table(copy) == expected)
    #expect(copy.hash == own.hash)
  }

  /// The last set that holds what was lent copies it before it lets go.
  @Test func whatNobodyElseHoldsIsTakenIn() throws {
    let expected = values(10)
    var set = ParameterSet(layout: Self.layout(rows: 10))
    let isLent = Lender(expected).lend(0, of: &set)
    try #require(isLent)
    set.update(entry: 0) { span in span[0] = 9 }
    #expect(table(set) == [9] + expected.dropFirst())
  }

  @Test func whatHasNeighboursOrIsNotAlignedIsNotLent() {
    var layout = ParameterLayout()
    _ = layout.joined([layout.add("query", 2, 3), layout.add("key", 2, 3)])
    _ = layout.joinedVectors([layout.add("a", 3), layout.add("b", 3)])
    _ = layout.add("alone", 6)
    var set = ParameterSet(layout: layout)
    let lender = Lender([1, 2, 3, 4, 5, 6, 7])
    for (entry, count) in [6, 6, 3, 3].enumerated() {
      let isLent = lender.lend(entry, of: &set, count: count)
      #expect(!isLent)
    }
    let isAskew = lender.lend(4, of: &set, skipped: 2, count: 6)
    #expect(!isAskew)
    #expect(table(set, 4) == Array(repeating: 0, count: 6))
    let isLent = lender.lend(4, of: &set, skipped: 4)
    #expect(isLent)
    #expect(table(set, 4) == [2, 3, 4, 5, 6, 7])
  }
}
