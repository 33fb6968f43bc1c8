import Determinism

/// What a rank is doing: the fields on which all ranks of a collective have to agree.
struct Call: Equatable {
  enum Operation: UInt8 {
    case barrier = 1
    case broadcast, allReduce, gather, reduceScatter, gatherRanges, allToAll, pointToPoint, split
    case plan
  }

  var operation: Operation
  var element: ElementType = .uint8
  /// The elements of the buffer; 0 where ranks may differ.
  var count = 0
  /// The root, the reduction's code, the tag, or 1 for a split by machine.
  var detail = 0
  /// Of a message between two ranks: whether the rank sends it.
  var sends = false
  /// A hash of the ranges or counts, or of the calls of a plan, if the operation has any.
  var hash: UInt32 = 0

  static func hash(_ ranges: [Range<Int>]) -> UInt32 {
    hash(ranges.flatMap { [$0.lowerBound, $0.upperBound] })
  }

  static func hash(_ counts: [[Int]]) -> UInt32 { hash(Array(counts.joined())) }

  static func hash(_ numbers: [Int]) -> UInt32 {
    var hash = FNV1a()
    for number in numbers { hash.add(word: UInt64(bitPattern: Int64(number))) }
    return UInt32(truncatingIfNeeded: hash.value ^ hash.value >> 32)
  }
}

extension Call: CustomStringConvertible {
  var description: String {
    let elements = "\(count) \(element)\(count == 1 ? "" : "s")"
    switch operation {
    case .barrier: return "barrier"
    case .broadcast: return "broadcast of \(elements) from rank \(detail)"
    case .allReduce:
      return "allReduce (\(reduction)) of \(elements)"
    case .gather: return "allGather of \(element)s"
    case .reduceScatter: return "reduceScatter (\(reduction)) of \(elements) (ranges \(hex(hash)))"
    case .gatherRanges: return "allGather of ranges of \(elements) (ranges \(hex(hash)))"
    case .allToAll: return "allToAll of \(element)s (counts \(hex(hash)))"
    case .pointToPoint:
      return "\(sends ? "send" : "receive") of \(elements) with tag \(detail)"
    case .split: return detail == 0 ? "split" : "split by machine"
    case .plan: return "plan of \(count) calls (\(hex(hash)))"
    }
  }

  private var reduction: String {
    switch detail {
    case 0: "sum"
    case -1: "min"
    case -2: "max"
    default: "sum over \(detail) shards"
    }
  }

  private func hex(_ value: UInt32) -> String { String(value, radix: 16) }
}
