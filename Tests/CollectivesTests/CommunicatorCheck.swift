import Collectives
import Determinism
import Testing

/// A body that every form of the communicator has to pass, called on each rank.
///
/// A failure is thrown and not recorded, so that it ends the other ranks too.
struct CommunicatorCheck: Sendable, CustomTestStringConvertible {
  var name: String
  var run: @Sendable (any Communicator) throws -> Void

  var testDescription: String { name }

  init(_ name: String, _ run: @escaping @Sendable (any Communicator) throws -> Void) {
    self.name = name
    self.run = run
  }
}

struct CheckFailure: Error, CustomStringConvertible {
  var description: String
}

func expect<Value: Equatable>(
  _ actual: Value, equals expected: Value, _ what: @autoclosure () -> String,
  on communicator: any Communicator
) throws {
  if actual == expected { return }
  throw CheckFailure(
    description: "rank \(communicator.rank) of \(communicator.size): \(what()): "
      + "\(actual) is not \(expected)")
}

/// Expects an error of `code` that concerns the ranks `others`.
func expect(
  _ code: CollectiveError.Code, about others: [Int], on communicator: any Communicator,
  _ body: () throws -> Void
) throws {
  do {
    try body()
  } catch let error as CollectiveError {
    try expect(error.code, equals: code, "code of “\(error)”", on: communicator)
    try expect(error.others, equals: others, "ranks of “\(error)”", on: communicator)
    try expect(error.rank, equals: communicator.rank, "rank of “\(error)”", on: communicator)
    return
  }
  throw CheckFailure(description: "rank \(communicator.rank): no error of code \(code)")
}

/// Element `index` of the buffer of `rank` in operation `number`: equal wherever it is computed.
func element<E: TestElement>(_ number: Int, _ rank: Int, _ index: Int) -> E {
  let word = Philox.block(
    counter: SIMD4(
      UInt32(truncatingIfNeeded: number), UInt32(truncatingIfNeeded: rank),
      UInt32(truncatingIfNeeded: index), 0),
    key: SIMD2(3, 5))
  return E(word: UInt64(word[0]) << 32 | UInt64(word[1]))
}

func elements<E: TestElement>(_ number: Int, _ rank: Int, _ count: Int) -> [E] {
  (0..<count).map { element(number, rank, $0) }
}

protocol TestElement: CollectiveElement, Equatable {
  init(word: UInt64)
}

protocol ReducibleTestElement: TestElement, ReducibleElement, Comparable, AdditiveArithmetic {}

extension Float: ReducibleTestElement {
  init(word: UInt64) { self = Float(Int64(bitPattern: word) >> 32) * 0x1p-20 }
}

extension Double: ReducibleTestElement {
  init(word: UInt64) { self = Double(Int64(bitPattern: word)) * 0x1p-40 }
}

extension Int64: ReducibleTestElement {
  init(word: UInt64) { self = Int64(bitPattern: word) >> 8 }
}

extension UInt8: TestElement {
  init(word: UInt64) { self = UInt8(truncatingIfNeeded: word) }
}

/// The reduction of the buffers of operation `number` in the order of the ranks.
func reduced<E: ReducibleTestElement>(
  _ number: Int, ranks: Int, count: Int, _ reduction: Reduction
) -> [E] {
  (0..<count).map { index in
    var result: E = element(number, 0, index)
    for rank in 1..<max(1, ranks) {
      let other: E = element(number, rank, index)
      switch reduction {
      case .sum: result += other
      case .min: result = min(result, other)
      case .max: result = max(result, other)
      case .treeSum: preconditionFailure("not in the order of the ranks")
      }
    }
    return result
  }
}

/// `count` elements cut at uneven places into a range for each rank, some of them empty.
func unevenRanges(count: Int, ranks: Int, seed: UInt64) -> [Range<Int>] {
  var random = RandomStream(seed: seed, "ranges")
  let cuts = (1..<max(1, ranks)).map { _ in random.below(count + 1) }.sorted()
  let bounds = [0] + cuts + [count]
  return (0..<ranks).map { bounds[$0]..<bounds[$0 + 1] }
}

extension Int32: TestElement {
  init(word: UInt64) { self = Int32(truncatingIfNeeded: word >> 7) }
}
