import Determinism

/// What a rank is doing: the fields on which all ranks of a collective have to agree.
struct Call: Equatable {
  enum Operation: UInt8 {
    case barrier = 1
    case broadcast, allReduce, gather, reduceScatter, gatherRanges, allToAll, pointToPoint, split
  }

  var operation: Operation
  var element: ElementType = .uint8
  /// The elements of the buffer; 0 where ranks may differ.
  var count = 0
  /// The root, the reduction's code, the tag, or 1 for a split by machine.
  var detail = 0
  /// The sender and receiver of a message between two ranks.
  var sender = 0
  var receiver = 0
  /// A hash of the ranges or counts, if the operation has any.
  var hash: UInt64 = 0

  static func hash(_ ranges: [Range<Int>]) -> UInt64 {
    var hash = FNV1a()
    for range in ranges {
      hash.add(word: UInt64(range.lowerBound))
      hash.add(word: UInt64(range.upperBound))
    }
    return hash.value
  }

  static func hash(_ counts: [[Int]]) -> UInt64 {
    var hash = FNV1a()
    for count in counts.joined() { hash.add(word: UInt64(count)) }
    return hash.value
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
      return "message of \(elements) from rank \(sender) to rank \(receiver) with tag \(detail)"
    case .split: return detail == 0 ? "split" : "split by machine"
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

  private func hex(_ value: UInt64) -> String { String(value, radix: 16) }
}

/// The fixed message by which a rank tells another what it is doing.
struct CallRecord: Equatable {
  static let wordCount = 9
  static let byteCount = wordCount * 8
  private static let magic: UInt64 = 0x6973_6F67_6C6F_7301  // "isoglos", version 1

  /// The number of collectives that this communicator has seen before.
  var sequence: UInt64
  var call: Call
  /// The elements that the sender of the record brings, on which ranks need not agree.
  var ownCount: Int

  var words: [UInt64] {
    [
      Self.magic, sequence, UInt64(call.operation.rawValue) << 8 | UInt64(call.element.rawValue),
      word(call.count), word(call.detail), word(call.sender), word(call.receiver), call.hash,
      word(ownCount),
    ]
  }

  init(sequence: UInt64, call: Call, ownCount: Int) {
    self.sequence = sequence
    self.call = call
    self.ownCount = ownCount
  }

  /// Nil if the words were not written by this version of the program.
  init?(words: [UInt64]) {
    guard words.count == Self.wordCount, words[0] == Self.magic, words[2] >> 16 == 0,
      let operation = Call.Operation(rawValue: UInt8(truncatingIfNeeded: words[2] >> 8)),
      let element = ElementType(rawValue: UInt8(truncatingIfNeeded: words[2])),
      let count = Int(exactly: Int64(bitPattern: words[3])), count >= 0,
      let ownCount = Int(exactly: Int64(bitPattern: words[8])), ownCount >= 0
    else { return nil }
    sequence = words[1]
    call = Call(
      operation: operation, element: element, count: count,
      detail: Int(truncatingIfNeeded: words[4]), sender: Int(truncatingIfNeeded: words[5]),
      receiver: Int(truncatingIfNeeded: words[6]), hash: words[7])
    self.ownCount = ownCount
  }

  private func word(_ value: Int) -> UInt64 { UInt64(bitPattern: Int64(value)) }
}
