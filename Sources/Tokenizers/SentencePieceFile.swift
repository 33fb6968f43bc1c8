/// What the search for the best path needs of a SentencePiece model file, a Protocol Buffers message.
///
/// The library does not tell it. Fields that are not named here are stepped over.
struct SentencePieceFile {
  enum Kind: Int {
    case normal = 1
    case unknown, control, userDefined, unused, byte
  }

  struct Piece {
    var text: [UInt8] = []
    var score: Float = 0
    var kind = Kind.normal
  }

  /// By id.
  private(set) var pieces: [Piece] = []
  private(set) var isUnigram = true
  private(set) var hasByteFallback = false
  /// The compiled rules of normalisation; empty if there are none.
  private(set) var characterMap: [UInt8] = []

  /// What normalisation does beside following the rules.
  private(set) var normalizer = NormalizerSettings()

  struct NormalizerSettings {
    var addsMark = true
    var removesBlanks = true
    var escapesBlanks = true
    /// The mark goes behind words.
    var marksEnd = false
  }

  /// What is wrong in a file, and in which of its members.
  struct Failure: Error {
    var field: String
    var message: String
  }

  /// Takes the bytes of a file.
  init(_ bytes: [UInt8]) throws(Failure) {
    for field in try ProtocolBuffer.fields(bytes[...], of: "model") {
      switch (field.number, field.value) {
      case (1, .bytes(let bytes)):
        pieces.append(try SentencePieceFile.piece(bytes, number: pieces.count))
      case (2, .bytes(let bytes)):
        let trainer = try ProtocolBuffer.fields(bytes, of: "trainer_spec")
        for case (3, .integer(let kind)) in trainer { isUnigram = kind == 1 }
        for case (35, .integer(let flag)) in trainer { hasByteFallback = flag != 0 }
        for case (24, .integer(let flag)) in trainer { normalizer.marksEnd = flag != 0 }
      case (3, .bytes(let bytes)):
        let fields = try ProtocolBuffer.fields(bytes, of: "normalizer_spec")
        for case (2, .bytes(let map)) in fields { characterMap = Array(map) }
        for case (3, .integer(let flag)) in fields { normalizer.addsMark = flag != 0 }
        for case (4, .integer(let flag)) in fields { normalizer.removesBlanks = flag != 0 }
        for case (5, .integer(let flag)) in fields { normalizer.escapesBlanks = flag != 0 }
      default: break
      }
    }
    if pieces.isEmpty { throw Failure(field: "pieces", message: "are missing") }
  }

  private static func piece(
    _ bytes: ArraySlice<UInt8>, number: Int
  ) throws(Failure) -> Piece {
    var piece = Piece()
    for field in try ProtocolBuffer.fields(bytes, of: "pieces[\(number)]") {
      switch (field.number, field.value) {
      case (1, .bytes(let text)): piece.text = Array(text)
      case (2, .word(let bits)): piece.score = Float(bitPattern: bits)
      case (3, .integer(let value)):
        guard let kind = Int(exactly: value).flatMap(Kind.init) else {
          throw Failure(field: "pieces[\(number)].type", message: "is \(value), which is none")
        }
        piece.kind = kind
      default: break
      }
    }
    guard piece.score.isFinite else {
      throw Failure(field: "pieces[\(number)].score", message: "is \(piece.score)")
    }
    return piece
  }

  /// The search that the pieces make, with scores added in floats as SentencePiece adds them.
  func unigram(unknown: Int32) throws(PieceTrie.Duplicate) -> Unigram<Float> {
    let normal = pieces.filter { $0.kind == .normal }.map(\.score)
    let lowest = normal.reduce(Float.greatestFiniteMagnitude, min)
    let highest = normal.reduce(Float.leastNormalMagnitude, max)
    let searched = pieces.indices.compactMap { id -> Unigram<Float>.Piece? in
      let piece = pieces[id]
      switch piece.kind {
      case .normal: return .init(text: piece.text, id: Int32(id), score: piece.score)
      case .userDefined:
        let score = Float(Double(Float(piece.text.count) * highest) - 0.1)
        return .init(text: piece.text, id: Int32(id), score: score)
      case .unknown, .control, .unused, .byte: return nil
      }
    }
    return try Unigram(searched, unknown: unknown, unknownScore: lowest - 10)
  }
}

/// The wire format of Protocol Buffers.
private enum ProtocolBuffer {
  enum Value {
    case integer(UInt64)
    case word(UInt32)
    case bytes(ArraySlice<UInt8>)
    case other
  }

  typealias Field = (number: UInt64, value: Value)

  /// The fields of the message `name`.
  static func fields(
    _ message: ArraySlice<UInt8>, of name: @autoclosure () -> String
  ) throws(SentencePieceFile.Failure) -> [Field] {
    var rest = message
    var fields: [Field] = []
    while !rest.isEmpty {
      let start = rest.startIndex
      guard let key = integer(&rest), let value = value(wireType: key & 7, &rest) else {
        throw SentencePieceFile.Failure(
          field: name(), message: "is no message of Protocol Buffers at byte \(start) of the file")
      }
      fields.append((key >> 3, value))
    }
    return fields
  }

  private static func value(wireType: UInt64, _ rest: inout ArraySlice<UInt8>) -> Value? {
    switch wireType {
    case 0: return integer(&rest).map(Value.integer)
    case 1: return take(8, &rest).map { _ in .other }
    case 2: return integer(&rest).flatMap { take($0, &rest) }.map(Value.bytes)
    case 5:
      return take(4, &rest).map { .word($0.reversed().reduce(0) { $0 << 8 | UInt32($1) }) }
    default: return nil
    }
  }

  private static func take(
    _ count: UInt64, _ rest: inout ArraySlice<UInt8>
  ) -> ArraySlice<UInt8>? {
    guard let count = Int(exactly: count), count <= rest.count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  private static func integer(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }
}
