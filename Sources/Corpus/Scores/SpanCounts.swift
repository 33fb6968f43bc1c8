/// How many spans of each type are in the gold tags, in the predicted tags and in both, and how many
/// tokens have equal tags: integers that add up over sentences, files and ranks.
///
/// Types are held in the order of their bytes, and two types are one only if their bytes are equal
/// (`String` itself would also join different spellings of one accented letter).
public struct SpanCounts: Sendable, Equatable {
  /// The spans of one type.
  public struct OfType: Sendable, Equatable {
    public var type: String
    /// Spans in the gold tags: what seqeval calls the support.
    public var gold: Int
    public var predicted: Int
    /// Spans that both sides have, with the same first token, last token and type.
    public var correct: Int

    public init(type: String, gold: Int = 0, predicted: Int = 0, correct: Int = 0) {
      self.type = type
      self.gold = gold
      self.predicted = predicted
      self.correct = correct
    }
  }

  /// One entry for each type seen, in the order of the types' bytes.
  public private(set) var types: [OfType] = []
  public var tokens = 0
  /// Tokens whose predicted tag is the gold one.
  public var correctTokens = 0

  public init() {}

  /// The counts of `type`, which are zero until the type is seen.
  public subscript(type: String) -> OfType {
    get {
      let place = place(of: type)
      return place.found ? types[place.index] : OfType(type: type)
    }
    set {
      precondition(newValue.type.sameBytes(as: type), "counts of \(newValue.type) set for \(type)")
      let place = place(of: type)
      if place.found {
        types[place.index] = newValue
      } else {
        types.insert(newValue, at: place.index)
      }
    }
  }

  private func place(of type: String) -> (index: Int, found: Bool) {
    var low = 0
    var high = types.count
    while low < high {
      let middle = (low + high) / 2
      if types[middle].type.bytesPrecede(type) { low = middle + 1 } else { high = middle }
    }
    return (low, low < types.count && types[low].type.sameBytes(as: type))
  }

  /// All spans, whatever their type.
  public var overall: OfType {
    types.reduce(into: OfType(type: "")) { sum, row in
      sum.gold += row.gold
      sum.predicted += row.predicted
      sum.correct += row.correct
    }
  }

  public static func += (sum: inout SpanCounts, other: SpanCounts) {
    for row in other.types {
      sum[row.type].gold += row.gold
      sum[row.type].predicted += row.predicted
      sum[row.type].correct += row.correct
    }
    sum.tokens += other.tokens
    sum.correctTokens += other.correctTokens
  }

  public static func + (left: SpanCounts, right: SpanCounts) -> SpanCounts {
    var sum = left
    sum += right
    return sum
  }

  /// The counts as integers that can be summed over ranks: tokens, correct tokens, then gold,
  /// predicted and correct of each of `types`.
  ///
  /// - Precondition: Every type that was counted is one of `types`.
  public func integers(types names: [String]) -> [Int64] {
    let rows = names.map { self[$0] }
    precondition(
      self.types.allSatisfy { row in names.contains { $0.sameBytes(as: row.type) } },
      "types \(self.types.map(\.type)) counted, and \(names) to be sent")
    return [Int64(tokens), Int64(correctTokens)]
      + rows.flatMap { [Int64($0.gold), Int64($0.predicted), Int64($0.correct)] }
  }

  /// The counts that ``integers(types:)`` gave, or the sum of several such.
  ///
  /// A type whose numbers are all zero was not seen and gets no entry.
  public init(integers: [Int64], types names: [String]) {
    precondition(
      integers.count == 2 + 3 * names.count, "\(integers.count) integers for \(names.count) types")
    tokens = Int(integers[0])
    correctTokens = Int(integers[1])
    for (index, name) in names.enumerated() {
      let row = integers[(2 + 3 * index)..<(5 + 3 * index)].map { Int($0) }
      if row == [0, 0, 0] { continue }
      self[name] = OfType(type: name, gold: row[0], predicted: row[1], correct: row[2])
    }
  }
}

extension String {
  func sameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }

  func bytesPrecede(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}
