/// The fixed message of 32 bytes by which a rank tells another what it is about to do, before any payload moves.
struct CallRecord: Equatable {
  static let wordCount = 4
  static let byteCount = wordCount * 8
  private static let version: UInt64 = 2

  /// The number of collectives that this communicator has seen before.
  var sequence: UInt32
  /// The step of the run, and a hash of the data it trains on.
  var position: RunPosition
  var call: Call
  /// The elements that the sender of the record brings where ranks need not agree on them; else the call's.
  var count: Int
  /// Whether the rank has found numbers that are not finite.
  var notFinite: Bool

  var words: [UInt64] {
    let flags: UInt64 = (notFinite ? 1 : 0) | (call.sends ? 2 : 0)
    return [
      Self.version << 56 | UInt64(call.operation.rawValue) << 48
        | UInt64(call.element.rawValue) << 40 | flags << 32
        | UInt64(UInt32(truncatingIfNeeded: position.step)),
      UInt64(bitPattern: Int64(count)),
      UInt64(UInt32(truncatingIfNeeded: call.detail)) << 32 | UInt64(call.hash),
      UInt64(position.cursor) << 32 | UInt64(sequence),
    ]
  }

  init(
    sequence: UInt32, position: RunPosition, call: Call, ownCount: Int? = nil,
    notFinite: Bool = false
  ) {
    self.sequence = sequence
    self.position = position
    self.call = call
    count = ownCount ?? call.count
    self.notFinite = notFinite
  }

  /// Nil if the words were not written by this version of the program.
  init?(words: [UInt64]) {
    guard words.count == Self.wordCount, words[0] >> 56 == Self.version,
      let operation = Call.Operation(rawValue: UInt8(truncatingIfNeeded: words[0] >> 48)),
      let element = ElementType(rawValue: UInt8(truncatingIfNeeded: words[0] >> 40)),
      let count = Int(exactly: Int64(bitPattern: words[1])), count >= 0
    else { return nil }
    sequence = UInt32(truncatingIfNeeded: words[3])
    position = RunPosition(
      step: Int(UInt32(truncatingIfNeeded: words[0])),
      cursor: UInt32(truncatingIfNeeded: words[3] >> 32))
    // Each rank brings a count of its own.
    let isOwn = operation == .gather || operation == .split
    call = Call(
      operation: operation, element: element, count: isOwn ? 0 : count,
      detail: Int(Int32(truncatingIfNeeded: words[2] >> 32)), sends: words[0] >> 33 & 1 == 1,
      hash: UInt32(truncatingIfNeeded: words[2]))
    self.count = count
    notFinite = words[0] >> 32 & 1 == 1
  }
}
